"""The graph that a formula becomes: nodes, the rate at which each runs, and the pass behind which it stands."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum


class Rate(IntEnum):
    """How often a value is computed in one step of the optimizer."""

    HOST = 0
    """Once for each distinct pair of group values and step count: hyper-parameters, ``1 - b1**t``."""
    GROUP = 1
    """What follows a reduction over all tensors or over a group's, such as a global clip factor; and states that are
    one value for them."""
    TENSOR = 2
    """Once a tensor: what follows a reduction over one tensor, such as a trust ratio."""
    SLICE = 3
    """Once for each index along some of a tensor's axes: what follows a reduction over rows or columns."""
    COORDINATE = 4
    """Once a coordinate."""


BOOLEAN = frozenset({"lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not"})
"""Words whose result is true or false."""


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """One value of a formula. Equality is identity; a ``Graph`` interns equal nodes.

    Args:
        op: ``"input"``, ``"const"``, ``"reduce"`` or a word of ``descend.lang.words``.
        args: the values that it is computed from.
        name: of an input (``"p"``, ``"lr"``), or what a reduction computes (``"sum"``, ``"sumsq"``, ``"largest"``,
            ``"nonfinite"``).
        over: of a reduction: ``"tensor"``, ``"group"`` for the tensors of one parameter group, or ``"all"``.
        value: of a constant.
        rate: how often it is computed.
        stage: how many passes over memory must have ended before it can be computed.
        axes: of a slice value the axes along which it differs; of the input ``"size"`` those that are counted.
        wait: of a reduction: how many passes must have ended before the one that takes it.
    """

    op: str
    args: tuple["Node", ...] = ()
    name: str = ""
    value: float = 0.0
    rate: Rate = Rate.HOST
    stage: int = 0
    axes: frozenset[int] = frozenset()
    over: str = ""
    wait: int = 0

    @property
    def boolean(self) -> bool:
        """Whether the value is true or false rather than a number."""
        return self.op in BOOLEAN

    @property
    def per_tensor(self) -> bool:
        """For a reduction: over one tensor or its slices (else over those of a group or of the whole optimizer)."""
        return self.over == "tensor"


@dataclass
class Graph:
    """Makes nodes, the same one for the same expression.

    Args:
        dims: number of axes of the tensors that the formula steps.
        wait: how many passes must have ended before one that takes a formula's sum over many tensors: those of all
            shapes take it in the same pass, though some know sooner what they add.
        singletons: axes of length 1, along which nothing differs.
        inner: the axis along which compiled loops run where the last ones are short.
        short: sizes of the axes behind it, if known.
    """

    dims: int = 2
    wait: int = 0
    singletons: frozenset[int] = frozenset()
    inner: int | None = None
    short: tuple[int, ...] = ()
    _nodes: dict[tuple[object, ...], Node] = field(default_factory=dict)

    @property
    def long(self) -> frozenset[int]:
        """The axes along which coordinates differ; the first, if none does."""
        return frozenset(range(self.dims)) - self.singletons or frozenset({0})

    def input(self, name: str, rate: Rate, axes: frozenset[int] = frozenset()) -> Node:
        """A value that comes from outside: a stream, a state, a hyper-parameter."""
        return self._intern("input", (), name, 0.0, rate, 0, axes)

    def const(self, value: float) -> Node:
        """A number written in the formula."""
        return self._intern("const", (), "", float(value), Rate.HOST, 0)

    def apply(self, op: str, *args: Node) -> Node:
        """A word applied to values; runs at the rate of its fastest argument, row times column at every coordinate."""
        rate = max((a.rate for a in args), default=Rate.HOST)
        axes = frozenset().union(*(a.axes for a in args if a.rate is Rate.SLICE)) if rate is Rate.SLICE else frozenset()
        if rate is Rate.SLICE and axes == self.long:
            rate, axes = Rate.COORDINATE, frozenset()
        return self._intern(op, args, "", 0.0, rate, max((a.stage for a in args), default=0), axes)

    def spread(self, op: str, *args: Node) -> Node:
        """A word applied to values at every coordinate, though its arguments differ along fewer axes."""
        return self._intern(op, args, "", 0.0, Rate.COORDINATE, max((a.stage for a in args), default=0))

    def reduce(self, name: str, arg: Node, *, over: str, kept: frozenset[int] = frozenset(), wait: int = 0) -> Node:
        """A sum over the coordinates of one tensor, of a group's tensors or of all; known one pass later.

        Args:
            name: ``"sum"``, ``"sumsq"``, ``"largest"`` or ``"nonfinite"``.
            arg: what is added up: a coordinate value, or a slice value, whose sum is known in the same pass.
            over: ``"tensor"``, ``"group"`` or ``"all"``.
            kept: axes along which the result still differs.
            wait: how many passes must have ended before the one that takes it.
        """
        rate = (Rate.SLICE if kept else Rate.TENSOR) if over == "tensor" else Rate.GROUP
        stage = max(arg.stage, wait) + (arg.rate is not Rate.SLICE)
        return self._intern("reduce", (arg,), name, 0.0, rate, stage, kept, over, wait)

    def _intern(
        self,
        op: str,
        args: tuple[Node, ...],
        name: str,
        value: float,
        rate: Rate,
        stage: int,
        axes: frozenset[int] = frozenset(),
        over: str = "",
        wait: int = 0,
    ) -> Node:
        # repr tells 0.0 from -0.0 and equals itself for NaN, which a float key would not.
        key = (op, *map(id, args), name, repr(value), rate, axes, over, wait)
        if key not in self._nodes:
            self._nodes[key] = Node(op, args, name, value, rate, stage, axes, over, wait)
        return self._nodes[key]


def walk(roots: Iterable[Node], *, cut: frozenset[Node] = frozenset()) -> Iterator[Node]:
    """Every node below the roots, arguments before their users, each once.

    Args:
        roots: where to start.
        cut: nodes that are yielded but not entered.
    """
    seen: set[Node] = set()
    stack: list[tuple[Node, bool]] = [(r, False) for r in reversed(list(roots))]
    while stack:
        node, ready = stack.pop()
        if ready:
            yield node
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            if node not in cut:
                stack.extend((a, False) for a in reversed(node.args) if a not in seen)
