"""What the host hands to a kernel: the fields of the context, and the columns of the table that it points to."""

CONTEXT = {
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
"""The fields in order, eight bytes each, and the LLVM type of each."""

ROW, SIZE, ADDRESSES = 0, 1, 2
"""Columns of the table: each tensor's row of the uniform table, -1 without gradient; its size; and the first address.
Addresses are those of streams and of states; of programs with rows or columns more follows, see ``slices``."""


def find_field(name: str) -> int:
    """The number of a field of the context."""
    return list(CONTEXT).index(name)


def read_fields(*names: str) -> str:
    """Instructions that read fields of the context ``%ctx``, each into the value of its name."""
    return "".join(
        f"  %{name}.p = getelementptr i64, ptr %ctx, i64 {find_field(name)}\n"
        f"  %{name} = load {CONTEXT[name]}, ptr %{name}.p\n"
        for name in names
    )


def read_entry(name: str, column: int, kind: str = "ptr") -> str:
    """Instructions that read the table's entry of tensor ``%j`` in a column, into the value of a name."""
    return (
        f"  %{name}.m = mul i64 %tensors, {column}\n"
        f"  %{name}.j = add i64 %{name}.m, %j\n"
        f"  %{name}.a = getelementptr i64, ptr %table, i64 %{name}.j\n"
        f"  %{name} = load {kind}, ptr %{name}.a\n"
    )
