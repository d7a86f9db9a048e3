"""Cutting tensors into tiles: some rows, and of wide matrices some columns, that one thread takes at a time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from descend.backends.cpu.shuffles import GROUP, SLACK, STRETCH
from descend.backends.cpu.slices import SHARE_FIELDS, TILE_HEAD, SliceLayout, lay_out, list_read
from descend.backends.cpu.tile_groups import place_scratch
from descend.lang.graph import Rate
from descend.lang.program import Program

TILE = 1 << 15
"""Coordinates of a tile, about."""
LEAST_ROWS = 32
"""Rows of a tile of a wide matrix: each tile has partial sums of its own, float64, for each of its columns."""
WIDEST = 2048
"""Columns of a tile: so many partial sums stay in the first cache while the rows go by."""


SHORT = 16
"""Coordinates of a row below which beginning it costs more than computing it."""
LARGEST = 1 << 20
"""Coordinates of a tile that holds an axis whole, at most, for the sake of other threads."""


def choose_inner(shape: Sequence[int]) -> int | None:
    """The axis along which loops over a tensor run whose last axes are short; None for the last.

    Args:
        shape: of the tensor.
    """
    rows = [d for d, n in enumerate(shape) if n != 1]
    inner = next((d for d in reversed(rows) if shape[d] >= SHORT), None)
    if inner is None or inner == rows[-1] or math.prod(shape[inner + 1 :]) > STRETCH:
        return None
    return inner if inner == rows[0] or math.prod(shape[inner:]) <= LARGEST else None


def list_short(shape: Sequence[int], inner: int | None) -> tuple[int, ...]:
    """Sizes of a tensor's axes behind the innermost loop's that its kernel is made for; empty: made for any.

    Args:
        shape: of the tensor.
        inner: along which the innermost loop runs.
    """
    short = () if inner is None else tuple(shape[inner + 1 :])
    return short if math.prod(short) <= SHORT * SHORT else ()


@dataclass(frozen=True)
class Tiling:
    """The tiles of one tensor.

    Args:
        fields: a row for each tile, without addresses: their places hold the offset in the partial values.
        size: number of partial values, float64 each.
    """

    fields: np.ndarray
    size: int


def cut(shape: Sequence[int], layout: SliceLayout) -> Tiling:
    """Cut a tensor into tiles. The borders depend on its shape alone, so results do not depend on threads.

    Args:
        shape: sizes along the program's joined axes.
        layout: which slices are reduced.
    """
    rows, columns = math.prod(shape[:-1]), shape[-1]
    if not rows * columns:
        return Tiling(np.zeros((0, layout.fields), np.int64), 0)
    parts = -(-columns // WIDEST)
    height = max(LEAST_ROWS, TILE // -(-columns // parts))
    if layout.flat:
        whole = math.prod(shape[layout.inner or 1 : -1])
        if layout.short and not layout.inner:
            whole *= GROUP
        height = layout.length * whole // GROUP if layout.local else -(-height // whole) * whole
    enough = rows * columns // 4 + 2 * sum(_count(shape, layout.along(n.axes)) for n in layout.taken)
    while (made := _cut(shape, layout, height, parts)).size > enough and height < rows:
        height *= 2  # slices that each tile has many of, such as one for each index along all axes but the first
    return made


def _count(shape: Sequence[int], axes: Sequence[int]) -> int:
    return math.prod(shape[a] for a in axes)


def _cut(shape: Sequence[int], layout: SliceLayout, height: int, parts: int) -> Tiling:
    rows, columns, last = math.prod(shape[:-1]), shape[-1], len(shape) - 1
    starts = np.arange(0, rows, height, dtype=np.int64)
    ends = np.minimum(starts + height, rows)
    borders = np.linspace(0, columns, parts + 1).astype(np.int64)
    fields = np.zeros((len(starts) * parts, layout.fields), np.int64)
    fields[:, 0], fields[:, 1] = np.repeat(starts, parts), np.repeat(ends, parts)
    fields[:, 2], fields[:, 3] = np.tile(borders[:-1], len(starts)), np.tile(np.diff(borders), len(starts))
    size, spare = 0, SLACK // 8 if layout.short else 0
    for i, node in enumerate(layout.taken):
        axes = layout.along(node.axes)
        outer = [a for a in axes if a != last]
        whole = next(k for k in range(len(shape)) if k not in outer)  # axes before this are all kept
        inner = math.prod(shape[whole:last])
        mids = _count(shape, [a for a in outer if a >= whole])
        first = fields[:, 0] // inner * mids
        count = (fields[:, 1] - 1) // inner * mids + mids - first
        widths = fields[:, 3] if last in axes else 1
        lengths = count * widths + spare
        at = TILE_HEAD + SHARE_FIELDS * i
        fields[:, at] = first * widths if layout.local else size + np.cumsum(lengths) - lengths
        fields[:, at + 1], fields[:, at + 2] = first, count
        size += 0 if layout.local else int(lengths.sum())
    return Tiling(fields, size)


class TiledBatch:
    """The tiles of a batch's tensors, and memory for their slice values.

    Args:
        program: the step.
        shapes: of the tensors.
        width: bytes of a number of the work type.
        blocks: ranges of tensors that a chain of passes goes over together; they share their memory where no slice
            value outlives the chain.
    """

    def __init__(
        self, program: Program, shapes: Sequence[Sequence[int]], width: int, blocks: Sequence[tuple[int, int]]
    ) -> None:
        layout = lay_out(program)
        joined = [[math.prod(shape[a] for a in axes) for axes in program.axes] for shape in shapes]
        cuts = [cut(shape, layout) for shape in joined]
        self.chunks = np.array([len(c.fields) for c in cuts], np.int64)
        self.columns = np.zeros((layout.width, len(shapes)), np.int64)
        wide, narrow, _ = place_scratch(program)
        values = [(n, 8, k) for k, n in enumerate(layout.buffers) if n not in wide]
        values += [(n, width, len(layout.buffers) + k) for k, n in enumerate(layout.narrow) if n not in narrow]
        ends, largest, spare = 0, 0, SLACK if layout.short else 0
        for first, last in blocks:
            at = 0 if _ends_with_chain(program) else ends
            for j in range(first, last):
                self.columns[: len(layout.axes), j] = joined[j]
                for node, size, k in values:
                    self.columns[len(layout.axes) + k, j] = at
                    at += -(-size * _count(joined[j], layout.along(node.axes)) // 64) * 64 + spare
                cuts[j].fields[:, TILE_HEAD::SHARE_FIELDS] *= 8
                for k, node in enumerate(layout.taken):
                    home = self.columns[len(layout.axes) + layout.buffers[node], j] if layout.local else at
                    cuts[j].fields[:, TILE_HEAD + SHARE_FIELDS * k] += home
                at += 8 * cuts[j].size
            ends, largest = at, max(largest, at)
        self._memory = np.zeros(largest // 8 + 1)
        self.bytes = self._memory.nbytes
        self.fields = np.concatenate([c.fields for c in cuts])
        self.fields[:, TILE_HEAD::SHARE_FIELDS] += self._memory.ctypes.data
        self.columns[len(layout.axes) :] += self._memory.ctypes.data


def _ends_with_chain(program: Program) -> bool:
    """Whether all slice values are made and used within one chain of passes, which runs block by block."""
    uses = {
        step.index
        for step in program.passes
        if step.slices or step.slice_stores or list_read(step) or any(n.rate is Rate.SLICE for n in step.reductions)
    }
    return any(len(chain) > 1 and uses <= set(chain) for chain in program.chains)
