"""In which order the values of rows, columns and the like are computed before a pass."""

from collections.abc import Iterator
from dataclasses import dataclass

from descend.lang.graph import Node, Rate, walk
from descend.lang.program import Pass, Program


@dataclass(frozen=True)
class Loop:
    """One loop over the elements of a kind of slice, before a pass.

    Args:
        axes: along which the elements lie.
        nodes: values computed in it, arguments first.
        sums: reductions of slice values that it adds up.
        stores: new states that it writes.
    """

    axes: frozenset[int]
    nodes: tuple[Node, ...]
    sums: tuple[Node, ...]
    stores: tuple[tuple[str, Node], ...]


@dataclass(frozen=True)
class Phase:
    """What can be computed before a pass once the sums of the phase before are known.

    Args:
        scalars: tensor values.
        loops: slice values; smaller slices first, since larger ones may use them.
    """

    scalars: tuple[Node, ...]
    loops: tuple[Loop, ...]

    def list_nodes(self) -> list[Node]:
        """All values that are computed in it."""
        return [*self.scalars, *(n for loop in self.loops for n in loop.nodes)]


def list_read(step: Pass) -> list[Node]:
    """The slice values that a pass's coordinates use."""
    used = [*(a for n in step.body for a in n.args), *(n for _, n in step.stores)]
    used += [r.args[0] for r in step.reductions]
    return [n for n in dict.fromkeys(used) if n.rate is Rate.SLICE]


def plan_phases(program: Program, step: Pass) -> list[Phase]:
    """The order in which tensor and slice values are computed before a pass.

    Args:
        program: the step.
        step: one of its passes.
    """
    earlier = program.passes[step.index - 1].reductions if step.index else ()
    read_first_time = [n for n in earlier if any(n in list_read(later) for later in program.passes)]
    stores = [n for _, n in (*step.tensor_stores, *step.slice_stores)]
    new = {*step.slots, *step.slices}
    known = frozenset(n for n in (*program.slots, *program.slices, *program.columns) if n not in new)
    nodes = [n for n in walk([*step.slots, *step.slices, *stores], cut=known) if n not in known and n.op != "const"]
    number: dict[Node, int] = dict.fromkeys(read_first_time, 0)  # of the phase in which a value is known
    for node in nodes:
        number[node] = max((number.get(a, 0) for a in node.args), default=0) + (node.op == "reduce")
    phases = []
    for k in range(1 + max(number.values(), default=0)):
        scalars = tuple(n for n in nodes if n.rate is Rate.TENSOR and number[n] == k)
        values = [n for n, own in number.items() if n.rate is Rate.SLICE and own == k]
        sums = [n for n in nodes if n.op == "reduce" and number[n] == k + 1]
        kept = [(s, n) for s, n in step.slice_stores if program.step.slice_states[s] == n.axes]
        phases.append(Phase(scalars, tuple(_make_loops(values, sums, kept))))
    return phases


def _make_loops(values: list[Node], sums: list[Node], kept: list[tuple[str, Node]]) -> Iterator[Loop]:
    """A loop for each kind of slice that has values to compute or to add up.

    A state is written where its new value is computed, if that is of its own kind: in the loop that has read it.
    """
    kinds = dict.fromkeys([n.axes for n in values] + [n.args[0].axes for n in sums])
    for axes in sorted(kinds, key=len):
        fed = tuple(n for n in sums if n.args[0].axes == axes)
        own = tuple(n for n in values if n.axes == axes)
        yield Loop(axes, own, fed, tuple((s, n) for s, n in kept if n in own))
