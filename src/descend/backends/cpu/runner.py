"""The CPU backend's hold on a batch: the table of addresses, the context, and one call a pass."""

import ctypes
import functools

import numpy as np
import torch
from torch import Tensor

from descend.backends.base import WORK, Batch, Totals, is_dense
from descend.backends.cpu import compiler, team
from descend.backends.cpu.body import Storage
from descend.backends.cpu.chunk_passes import CHUNK
from descend.backends.cpu.context import ADDRESSES, CONTEXT, ROW, SIZE
from descend.backends.cpu.inspection.gradients import Gradients
from descend.backends.cpu.render import render
from descend.backends.cpu.tiles.batch import TiledBatch
from descend.backends.cpu.tiles.groups import group_passes, place_scratch
from descend.lang.graph import Node
from descend.lang.program import Program

SERIAL_BELOW = 30_000
"""Coordinates below which a launch on several threads costs more than it saves (measured)."""

_FIRST, _LAST = map(CONTEXT.place, ("first", "last"))

BLOCK = 1 << 18
"""Coordinates that a chain of passes runs over together, so that the second finds them in the cache: LAMB on
ResNet-50 takes 15.5 ms instead of 18.4, LARS 13.9 instead of 18.1 (sizes from 2^17 to 2^20 alike)."""

LLVM_WORK = {torch.float32: "float", torch.float64: "double"}


@functools.lru_cache(maxsize=512)
def load_kernel(program: Program, dtype: torch.dtype, name: str) -> compiler.Kernel:
    """The kernel of a program for parameters of one dtype; states have the work type."""
    work = WORK[dtype]
    own = str(dtype if not dtype.is_complex else work).removeprefix("torch.")
    kept = str(work).removeprefix("torch.")
    streams = tuple(own if s in ("p", "g") else kept for s in program.streams)
    text = render(program, Storage(LLVM_WORK[work], streams), compiler.machine())
    return compiler.load(f"{name} {own}", text, len(program.passes))


class CpuRunner:
    """Steps one batch by compiled kernels.

    Args:
        batch: the tensors; dense, on the CPU, of one dtype.
        name: of the rule, for reports.

    Attributes:
        grads_at: where the kernels read where gradients lie; 0 for a tensor that is skipped.
        serial: whether one thread steps it, however many there are.
        launches: whether a pass is one call of a compiled function, which asks for its threads by itself.
    """

    def __init__(self, batch: Batch, name: str) -> None:
        program = batch.program
        self.batch = batch
        self.kernel = load_kernel(program, batch.params[0].dtype, name)
        void = ctypes.c_void_p
        heads = [group[0] for group in group_passes(program)]  # each takes the other passes of its group along
        self._stages = {k: self.kernel.function(f"stage_{k}", void) for k in heads}
        self._commit = self.kernel.function("commit", void, unlocked=False)
        count = len(batch.params)
        width = 2 if batch.params[0].is_complex() else 1
        sizes = np.array([p.numel() * width for p in batch.params], np.int64)
        self._blocks = _cut_blocks(sizes.tolist())
        chunks, tiled = -(-sizes // CHUNK), None
        if program.axes:
            itemsize = WORK[batch.params[0].dtype].itemsize
            tiled = TiledBatch(program, [p.shape for p in batch.params], itemsize, self._blocks)
            chunks = tiled.chunks
        self._tiled = tiled  # owns memory that the table points to
        self._first = np.concatenate([[0], np.cumsum(chunks)]).astype(np.int64)
        self._chunk_tensor = np.repeat(np.arange(count, dtype=np.int32), chunks)
        rows = ADDRESSES + 2 + len(program.states)
        self._table = np.zeros((rows + (len(tiled.columns) if tiled else 0), count), np.int64)
        self._table[SIZE] = sizes
        if tiled:
            self._table[rows:] = tiled.columns
        self.grads_at = self._table[ADDRESSES + 1]
        self.serial = int(sizes.sum()) < SERIAL_BELOW
        self._totals: Totals = np.zeros(0)
        self._uniforms = np.zeros((count, len(program.columns)))
        self._slots = np.zeros((count, len(program.slots)))
        self._partials = np.zeros((int(chunks.sum()), len(program.slots)))
        self._context = np.zeros(len(CONTEXT.words), np.int64)
        self._address = self._context.ctypes.data
        self._forks, self._asked = -1, 0
        self._openmp: team.OpenMP | None = None
        self._threads = int(self.serial)
        self.launches = self.serial
        self._calls = {chain[0]: self._cut(chain) for chain in program.chains}
        fixed = {
            "tensors": count,
            "last": count,
            "table": self._table.ctypes.data,
            "chunk_tensor": self._chunk_tensor.ctypes.data,
            "chunk_first": self._first.ctypes.data,
            "inputs": batch.inputs.ctypes.data,
            "uniforms": self._uniforms.ctypes.data,
            "steps": batch.steps.ctypes.data,
            "slots": self._slots.ctypes.data,
            "partials": self._partials.ctypes.data,
            "tiles": tiled.fields.ctypes.data if tiled else 0,
        }
        for field, value in fixed.items():
            self._put(field, value)
        self._put("threads", self._threads)

    @property
    def scratch_bytes(self) -> int:
        """Memory for values of rows and columns within a step, and their partial sums; the states are not in it."""
        if self._tiled is None:
            return 0
        *_, own = place_scratch(self.batch.program)
        return self._tiled.bytes + own * max(1, self._threads)

    def _put(self, name: str, value: int) -> None:
        self._context[CONTEXT.place(name)] = value

    def set_params(self, addresses: list[int]) -> None:
        """Where the parameters lie."""
        self._table[ADDRESSES] = addresses

    def set_gradients(self, gradients: Gradients) -> None:
        """Let go of what takes the gradients holds, whenever a step has been counted."""
        self._put("gradients", gradients.record)
        self._put("release", gradients.release_at)

    def set_states(self) -> None:
        """Take over where the states lie, after one was allocated or replaced."""
        program = self.batch.program
        for i, name in enumerate(program.states):
            self._table[ADDRESSES + 2 + i] = [0 if s is None else s.data_ptr() for s in self.batch.states[name]]

    def set_rows(self) -> None:
        """Take over which row each tensor has."""
        self._table[ROW] = self.batch.rows
        self._put("rows", self.batch.row_count)

    def begin(self, totals: Totals) -> None:
        """Take over where totals go, and this process's threads."""
        if totals is not self._totals:
            assert isinstance(totals, np.ndarray)
            self._totals = totals
            self._put("totals", totals.ctypes.data)
        if not self.serial:
            self._find_threads()

    def _find_threads(self) -> None:
        """Take over how many threads there are, and whose: a forked child cannot use those that torch had."""
        if self._forks != team.forks.value:
            self._forks, self._asked = team.forks.value, 0
            self._openmp = team.usable_openmp()
            if self._openmp is not None:
                self._put("parallel", self._openmp.parallel)
                self._put("thread_number", self._openmp.thread_number)
                self._put("team_size", self._openmp.team_size)
        asked = torch.get_num_threads()
        if asked != self._asked:
            self._asked, self._threads = asked, min(asked, len(self._chunk_tensor))
            self._put("threads", self._threads)
            self.launches = self._threads == 1 or self._openmp is not None

    def _cut(self, chain: tuple[int, ...]) -> list[tuple[int, int, int]]:
        """A chain's passes in the order in which they run: each with the first tensor of its block and that behind."""
        blocks = self._blocks if len(chain) > 1 else [(0, len(self.batch.params))]
        return [(k, *block) for block in blocks for k in chain if k in self._stages]

    def run(self, index: int) -> None:
        """Run the chain that begins with a pass, block by block; the chain's other passes are done with it."""
        for k, first, last in self._calls.get(index, ()):
            self._context[_FIRST], self._context[_LAST] = first, last
            self._run_pass(k)

    def list_calls(self, index: int) -> list[dict[str, int]]:
        """What ``run`` calls where it launches: a function, its context, and the tensors that it is for."""
        at = self.kernel.address
        calls = self._calls.get(index, ())
        return [{"function": at(f"stage_{k}"), "context": self._address, "first": i, "last": j} for k, i, j in calls]

    def call_commit(self) -> dict[str, int]:
        """What ``commit`` calls."""
        return {"function": self.kernel.address("commit"), "context": self._address, "first": 0, "last": 0}

    def _run_pass(self, index: int) -> None:
        if self.launches or not self.batch.program.passes[index].walks:
            self._stages[index](self._address)
            return
        void, word = ctypes.c_void_p, ctypes.c_int64
        self.kernel.function(f"enter_{index}", void)(self._address)
        team.run_on_pool(self.kernel.function(f"pool_{index}", void, word, word), self._address, self._threads)
        self.kernel.function(f"finish_{index}", void)(self._address)

    def commit(self) -> None:
        """Count the step, in compiled code: a cold NumPy operation after a backward pass takes 5 us."""
        self._commit(self._address)

    def read(self, node: Node) -> list[float]:
        """A tensor value or a reduction for each tensor, as the last step left it."""
        return self._slots[:, self.batch.program.slots[node]].tolist()

    def read_row(self, node: Node, row: int) -> float:
        """A host or group value of one row, as the last step left it."""
        return float(self._uniforms[row, self.batch.program.columns[node]])


def _cut_blocks(sizes: list[int]) -> list[tuple[int, int]]:
    """Consecutive tensors, as ranges of their numbers, of at most ``BLOCK`` coordinates where one has not more."""
    blocks, first, total = [], 0, 0
    for j, size in enumerate(sizes):
        if j > first and total + size > BLOCK:
            blocks.append((first, j))
            first, total = j, 0
        total += size
    return [*blocks, (first, len(sizes))]


def serves(param: Tensor) -> str | None:
    """Why the CPU kernels cannot serve a parameter; None if they can."""
    if param.device.type != "cpu":
        return f"it lies on {param.device}"
    if type(param) not in (Tensor, torch.nn.Parameter):
        return f"it is a {type(param).__name__}, not a plain tensor"
    if param.dtype not in WORK:
        return f"there is no kernel for {param.dtype}"
    if param.layout is not torch.strided or not is_dense(param):
        return "its memory has gaps"
    return None
