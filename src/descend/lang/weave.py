"""Weaving: what every optimizer offers, put before or after its rule as a few symbols each.

The order of a step, in one place:
unscale -> clip by global norm -> maximize -> clip by value -> centralize -> clip by units -> Grokfast -> L2 decay ->
rule -> clip by RMS -> cautious mask -> decoupled decay -> write, rounded -> average of what was written.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from descend.errors import UnknownOptionError, did_you_mean
from descend.lang.functions import clamp, minimum, norm
from descend.lang.graph import Graph, Node, Rate, walk
from descend.lang.parameter_write import read_exact, write_parameter
from descend.lang.rewrite import simplify, spread_products
from descend.lang.rule import Rule, State
from descend.lang.symbol import Symbol
from descend.lang.trace import Structure, Trace, trace
from descend.lang.woven import (
    GRAD_EMA,
    amplify_slow,
    as_symbol,
    clip_by_rms,
    clip_units,
    find_woven,
    keep_agreeing,
    list_hypers,
    list_states,
    subtract_mean,
)

CLIP_EPS = 1e-6
"""Added to the gradient norm before it divides, as in torch.nn.utils.clip_grad_norm_."""


@dataclass(frozen=True)
class StepGraph:
    """Everything that one step computes.

    Args:
        graph: the nodes.
        p: the new parameter.
        states: new value of each live state, by letter.
        declared: what the rule, or the option that needs it, says of each of them.
        shared: new value of each live state that is one for a group or for all, by letter.
        nonfinite: number of non-finite gradients over all tensors.
        squares: sum of the squared gradients over all tensors, where their norm is clipped.
        guarded: whether nothing may be written before ``nonfinite`` is known.
        watched: sums that are taken on the way, by name; nothing depends on them.
    """

    graph: Graph
    p: Node
    states: dict[str, Node]
    declared: dict[str, State]
    shared: dict[str, Node]
    nonfinite: Node
    squares: Node | None
    guarded: bool
    watched: dict[str, Node]

    @property
    def tensor_states(self) -> frozenset[str]:
        """Letters of the states that are one value a tensor."""
        return frozenset(k for k, state in self.declared.items() if state.rate == "tensor")

    @property
    def slice_states(self) -> dict[str, frozenset[int]]:
        """The axes along which those states differ that are one value a row, a column or the like, by letter.

        None, where all axes that such a state has are of length 1.
        """
        axes = {k: state.find_axes(self.graph.dims) for k, state in self.declared.items()}
        return {k: own & self.graph.long for k, own in axes.items() if own and not own >= self.graph.long}


def weave(rule: Rule, structure: Structure) -> StepGraph:
    """The whole step of a rule under a structure, rewritten and without its dead states.

    Raises:
        RuleError: if the formula does something that it cannot.
    """
    graph = Graph(structure.dims, singletons=structure.singletons, inner=structure.inner, short=structure.short)

    def host(name: str) -> Symbol:
        return Symbol(graph.input(name, Rate.HOST), graph)

    stored_p = Symbol(graph.input("p", Rate.COORDINATE), graph)
    p = read_exact(structure, graph, stored_p)
    g = Symbol(graph.const(0.0) if structure.idle else graph.input("g", Rate.COORDINATE), graph)
    nonfinite = graph.reduce("nonfinite", stored_p.node if structure.idle else g.node, over="all")
    plain_g = g / host("grad_scale") if structure.unscale else g
    g, length, remembered = _prepare(plain_g, p, structure, host)
    if "centralize" in structure.woven:  # a matrix knows its gradient a pass later than a vector
        graph.wait = g.node.stage + (graph.dims == 1)
    total = nonfinite if length is None else length.node.args[0]
    traced = trace(rule, structure, graph, p, g)
    remembered |= traced.states
    own = delta = Symbol(traced.delta, graph)

    def stride(name: str) -> Symbol:
        step_size = traced.names.get(rule.step_size) if name == "lr" else None
        return step_size if isinstance(step_size, Symbol) else host(name)

    if "clip_update" in structure.woven:
        delta = clip_by_rms(delta, stride)
    if "cautious" in structure.woven:
        delta = keep_agreeing(delta, own, g)
    new_p = _decay(structure.decay, p, stride) + delta
    sizes = {"grad": plain_g, "param": p, "update": new_p - p} if structure.watch else {}
    watched = {name: graph.reduce("sumsq", x.node, over="tensor") for name, x in sizes.items()}
    written = write_parameter(structure, graph, stored_p, new_p, delta)
    watched |= written.sums
    woven = {k: s.node for k, s in written.states.items()}
    wanted = [total, written.p.node, *watched.values(), *woven.values(), *remembered.values()]
    total, plain_p, *rest = spread_products(graph, simplify(graph, wanted))
    plain = iter(rest)
    watched = dict(zip(watched, plain, strict=False))
    woven = dict(zip(woven, plain, strict=False))
    whole = weave(rule, replace(structure, zeros=frozenset())) if structure.zeros else None
    known = list_states(rule, structure.dims)
    live = _drop_dead_states(plain_p, dict(zip(remembered, plain, strict=True)), whole)
    shared = {k: n for k, n in live.items() if known[k].shared}
    states = {k: n for k, n in live.items() if k not in shared} | woven
    declared = {k: known[k] for k in states}
    squares = total if structure.clip_norm else None
    return StepGraph(graph, plain_p, states, declared, shared, nonfinite, squares, structure.guard, watched)


def _prepare(
    g: Symbol, p: Symbol, structure: Structure, host: Callable[[str], Symbol]
) -> tuple[Symbol, Symbol | None, dict[str, Node]]:
    """What comes before the rule: the gradient that it sees.

    Returns:
        The gradient, its norm over all tensors if that is clipped, and new states by letter.
    """
    length, remembered = None, dict[str, Node]()
    if structure.clip_norm:
        length = norm(g, over="all")
        g = as_symbol(minimum(1.0, host("clip_norm") / (length + CLIP_EPS)) * g)
    if structure.maximize:
        g = -g
    if structure.clip_value:
        g = as_symbol(clamp(g, -host("clip_value"), host("clip_value")))
    if "centralize" in structure.woven:
        g = subtract_mean(g)
    if "clip_adaptive" in structure.woven:
        g = as_symbol(clip_units(g, p, host))
    if "grokfast" in structure.woven:
        g, slow = amplify_slow(g, host)
        remembered[GRAD_EMA] = slow.node
    if structure.decay == "l2":
        g = g + host("weight_decay") * p
    return g, length, remembered


def _decay(kind: str | None, p: Symbol, host: Callable[[str], Symbol]) -> Symbol:
    if kind == "decoupled":  # p (1 - lr wd), Loshchilov & Hutter 2019 with the schedule in lr
        return p * (1 - host("lr") * host("weight_decay"))
    if kind == "independent":  # p (1 - wd lr/lr_0): lr_0 is where the schedule starts
        return p * (1 - host("weight_decay") * host("lr_ratio"))
    if kind == "corrected":  # p (1 - wd lr^2/lr_max), Defazio 2025
        return p * (1 - host("weight_decay") * (host("lr") * host("lr_over_max")))
    return p


def _drop_dead_states(p: Node, states: dict[str, Node], whole: StepGraph | None) -> dict[str, Node]:
    """The states that the parameter's path reads, now or in a later step; and those that a rule only records.

    Args:
        p: the new parameter.
        states: new value of each state, by letter.
        whole: the step without folded zeros, if any were folded: what it reads and this step does not is needless.
    """
    live = _find_live(p, states)
    read = _find_live(whole.p, {**whole.states, **whole.shared}) if whole else live
    recorded = {k for k, n in states.items() if k not in read and not (n.op == "input" and n.name == k)}
    return {k: n for k, n in states.items() if k in live | recorded}


def _find_live(p: Node, states: dict[str, Node]) -> set[str]:
    live: set[str] = set()
    pending = [p]
    while pending:
        for node in walk([pending.pop()]):
            if node.op == "input" and node.name in states and node.name not in live:
                live.add(node.name)
                pending.append(states[node.name])
    return live


def trace_plain(rule: Rule, structure: Structure | None = None) -> tuple[Trace, dict[str, Node]]:
    """The formula alone as it was written: for setting it in type.

    Args:
        rule: the method.
        structure: which branches to take; by default those of the default options.

    Returns:
        The trace, and its inputs by letter.
    """
    chosen = structure or default_structure(rule)
    graph = Graph(chosen.dims)
    p, g = (Symbol(graph.input(letter, Rate.COORDINATE), graph) for letter in "pg")
    return trace(rule, chosen, graph, p, g), {"p": p.node, "g": g.node}


def default_structure(rule: Rule, **options: object) -> Structure:
    """The structure of a rule's default options, some of them replaced.

    Raises:
        OptionError: if the rule has no such option, or it may not have that value.
    """
    hypers = list_hypers(rule)
    dims = options.pop("dims", 2)
    assert isinstance(dims, int)
    for name, value in options.items():
        if name not in hypers:
            raise UnknownOptionError(f"{rule.name} has no hyper-parameter {name!r}. {did_you_mean(name, hypers)}")
        hypers[name].check(value, rule.name)
    values = {**rule.defaults, **options}
    fixed = tuple(pair for n, h in rule.hypers.items() for pair in h.split(values[n])[0].items())
    return Structure(options=fixed, decay=rule.decay, woven=find_woven(values), dims=dims)
