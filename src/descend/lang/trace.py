"""Tracing: a formula is called once with symbols, and what it does to them becomes its graph."""

import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from descend.errors import DescendError, RuleError, did_you_mean, message
from descend.lang.graph import Graph, Node, Rate
from descend.lang.rule import Rule
from descend.lang.rule_states import check_states, flatten, make_states
from descend.lang.symbol import Symbol, as_number, lift, public_words


@dataclass(frozen=True)
class Structure:
    """Everything that decides the shape of a step's graph, as opposed to the numbers in it.

    Args:
        options: structural hyper-parameters by name; None for an optional number that is absent.
        zeros: host inputs that are folded to zero because that saves a state, a stream or a pass.
        decay: ``"l2" | "decoupled" | "independent" | "corrected" | "own"``, or None without.
        maximize: whether the objective is maximised.
        unscale: whether gradients carry a loss scale.
        clip_norm: whether the global norm of the gradients is capped.
        clip_value: whether each gradient is clamped.
        guard: whether nothing may be written before all gradients are known to be finite.
        watch: whether the norms of gradients, parameters and updates are taken on the way.
        narrow: whether parameters are stored with fewer bits than the arithmetic has.
        rounding: how a narrow parameter is rounded: ``"stochastic" | "compensated"``, else to nearest.
        count_lost: whether the steps that rounding takes away are counted on the way, for narrow parameters.
        ema: whether an average of the parameters is kept.
        idle: whether the step is one without gradient, such as a row of a sparse gradient misses.
        woven: names of the options of ``descend.lang.woven`` that are in use.
        dims: number of the tensor's axes, at least 1, where anything depends on it.
        singletons: its axes of length 1, where a program of its own is worth it: rows of one coordinate are
            coordinates, and need no sums and no walk over rows.
        inner: the axis along which compiled loops run where the last ones are short, as a convolution's are.
        short: sizes of the axes behind ``inner``, where kernels of their own are made for these.
    """

    options: tuple[tuple[str, Any], ...] = ()
    zeros: frozenset[str] = frozenset()
    decay: str | None = None
    maximize: bool = False
    unscale: bool = False
    clip_norm: bool = False
    clip_value: bool = False
    guard: bool = False
    watch: bool = False
    narrow: bool = False
    rounding: str | None = None
    count_lost: bool = False
    ema: bool = False
    idle: bool = False
    woven: frozenset[str] = frozenset()
    dims: int = 2
    singletons: frozenset[int] = frozenset()
    inner: int | None = None
    short: tuple[int, ...] = ()


@dataclass
class Trace:
    """What one call of a formula yielded.

    Args:
        graph: the nodes.
        delta: what is added to ``p``.
        states: new value of each state, by letter.
        names: the formula's own names for its values in the order of assignment, for setting it in type.
    """

    graph: Graph
    delta: Node
    states: dict[str, Node]
    names: dict[str, Any] = field(default_factory=dict)


def trace(rule: Rule, structure: Structure, graph: Graph, p: Symbol, g: Symbol) -> Trace:
    """Call the formula with symbols.

    Args:
        rule: the method.
        structure: which branches it takes.
        graph: where nodes are made.
        p: the parameter, undecayed.
        g: the gradient, as the woven features leave it.

    Raises:
        RuleError: if the formula does something that it cannot; names the rule and the line.
    """
    arguments = make_arguments(rule, structure, graph) | {"p": p, "g": g}
    letters = inspect.signature(rule.formula).parameters
    if "t" in letters:
        arguments["t"] = Symbol(graph.input("t", Rate.HOST), graph)
    if "dims" in letters:
        arguments["dims"] = graph.dims
    result, names = _call(rule, arguments)
    values = result if isinstance(result, tuple | list) else (result,)
    _check_results(rule, values, names)
    nodes = [_lift_result(rule, v, graph) for v in flatten(rule, values, graph.dims)]
    states = dict(zip(rule.list_states(graph.dims), nodes[1:], strict=True))
    check_states(rule, graph, nodes[0], states)
    return Trace(graph, nodes[0], states, names)


def make_arguments(rule: Rule, structure: Structure, graph: Graph) -> dict[str, Any]:
    """What stands for the parameter, the states and the hyper-parameters."""
    p = Symbol(graph.input("p", Rate.COORDINATE), graph)
    return {"p": p, **make_states(rule, graph), **_make_hypers(rule, structure, graph)}


def trace_value(rule: Rule, function: Callable[..., Any], arguments: Mapping[str, Any], graph: Graph) -> Node:
    """What a function of one coordinate that belongs to a rule yields.

    Raises:
        RuleError: if it does something that it cannot.
    """
    try:
        return _lift_result(rule, function(**arguments), graph)
    except Exception as error:
        raise _explain(rule, error) from error


def _make_hypers(rule: Rule, structure: Structure, graph: Graph) -> dict[str, Any]:
    def number(name: str) -> Symbol:
        if name in structure.zeros or (name == "weight_decay" and structure.decay != "own"):
            return Symbol(graph.const(0.0), graph)
        return Symbol(graph.input(name, Rate.HOST), graph)

    fixed = dict(structure.options)
    made: dict[str, Any] = {}
    for name, hyper in rule.hypers.items():
        if name in fixed:
            made[name] = fixed[name]
        elif hyper.is_tuple:
            parts = [f"{name}[{i}]" for i in range(len(hyper.ranges))]
            made[name] = tuple(None if part in fixed else number(part) for part in parts)
        else:
            made[name] = number(name)
    return made


def _call(rule: Rule, arguments: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    names: dict[str, Any] = {}

    def watch(frame: FrameType, event: str, _: Any) -> None:
        if event == "return" and frame.f_code is rule.formula.__code__:
            names.update(frame.f_locals)

    previous = sys.getprofile()
    sys.setprofile(watch)
    try:
        return rule.formula(**arguments), names
    except Exception as error:
        raise _explain(rule, error) from error
    finally:
        sys.setprofile(previous)


def _explain(rule: Rule, error: Exception) -> RuleError:
    code = rule.formula.__code__
    frames = [
        (f, line) for f, line in traceback.walk_tb(error.__traceback__) if f.f_code.co_filename == code.co_filename
    ]
    line = frames[-1][1] if frames else code.co_firstlineno
    where = f"rule {rule.name!r}, {code.co_filename}, line {line}"
    if isinstance(error, NameError) and error.name:
        return RuleError(f"{where}: no word {error.name!r}. {did_you_mean(error.name, public_words())}")
    if isinstance(error, DescendError):
        return RuleError(f"{where}: {error}")
    hint = f"A formula may use + - * / ** abs() and {', '.join(public_words())} of descend.lang."
    return RuleError(f"{where}: {type(error).__name__}: {error}. {hint}")


def _lift_result(rule: Rule, value: Any, graph: Graph) -> Node:
    try:
        return as_number(lift(value, graph), graph)
    except RuleError as error:
        allowed = "expressions of the formula's arguments, and numbers"
        raise RuleError(message(f"{rule.place} returns {value!r}, which is no value", allowed=allowed)) from error


def _check_results(rule: Rule, values: Any, names: Mapping[str, Any]) -> None:
    letters = list(rule.states)
    expected = ", ".join(["what is added to p", *(f"new {letter}" for letter in letters)])
    if len(values) == 1 and values[0] is None:
        raise RuleError(message(f"{rule.place} returns nothing", allowed=expected, do="End the formula with `return`"))
    if len(values) != 1 + len(letters):
        nodes = [v.node for v in values if isinstance(v, Symbol)]
        lost = [x for x in letters if isinstance(names.get(x), Symbol) and names[x].node not in nodes]
        hint = f"The state {lost[0]!r} is never returned" if lost and len(values) <= len(letters) else ""
        raise RuleError(
            message(
                f"{rule.place} returns {len(values)} value(s)",
                allowed=f"{1 + len(letters)}: {expected}",
                do=hint,
            )
        )
    for letter, value in zip(letters, values[1:], strict=True):
        own = names.get(letter)
        other = next(
            (x for x in letters if x != letter and isinstance(names.get(x), Symbol) and names[x] is value),
            None,
        )
        if other is not None and own is not value:
            raise RuleError(
                message(
                    f"{rule.place} returns {other!r} where the new {letter!r} belongs",
                    allowed=f"the order of the parameters: {expected}",
                )
            )
