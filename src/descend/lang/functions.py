"""The words that are written as functions: ``sqrt(v)``, ``where(t == 1, g, m)``, ``norm(p)``.

Each takes symbols while a formula is traced and plain numbers otherwise, so schedules are written with them too.
"""

from typing import Literal, TypeVar, overload

from descend.errors import RuleError, message
from descend.lang.axes import count_elements, find_kept, list_axes, reduce_slices
from descend.lang.graph import Rate
from descend.lang.symbol import Symbol, apply, as_number
from descend.lang.words import evaluate

Over = Literal["tensor", "group", "all", "rows", "columns", "matrices"] | int
V = TypeVar("V", Symbol, float)


def _word(op: str, *args: Symbol | float) -> Symbol | float:
    if any(isinstance(a, Symbol) for a in args):
        return apply(op, *args)
    return evaluate(op, *args)  # type: ignore[arg-type]


@overload
def sqrt(x: float) -> float: ...
@overload
def sqrt(x: Symbol) -> Symbol: ...
def sqrt(x: Symbol | float) -> Symbol | float:
    """Square root; NaN below zero."""
    return _word("sqrt", x)


def rsqrt(x: Symbol | float) -> Symbol | float:
    """One over the square root."""
    return _word("rsqrt", x)


def sign(x: Symbol | float) -> Symbol | float:
    """-1, 0 or 1; NaN stays NaN."""
    return _word("sign", x)


def exp(x: Symbol | float) -> Symbol | float:
    """The exponential."""
    return _word("exp", x)


def log(x: Symbol | float) -> Symbol | float:
    """The natural logarithm; NaN below zero."""
    return _word("log", x)


def tanh(x: Symbol | float) -> Symbol | float:
    """The hyperbolic tangent."""
    return _word("tanh", x)


def cos(x: Symbol | float) -> Symbol | float:
    """The cosine, of hyper-parameters and step counts only."""
    return _word("cos", x)


def floor(x: Symbol | float) -> Symbol | float:
    """The largest integer not above ``x``, of hyper-parameters and step counts only."""
    return _word("floor", x)


def minimum(x: Symbol | float, y: Symbol | float) -> Symbol | float:
    """The smaller of two; NaN if either is."""
    return _word("minimum", x, y)


def maximum(x: Symbol | float, y: Symbol | float) -> Symbol | float:
    """The larger of two; NaN if either is."""
    return _word("maximum", x, y)


def clamp(x: Symbol | float, low: Symbol | float, high: Symbol | float) -> Symbol | float:
    """``x``, but at least ``low`` and at most ``high``."""
    return minimum(maximum(x, low), high)


def where(condition: Symbol | bool, x: Symbol | float, y: Symbol | float) -> Symbol | float:
    """``x`` where the condition holds, else ``y``."""
    return _word("where", condition, x, y)


def fresh(state: Symbol | float) -> Symbol:
    """Whether this is the first step in the life of a state, when there is nothing to remember yet.

    Not the same as ``t == 1``: a momentum that is switched on later starts its buffer later.
    """
    if not isinstance(state, Symbol) or state.node.op != "input" or state.node.name in ("p", "g", "t"):
        raise RuleError(message("fresh() asks about a state", got=state, do="Pass the state as it came in: fresh(v)"))
    return Symbol(state.graph.input(f"fresh[{state.node.name}]", Rate.HOST), state.graph) != 0


def dtype_eps(p: Symbol | float) -> Symbol:
    """The distance from 1 to the next larger number of the parameter's dtype: 1.2e-7 in float32, 7.8e-3 in bfloat16."""
    # a parameter whose rounding is compensated reaches the formula as the sum of what is stored and what was cut off
    letters = [n.name for n in (p.node, *p.node.args)] if isinstance(p, Symbol) else []
    if not isinstance(p, Symbol) or letters not in (["p"], ["", "p", "rounding_error"]):
        raise RuleError(message("dtype_eps() asks about the parameter", got=p, do="Write dtype_eps(p)"))
    return Symbol(p.graph.input("dtype_eps", Rate.HOST), p.graph)


def sum(x: Symbol | float, over: Over = "tensor") -> Symbol:
    """Sum over the coordinates of the tensor, of more tensors, or of each slice, in float64.

    Args:
        x: coordinates, or what a reduction over slices left of them.
        over: ``"tensor"``, ``"group"`` for all tensors of its parameter group, ``"all"`` for those of the optimizer;
            ``"rows"`` for one value a row (a sum along the last axis), ``"columns"``, ``"matrices"`` for one value a
            matrix of a stack; or an axis, for one value for each index along it.
    """
    return _reduce("sum", "sum", x, over)


def norm(x: Symbol | float, over: Over = "tensor") -> Symbol:
    """Euclidean norm of the tensor, of more tensors, or of each slice, as in ``sum``.

    Squares are taken and added in float64: float32's overflow long before a gradient does.
    """
    return apply("sqrt", _reduce("norm", "sumsq", x, over))


def mean(x: Symbol | float, over: Over = "tensor") -> Symbol:
    """Mean over the coordinates of the tensor, or of each slice, as in ``sum``."""
    return _reduce("mean", "sum", x, over, averaged=True)


def rms(x: Symbol | float, over: Over = "tensor") -> Symbol:
    """Root of the mean square of the tensor, or of each slice; squares are taken in float64."""
    return apply("sqrt", _reduce("rms", "sumsq", x, over, averaged=True))


def largest(x: Symbol | float, over: Over = "tensor") -> Symbol:
    """The largest coordinate of the tensor, or of each slice, as in ``sum``; NaN if any is."""
    return _reduce("largest", "largest", x, over)


def _reduce(word: str, name: str, x: Symbol | float, over: str | int, *, averaged: bool = False) -> Symbol:
    # along axes of length 1 a value of rows may be one of the tensor
    slowest = Rate.TENSOR if isinstance(x, Symbol) and x.graph.singletons else Rate.SLICE
    if not isinstance(x, Symbol) or x.node.rate < slowest:
        raise RuleError(
            message(
                f"{word}() adds up coordinates",
                got=x,
                allowed="an expression of p, g or a state of the tensor",
            )
        )
    graph, node = x.graph, as_number(x.node, x.graph)
    if over in ("group", "all"):
        if averaged or name == "largest" or node.rate is not Rate.COORDINATE:
            raise RuleError(message(f"{word}(over={over!r}) of {x!r}", allowed="sum() and norm() of coordinates"))
        return Symbol(graph.reduce(name, node, over=str(over), wait=graph.wait), graph)
    spanned = list_axes(node, graph)
    kept = frozenset() if over == "tensor" else find_kept(over, graph.dims, word) & graph.long
    if not kept <= spanned:
        raise RuleError(message(f"{word}(x, over={over!r}): {x!r} is the same along an axis that this keeps"))
    result = Symbol(reduce_slices(graph, name, node, spanned, kept), graph)
    return result / Symbol(count_elements(graph, spanned - kept), graph) if averaged and spanned - kept else result
