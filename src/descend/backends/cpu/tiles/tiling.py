"""Cutting tensors into tiles: some rows, and of wide matrices some columns, that one thread takes at a time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from descend.backends.cpu.tiles.layout import SliceLayout
from descend.backends.cpu.tiles.short_axes import GROUP
from descend.backends.cpu.tiles.shuffles import SLACK

TILE = 1 << 15
"""Coordinates of a tile, about."""
LEAST_ROWS = 32
"""Rows of a tile of a wide matrix: each tile has partial sums of its own, float64, for each of its columns."""
WIDEST = 2048
"""Columns of a tile: so many partial sums stay in the first cache while the rows go by."""


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
    enough = rows * columns // 4 + 2 * sum(count_slices(shape, layout.along(n.axes)) for n in layout.taken)
    while (made := _cut(shape, layout, height, parts)).size > enough and height < rows:
        height *= 2  # slices that each tile has many of, such as one for each index along all axes but the first
    return made


def count_slices(shape: Sequence[int], axes: Sequence[int]) -> int:
    """How many slices differ along some axes."""
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
    for node in layout.taken:
        axes = layout.along(node.axes)
        outer = [a for a in axes if a != last]
        whole = next(k for k in range(len(shape)) if k not in outer)  # axes before this are all kept
        inner = math.prod(shape[whole:last])
        mids = count_slices(shape, [a for a in outer if a >= whole])
        first = fields[:, 0] // inner * mids
        count = (fields[:, 1] - 1) // inner * mids + mids - first
        widths = fields[:, 3] if last in axes else 1
        lengths = count * widths + spare
        at = layout.share_field(node)
        fields[:, at] = first * widths if layout.local else size + np.cumsum(lengths) - lengths
        fields[:, at + 1], fields[:, at + 2] = first, count
        size += 0 if layout.local else int(lengths.sum())
    return Tiling(fields, size)
