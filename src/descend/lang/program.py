"""Programs: a step's graph cut into passes over memory, ready for a backend to render.

A reduction is known only after a pass has ended, so it splits the step. Before each pass the host part fills the
uniform table (one row for each distinct pair of group values and step count) and the tensor part a few float64
slots for each tensor; the pass itself then runs over coordinates, adds up its reductions and stores what is new.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from descend.lang.graph import Node, Rate, walk
from descend.lang.rule import State
from descend.lang.weave import StepGraph
from descend.lang.words import WORDS


@dataclass(frozen=True)
class Pass:
    """One pass over memory.

    Args:
        index: its number; what it needs has this stage or an earlier one.
        columns: host and group values that become known before it, for the uniform table.
        slots: tensor values that become known before it, for the tensor slots.
        slices: values of rows, columns and the like that become known before it.
        tensor_stores: new tensor-rate states, written before it.
        slice_stores: new states of rows, columns and the like, written before it.
        reductions: sums taken during it.
        stores: new streams written during it.
        reloads: new states that an earlier pass has stored, read back instead of computed again.
        body: coordinate values to compute, arguments first.
    """

    index: int
    columns: tuple[Node, ...]
    slots: tuple[Node, ...]
    slices: tuple[Node, ...]
    tensor_stores: tuple[tuple[str, Node], ...]
    slice_stores: tuple[tuple[str, Node], ...]
    reductions: tuple[Node, ...]
    stores: tuple[tuple[str, Node], ...]
    reloads: dict[Node, str]
    body: tuple[Node, ...]

    @cached_property
    def loads(self) -> tuple[str, ...]:
        """Streams that it reads, each once."""
        names = [
            self.reloads[n] if n in self.reloads else n.name for n in self.body if n in self.reloads or n.op == "input"
        ]
        return tuple(dict.fromkeys(names))

    @property
    def walks(self) -> bool:
        """Whether it goes over memory at all; else only values of tensors, rows and the like are new in it."""
        return bool(self.stores or self.reductions)

    def count_bytes(self, widths: Mapping[str, int]) -> tuple[int, int]:
        """Bytes read and written a coordinate.

        Args:
            widths: bytes of one coordinate of each stream.
        """
        return sum(widths[s] for s in self.loads), sum(widths[s] for s, _ in self.stores)

    @property
    def operations(self) -> int:
        """Arithmetic operations a coordinate."""
        done = sum(WORDS[n.op].cost for n in self.body if n.op in WORDS and n not in self.reloads)
        return done + 2 * len(self.reductions)


@dataclass(frozen=True, eq=False)
class Program:
    """A step as passes.

    Args:
        step: the graph that it came from.
        passes: in order.
        streams: what has a value a coordinate: ``p``, ``g``, then the states.
        tensor_states: states with one float64 a tensor.
        slice_states: states with one value a row, a column or the like.
        inputs: names of the host inputs, in the order of the input table's columns: hyper-parameters, step counts,
            states that are one value for a group or for all, and sums over a group.
        columns: uniform table's column of each host or group value.
        slots: tensor slot of each tensor value and of each reduction.
        slices: number of each slice value that outlives its pass's beginning, and of each reduction over slices.
        axes: the tensor's axes, those together that every slice value has together, without those that are known to
            be of length 1; empty without slices.
        totals: place of each reduction over all tensors.
        group_sums: name of the input that holds each reduction over a group's tensors, once it is known.
    """

    step: StepGraph
    passes: tuple[Pass, ...]
    streams: tuple[str, ...]
    tensor_states: tuple[str, ...]
    slice_states: tuple[str, ...]
    inputs: tuple[str, ...]
    columns: dict[Node, int]
    slots: dict[Node, int]
    slices: dict[Node, int]
    axes: tuple[tuple[int, ...], ...]
    totals: dict[Node, int]
    group_sums: dict[Node, str]

    @property
    def shared(self) -> dict[str, Node]:
        """New value of each state that is one for a group or for all, by letter; a host value or a constant."""
        return self.step.shared

    @property
    def states(self) -> tuple[str, ...]:
        """Letters of all live states that each tensor has of its own."""
        return self.streams[2:] + self.tensor_states + self.slice_states

    @property
    def declared(self) -> dict[str, State]:
        """What the rule, or the option that needs it, says of each live state, by letter."""
        return self.step.declared

    def find_passes(self, sums: Iterable[Node]) -> tuple[int, ...]:
        """During which pass each sum is taken; batches that share sums over many tensors must agree in it."""
        return tuple(p.index for node in sums for p in self.passes if node in p.reductions)

    @cached_property
    def chains(self) -> tuple[tuple[int, ...], ...]:
        """Passes that need not wait for all tensors: within a chain, each waits for sums over single tensors only.

        A backend may run a chain over a few tensors at a time, while they are still in the cache.
        """
        chains = [[0]]
        for step in self.passes[1:]:
            follows = any(n.rate is Rate.GROUP and n.stage for n in step.columns)
            if follows or (self.step.guarded and step.index == 1):
                chains.append([])
            chains[-1].append(step.index)
        return tuple(map(tuple, chains))

    @property
    def price(self) -> tuple[int, int, int]:
        """Passes, streams moved and states: what folding a zero must lower to be worth a program of its own."""
        moved = sum(len(p.loads) + len(p.stores) for p in self.passes)
        return len(self.passes), moved, len(self.states) + len(self.shared)


def compile_passes(step: StepGraph) -> Program:
    """Cut a step's graph into passes.

    Args:
        step: the woven, rewritten graph.
    """
    slower = step.tensor_states | step.slice_states.keys()
    coordinate = {"p": step.p} | {k: n for k, n in step.states.items() if k not in slower}
    slow_states = {k: n for k, n in step.states.items() if k in slower}
    tensor_states = tuple(k for k in slow_states if k in step.tensor_states)
    slice_states = tuple(k for k in slow_states if k in step.slice_states)
    first = step.nonfinite.stage if step.guarded else 0
    # the woven sums come first, so that the programs of all buckets number their totals alike
    sums = [step.nonfinite, *([step.squares] if step.squares else []), *step.watched.values()]
    roots = [*sums, step.p, *step.states.values(), *step.shared.values()]
    due = _schedule(roots)
    reductions = [n for n in walk(roots) if n.op == "reduce" and n.args[0].rate is not Rate.SLICE]
    stored = {k: max(n.stage, first) for k, n in coordinate.items() if n.op != "input" or n.name != k}
    # what is watched costs no stream of its own: norms of p and of its move are taken where p is written
    used = {a for n in walk(roots) for a in n.args}
    due |= {n: stored["p"] + 1 for name, n in step.watched.items() if name != "grad" and n not in used}
    read = {n.name: k for n, k in due.items() if n.op == "input"}  # no state is written before its old value is read
    slow_pass = {k: max(due.get(n, 0), read.get(k, 0), first) for k, n in slow_states.items()}
    known = [*(due.get(n, 0) for n in step.shared.values()), *(due[r] - 1 for r in reductions)]
    count = 1 + max([*stored.values(), *slow_pass.values(), *known])
    bodies = _settle_stores(coordinate, stored, {r: due[r] - 1 for r in reductions}, count)

    totals = {n: i for i, n in enumerate(r for r in reductions if r.over == "all")}
    group_sums = {n: f"group sum {i}" for i, n in enumerate(r for r in reductions if r.over == "group")}
    edges = [a for body, _ in bodies for a in _outer_values(body)] + list(slow_states.values())
    edges += [n for n in (*coordinate.values(), *step.shared.values()) if n.rate is not Rate.COORDINATE]
    remembered = [n for n in walk(roots) if n.op == "input" and n.name in slow_states]
    lasting = [*reductions, *remembered, *edges, *_find_lasting(roots, due)]
    slices = _number(n for n in lasting if n.rate is Rate.SLICE)
    slots = _number(n for n in lasting if n.rate is Rate.TENSOR or n in totals or n in group_sums)
    below = (a for n in walk([*slots, *slices]) if n.rate in _SLOW and n not in reductions for a in n.args)
    columns = _number(n for n in (*edges, *below) if n.rate <= Rate.GROUP and n.op != "const")
    inputs = _list_inputs(columns, group_sums)

    passes = []
    for k, (body, reloads) in enumerate(bodies):
        passes.append(
            Pass(
                index=k,
                columns=tuple(n for n in columns if due.get(n, 0) == k),
                slots=tuple(n for n in slots if due.get(n, 0) == k and n not in reductions),
                slices=tuple(n for n in slices if due.get(n, 0) == k and n not in reductions),
                tensor_stores=tuple((s, slow_states[s]) for s in tensor_states if slow_pass[s] == k),
                slice_stores=tuple((s, slow_states[s]) for s in slice_states if slow_pass[s] == k),
                reductions=tuple(r for r in reductions if due[r] - 1 == k),
                stores=tuple((s, n) for s, n in coordinate.items() if stored.get(s) == k),
                reloads=reloads,
                body=body,
            )
        )
    streams = ("p", "g", *(k for k in coordinate if k != "p"))
    axes = _join_axes(step.graph.long, {n.axes for n in walk([*slots, *slices]) if n.axes})
    return Program(step, tuple(passes), streams, tensor_states, slice_states,
                   inputs, columns, slots, slices, axes, totals, group_sums)  # fmt: skip


_SLOW = (Rate.TENSOR, Rate.SLICE)


def _number(nodes: Iterable[Node]) -> dict[Node, int]:
    return {n: i for i, n in enumerate(dict.fromkeys(nodes))}


def _find_lasting(roots: list[Node], due: dict[Node, int]) -> list[Node]:
    """Values of tensors and slices that a later pass's beginning uses, where a state below them may have changed."""
    users = [n for n in walk(roots) if n.rate in _SLOW]
    return [a for n in users for a in n.args if a.rate in _SLOW and a in due and due[a] < due[n]]


def _join_axes(axes: frozenset[int], sets: set[frozenset[int]]) -> tuple[tuple[int, ...], ...]:
    """The axes in order, those together that all sets have, or lack, together: such axes are one to a kernel."""
    groups: list[list[int]] = []
    for axis in sorted(axes) if sets else ():
        if groups and all((axis in s) == (groups[-1][-1] in s) for s in sets):
            groups[-1].append(axis)
        else:
            groups.append([axis])
    return tuple(map(tuple, groups))


def _schedule(roots: list[Node]) -> dict[Node, int]:
    """The pass before which each reduction, group and tensor value is computed: as late as its users allow.

    A norm of ``p`` that is first used after a later pass is taken in that pass, which may read ``p`` anyway.
    """
    due: dict[Node, int] = {}
    for node in reversed(list(walk(roots))):
        own = due.get(node, node.stage) if node.rate is not Rate.COORDINATE else node.stage
        if node.rate in (Rate.GROUP, *_SLOW):
            due[node] = own = max(own, node.stage)
        for arg in node.args:
            if arg.rate in (Rate.GROUP, *_SLOW):
                latest = own - 1 if node.op == "reduce" and arg.rate is not Rate.SLICE else own
                due[arg] = min(due.get(arg, latest), latest)
    return due


def _settle_stores(
    coordinate: dict[str, Node], stored: dict[str, int], taken: dict[Node, int], count: int
) -> list[tuple[tuple[Node, ...], dict[Node, str]]]:
    """Decide in which pass each stream is written; ``stored`` is raised where a later pass reads the old value.

    Returns:
        For each pass the coordinate nodes that it computes, and those that it reads back.
    """
    while True:
        bodies, moved = [], False
        for k in range(count):
            reloads = {n: s for s, n in coordinate.items() if s != "p" and stored.get(s, k) < k and n.op != "input"}
            roots = [n for s, n in coordinate.items() if stored.get(s) == k] + [
                r.args[0] for r, at in taken.items() if at == k
            ]
            stop = frozenset(reloads)
            body = tuple(n for n in walk(roots, cut=stop | _slower(roots)) if n.rate is Rate.COORDINATE)
            bodies.append((body, {n: s for n, s in reloads.items() if n in body}))
            for node in body:
                if node.op == "input" and stored.get(node.name, count) < k:
                    stored[node.name], moved = k, True
        if not moved:
            return bodies


def _slower(roots: Iterable[Node]) -> frozenset[Node]:
    """Nodes below the roots that are not computed in the pass itself."""
    return frozenset(n for n in walk(roots) if n.rate is not Rate.COORDINATE)


def _list_inputs(columns: Iterable[Node], group_sums: Mapping[Node, str]) -> tuple[str, ...]:
    """Names of what the uniform table is computed from, each once."""
    names = [n.name for n in walk(columns) if n.op == "input" and n.rate <= Rate.GROUP]
    return tuple(dict.fromkeys([*names, *group_sums.values()]))


def _outer_values(body: tuple[Node, ...]) -> list[Node]:
    """Values of slower rates that a pass's coordinates use."""
    return list(dict.fromkeys(a for n in body for a in n.args if a.rate is not Rate.COORDINATE))
