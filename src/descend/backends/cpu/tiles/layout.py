"""Where the values of rows, columns and the like lie: columns of the address table, and fields of the tiles."""

import functools
import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

from descend.backends.cpu.context import ADDRESSES
from descend.backends.cpu.tiles.phases import list_read, plan_phases
from descend.backends.cpu.tiles.short_axes import GROUP, MOST_SHORT
from descend.lang.graph import Node, Rate
from descend.lang.program import Program

TILE_HEAD = 4
"""Fields of a tile before those of each reduction over slices: first row, row behind the last, first column, width."""
SHARE_FIELDS = 3
"""Fields of a tile for each reduction: address of its partial values, the first of them, and their number."""
LOCAL_TILE = 1 << 13
"""Coordinates of a tile whose slices lie in no other: these then stay in the second cache from pass to pass."""


@dataclass(frozen=True)
class SliceLayout:
    """Columns of the address table behind those of the states, and fields of the tiles.

    Args:
        axes: the program's axes, those together that one kernel takes as one.
        first: the first column.
        buffers: slice values in float64.
        narrow: slice values in the work type, as coordinates read them.
        taken: reductions of coordinates over slices.
        inner: which of ``axes`` the innermost loop over a tile runs along: the last, unless that is short.
        short: sizes along those behind it, where the kernel is made for them; None: whatever a tensor has.
    """

    axes: tuple[tuple[int, ...], ...]
    first: int
    buffers: dict[Node, int]
    narrow: dict[Node, int]
    taken: tuple[Node, ...]
    inner: int
    short: tuple[int, ...] | None

    @property
    def flat(self) -> bool:
        """Whether spans go over tiles flat, since the last axes are short."""
        return self.inner < len(self.axes) - 1

    @property
    def local(self) -> bool:
        """Whether each slice that coordinates are reduced to lies within one tile, which then has its final value."""
        return self.short is not None and not self.inner and all(0 in self.along(n.axes) for n in self.taken)

    def list_short(self, axes: frozenset[int], within: frozenset[int] | None = None) -> tuple[int, ...]:
        """For each element behind an index of the innermost loop, which slice there it lies in.

        Args:
            axes: along which slices differ.
            within: along which elements do; None: coordinates.
        """
        assert self.short is not None
        sizes = {self.inner + 1 + k: n for k, n in enumerate(self.short)}
        own = [a for a in sizes if within is None or a in self.along(within)]
        kept, places = self.along(axes), []
        for index in itertools.product(*(range(sizes[a]) for a in own)):
            place = 0
            for axis, i in zip(own, index, strict=True):
                place = place * sizes[axis] + i if axis in kept else place
            places.append(place)
        return tuple(places)

    def count_short(self, axes: frozenset[int]) -> int:
        """How many slices lie behind an index of the innermost loop."""
        return 1 + max(self.list_short(axes))

    @property
    def length(self) -> int:
        """Indices along the innermost loop's axis that a local tile has."""
        assert self.short is not None
        return LOCAL_TILE // math.prod(self.short) // GROUP * GROUP

    @property
    def width(self) -> int:
        """Number of columns: sizes along each axis, then addresses."""
        return len(self.axes) + len(self.buffers) + len(self.narrow)

    @property
    def fields(self) -> int:
        """Fields of a tile."""
        return TILE_HEAD + SHARE_FIELDS * len(self.taken)

    def size_column(self, axis: int) -> int:
        """The column of a tensor's size along one of ``axes``."""
        return self.first + axis

    def buffer_column(self, node: Node) -> int:
        """The column of a float64 value's address."""
        return self.first + len(self.axes) + self.buffers[node]

    def narrow_column(self, node: Node) -> int:
        """The column of a narrow value's address."""
        return self.first + len(self.axes) + len(self.buffers) + self.narrow[node]

    def share_field(self, node: Node) -> int:
        """The first of a tile's fields for a reduction."""
        return TILE_HEAD + SHARE_FIELDS * self.taken.index(node)

    def along(self, axes: frozenset[int]) -> tuple[int, ...]:
        """Which of ``axes`` a set of the tensor's axes holds."""
        return tuple(i for i, joined in enumerate(self.axes) if joined[0] in axes)


@functools.lru_cache(maxsize=512)
def lay_out(program: Program) -> SliceLayout:
    """Where the slice values of a program lie."""
    buffers: dict[Node, None] = {}
    narrow: dict[Node, None] = {}
    taken: list[Node] = []
    for step in program.passes:
        loops = [loop for phase in plan_phases(program, step) for loop in phase.loops]
        home = {n: loop for loop in loops for n in loop.nodes}
        for loop in loops:
            below = [a for n in loop.nodes if n.op != "reduce" for a in n.args] + [n.args[0] for n in loop.sums]
            buffers |= {a: None for a in below if a.rate is Rate.SLICE and home.get(a) is not loop}
            buffers |= {n: None for n in loop.sums if n.rate is Rate.SLICE}
        written = {name for loop in loops for name, _ in loop.stores}
        buffers |= {n: None for name, n in step.slice_stores if n.rate is Rate.SLICE and name not in written}
        narrow |= dict.fromkeys(list_read(step))
        taken += [r for r in step.reductions if r.rate is Rate.SLICE]
    buffers |= dict.fromkeys(taken)
    first = ADDRESSES + len(program.streams) + len(program.tensor_states) + len(program.slice_states)
    last = len(program.axes) - 1
    graph = program.step.graph
    inner = next((i for i, joined in enumerate(program.axes) if graph.inner in joined), last)
    short = None
    if graph.inner is not None and graph.short:
        sizes = dict(enumerate(graph.short, graph.inner + 1))
        short = tuple(math.prod(sizes[a] for a in joined) for joined in program.axes[inner + 1 :])
    if short is not None and math.prod(short) > MOST_SHORT:
        short = None
    return SliceLayout(program.axes, first, _number(buffers), _number(narrow), tuple(taken), inner, short)


def _number(nodes: Iterable[Node]) -> dict[Node, int]:
    return {n: i for i, n in enumerate(nodes)}
