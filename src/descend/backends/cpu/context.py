"""What the host hands to a kernel: the words of the context, and the columns of the table that it points to."""

from descend.backends.cpu.record import Record, read_item

_WORDS = {
    "tensors": "i64",  # number of tensors T
    "first": "i64",  # the first tensor of this call's block
    "last": "i64",  # the tensor behind its last
    "rows": "i64",  # number of rows of the uniform table
    "table": "ptr",  # int64 [columns][T]: what is known of each tensor, see below
    "chunk_tensor": "ptr",  # int32 [chunks]: which tensor
    "chunk_first": "ptr",  # int64 [T + 1]: number of the tensor's first chunk
    "inputs": "ptr",  # float64 [rows][inputs]: host inputs
    "uniforms": "ptr",  # float64 [rows][columns]
    "steps": "ptr",  # float32 [T]: steps done by each tensor
    "slots": "ptr",  # float64 [T][slots]
    "partials": "ptr",  # float64 [chunks][slots]
    "tiles": "ptr",  # int64 [chunks][fields]: of programs with rows or columns, what part of its tensor a chunk is
    "totals": "ptr",  # float64 [totals]: sums over all tensors of the optimizer
    "threads": "i64",  # how many threads to ask for
    "parallel": "ptr",  # void GOMP_parallel(void (*)(void *), void *, unsigned, unsigned)
    "thread_number": "ptr",  # int omp_get_thread_num(void)
    "team_size": "ptr",  # int omp_get_num_threads(void)
    "gradients": "ptr",  # what the next takes
    "release": "ptr",  # void release(ptr): lets go of the gradients when the step has been counted; null for none
    "float_state": "i64",  # the caller's floating-point control state
}
CONTEXT = Record("ctx", _WORDS)

ROW, SIZE, ADDRESSES = 0, 1, 2
"""Columns of the table: each tensor's row of the uniform table, -1 without gradient; its size; and the first address.
Addresses are those of streams and of states; of programs with rows or columns more follows, see ``slices``."""


def read_entry(name: str, column: int, kind: str = "ptr") -> str:
    """Instructions that read the table's entry of tensor ``%j`` in a column, into the value of a name."""
    return (
        f"  %{name}.m = mul i64 %tensors, {column}\n"
        f"  %{name}.j = add i64 %{name}.m, %j\n"
        f"  %{name}.p = getelementptr i64, ptr %table, i64 %{name}.j\n"
        f"  %{name} = load {kind}, ptr %{name}.p\n"
    )


READ_ROW = read_item("row", "table") + "  %absent = icmp slt i64 %row, 0\n"
"""Reads the row of the uniform table that tensor ``%j`` has, and whether it has none."""
FIND_UNIFORMS = "  %u.m = mul i64 %row, {columns}\n  %u = getelementptr double, ptr %uniforms, i64 %u.m\n"
"""Finds that row, as ``%u``."""
FIND_SLOTS = "  %s.m = mul i64 %j, {slots}\n  %s = getelementptr double, ptr %slots, i64 %s.m\n"
"""Finds the slots of tensor ``%j``, as ``%s``."""
