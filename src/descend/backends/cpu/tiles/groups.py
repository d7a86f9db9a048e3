"""Which passes go over a tile one after the other, and which slice values need no memory beyond such a group.

Where no slice crosses tiles, its value is known when its tile has ended, not only when its tensor has. The next pass
may follow at once, with what both read still in the cache.
"""

import functools
from collections.abc import Iterable

from descend.backends.cpu.tiles.layout import lay_out
from descend.backends.cpu.tiles.phases import Loop, list_read, plan_phases
from descend.backends.cpu.tiles.shuffles import SPARE
from descend.lang.graph import Node, Rate, walk
from descend.lang.program import Pass, Program


@functools.lru_cache(maxsize=512)
def list_begun(program: Program) -> frozenset[int]:
    """The passes before which slice values are computed tile by tile, by the threads, rather than tensor by tensor."""
    if not program.axes or not lay_out(program).local:
        return frozenset()
    return frozenset(step.index for step in program.passes if step.walks and _can_begin(program, step))


def _can_begin(program: Program, step: Pass) -> bool:
    layout, loops = lay_out(program), _list_loops(program, step)
    kinds = [loop.axes for loop in loops] + [n.axes for loop in loops for n in loop.sums]
    written = {name for loop in loops for name, _ in loop.stores}
    needed = (n for n in list_scalars(program, loops) if n not in program.slots)
    remembered = [n for n in needed if n.op == "input" and n.name != "size"]  # these may have been written already
    own = all(0 in layout.along(axes) for axes in kinds) and written == {name for name, _ in step.slice_stores}
    return bool(loops) and own and not remembered


def _list_loops(program: Program, step: Pass) -> list[Loop]:
    return [loop for phase in plan_phases(program, step) for loop in phase.loops]


def list_scalars(program: Program, loops: Iterable[Loop]) -> list[Node]:
    """Tensor values that loops over slices need, arguments first, with nothing below those that stand in slots.

    Args:
        program: the step.
        loops: over slices.
    """
    used = [a for loop in loops for n in loop.nodes if n.op != "reduce" for a in n.args if a.rate is Rate.TENSOR]
    known = frozenset(program.slots) | frozenset(program.columns)
    return [n for n in walk(used, cut=known) if n.rate is Rate.TENSOR]


@functools.lru_cache(maxsize=512)
def group_passes(program: Program) -> tuple[tuple[int, ...], ...]:
    """The passes, those together that go over a tile one after the other.

    A pass follows at once if it begins in tiles and needs no sum over a whole tensor from those before it.
    """
    groups: list[list[int]] = []
    chained = {k: chain[0] for chain in program.chains for k in chain}
    for step in program.passes:
        own = groups[-1] if groups else []
        if own and chained[own[0]] == chained[step.index] and step.index in list_begun(program):
            taken = {n for k in own for n in program.passes[k].reductions if n.rate is not Rate.SLICE}
            if taken.isdisjoint(_list_needed(step)) and all(program.passes[k].walks for k in own):
                own.append(step.index)
                continue
        groups.append([step.index])
    return tuple(map(tuple, groups))


def _list_needed(step: Pass) -> Iterable[Node]:
    stores = [n for _, n in (*step.tensor_stores, *step.slice_stores, *step.stores)]
    taken = [n.args[0] for n in step.reductions]
    return walk([*step.columns, *step.slots, *step.slices, *stores, *taken, *step.body])


@functools.lru_cache(maxsize=512)
def place_scratch(program: Program) -> tuple[dict[Node, int], dict[Node, int], int]:
    """Slice values that only one group of passes uses: each thread keeps those of its present tile, on its stack.

    Returns:
        Where those in float64 lie in a thread's scratch memory, and those in the work type; and its size, in bytes.
    """
    layout, ends = lay_out(program), dict[tuple[int, ...], int]()
    places: tuple[dict[Node, int], dict[Node, int]] = {}, {}
    if not layout.local:
        return *places, 0
    for nodes, place, find in ((layout.buffers, places[0], _list_buffers), (layout.narrow, places[1], _list_narrow)):
        users = {n: [s for s in program.passes if n in find(program, s)] for n in nodes}
        for node, steps in users.items():
            groups = {g for g in group_passes(program) for s in steps if s.index in g}
            begun = all(s.index in list_begun(program) for s in steps if _list_loops(program, s))
            if len(groups) == 1 and begun:
                (group,) = groups
                place[node] = ends.get(group, 0)
                ends[group] = place[node] + 8 * (layout.length * layout.count_short(node.axes) + SPARE)
    return *places, max(ends.values(), default=0)


def _list_buffers(program: Program, step: Pass) -> set[Node]:
    """Slice values that a pass may use in float64."""
    loops = _list_loops(program, step)
    used = {a for loop in loops for n in loop.nodes for a in n.args} | {n.args[0] for loop in loops for n in loop.sums}
    made = {n for loop in loops for n in (*loop.nodes, *loop.sums)}
    return used | made | {*step.reductions} | {n for _, n in step.slice_stores}


def _list_narrow(program: Program, step: Pass) -> set[Node]:
    """Slice values that a pass may use in the work type."""
    loops = _list_loops(program, step)
    return {n for loop in loops for n in loop.nodes} | {*list_read(step)}
