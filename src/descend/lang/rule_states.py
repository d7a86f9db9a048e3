"""A rule's states as its formula sees them: what it is called with, and whether what it returns fits."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from descend.errors import RuleError, message
from descend.lang.axes import list_axes
from descend.lang.graph import Graph, Node, Rate, walk
from descend.lang.rule import Rule, State
from descend.lang.symbol import Symbol


def make_states(rule: Rule, graph: Graph) -> dict[str, Symbol | tuple[Symbol, ...]]:
    """A symbol for each state's letter; a tuple of them for one of ``rate="axes"``."""
    made = {letter: Symbol(_make_input(graph, letter, s), graph) for letter, s in rule.list_states(graph.dims).items()}
    return {
        letter: tuple(made[f"{letter}.{i}"] for i in range(graph.dims)) if state.rate == "axes" else made[letter]
        for letter, state in rule.states.items()
    }


def _make_input(graph: Graph, letter: str, state: State) -> Node:
    if state.shared:
        return graph.input(letter, Rate.GROUP)
    axes = state.find_axes(graph.dims)
    if axes is None or axes >= graph.long:  # what a tensor has not is given as a coordinate that nothing may use
        return graph.input(letter, Rate.COORDINATE)
    differing = axes & graph.long
    return graph.input(letter, Rate.SLICE, differing) if differing else graph.input(letter, Rate.TENSOR)


def flatten(rule: Rule, values: Sequence[Any], dims: int) -> list[Any]:
    """What a formula returned, with the tuples of ``rate="axes"`` laid out.

    Raises:
        RuleError: if such a tuple has not one value for each axis.
    """
    flat = [values[0]]
    for (letter, state), value in zip(rule.states.items(), values[1:], strict=True):
        if state.rate != "axes":
            flat.append(value)
        elif isinstance(value, tuple | list) and len(value) == dims:
            flat.extend(value)
        else:
            raise RuleError(
                message(f"{rule.place}: the new {letter!r}", got=value, allowed=f"a tuple of {dims}, one for each axis")
            )
    return flat


def check_states(rule: Rule, graph: Graph, delta: Node, states: Mapping[str, Node]) -> None:
    """Refuse a new value that differs along axes that its state has not, and the use of a state that a tensor has not.

    Raises:
        RuleError: for such a state, by its letter.
    """
    for letter, node in states.items():
        state = rule.find_state(letter)
        if state.shared:
            _check_shared(rule, letter, node)
        axes = state.find_axes(graph.dims)
        if axes is None:
            _refuse_use(rule, letter, state, [delta, *(n for k, n in states.items() if k != letter or n.args)])
        elif not list_axes(node, graph) <= axes:
            held = f"one value a {state.rate}" if isinstance(state.rate, str) else f"one value along axis {state.rate}"
            raise RuleError(
                message(
                    f"{rule.place}: the state {letter!r} is {held}, but its new value differs along more",
                    do="Declare it without rate=, or reduce the value with sum(), mean() or norm()",
                )
            )


def _refuse_use(rule: Rule, letter: str, state: State, values: Sequence[Node]) -> None:
    if any(n.op == "input" and n.name == letter for n in walk(values)):
        raise RuleError(
            message(
                f"{rule.place}: the state {letter!r} is one value a {state.rate}, and a vector has none",
                do=f"Write `if dims > 1:`, and return {letter} as it came in otherwise",
            )
        )


def _check_shared(rule: Rule, letter: str, node: Node) -> None:
    """Refuse a new value of a group's or the optimizer's state that tensors or groups would disagree about.

    Raises:
        RuleError: for such a state, by its letter.
    """
    rate = rule.states[letter].rate
    what = (
        f"{rule.place}: the state {letter!r} is one value {'a group' if rate == 'group' else 'of the whole optimizer'}"
    )
    if node.rate > Rate.GROUP:
        has = {Rate.TENSOR: "tensor", Rate.SLICE: "slice"}.get(node.rate, "coordinate")
        do = f"Declare it without rate=, or reduce the value with sum() or norm() over={rate!r}"
        raise RuleError(message(f"{what}, but its new value is one a {has}", do=do))
    for below in walk([node], cut=sums_below([node])):
        if below.op == "input" and (below.name == "t" or below.name.startswith("fresh")):
            raise RuleError(
                message(
                    f"{what}, but its new value follows {below.name}, which each tensor has of its own",
                    do=f"Use t within the sums alone, or count in a state with rate={rate!r}",
                )
            )
        theirs = below.over == "group" or (below.name in rule.states and rule.states[below.name].rate == "group")
        if rate == "all" and theirs:
            raise RuleError(
                message(f"{what}, but its new value follows one of a group", do='Use over="all" and rate="all"')
            )


def sums_below(roots: Iterable[Node]) -> frozenset[Node]:
    """The reductions below values, at which a walk may stop: what stands behind them is another's matter."""
    return frozenset(n for n in walk(roots) if n.op == "reduce")
