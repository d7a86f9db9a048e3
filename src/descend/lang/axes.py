"""Slices of a tensor: rows, columns and the like, as the axes along which a value differs."""

from descend.errors import RuleError, did_you_mean, message
from descend.lang.graph import Graph, Node, Rate

NAMED = ("rows", "columns", "matrices")


def find_kept(over: str | int, dims: int, what: str) -> frozenset[int]:
    """The axes along which a reduction's result still differs.

    Args:
        over: ``"rows"``, ``"columns"`` or ``"matrices"`` of the last two axes, or the axis that stays.
        dims: number of axes of the tensor.
        what: the word, for messages.

    Raises:
        RuleError: if the tensor has no such slices.
    """
    if isinstance(over, bool) or (isinstance(over, str) and over not in NAMED):
        allowed = ["tensor", "group", "all", *NAMED]
        raise RuleError(message(f"over= of {what}()", got=over, do=did_you_mean(str(over), allowed)))
    if isinstance(over, int):
        if not 0 <= over < dims:
            raise RuleError(message(f"over= of {what}()", got=over, allowed=f"an axis, 0 to {dims - 1}"))
        return frozenset({over})
    if dims < 2:
        raise RuleError(
            message(f"{what}(x, over={over!r}): a vector has no {over}", do="Write `if dims > 1:` around it")
        )
    lost = {"rows": {dims - 1}, "columns": {dims - 2}, "matrices": {dims - 2, dims - 1}}[over]
    return frozenset(range(dims)) - lost


def list_axes(node: Node, graph: Graph) -> frozenset[int]:
    """The axes along which a value differs."""
    if node.rate is Rate.SLICE:
        return node.axes
    return graph.long if node.rate is Rate.COORDINATE else frozenset()


def reduce_slices(graph: Graph, name: str, arg: Node, spanned: frozenset[int], kept: frozenset[int]) -> Node:
    """A reduction over one tensor or its slices, also of a value that differs along fewer axes than it is taken over.

    Args:
        graph: where nodes are made.
        name: ``"sum"``, ``"sumsq"`` or ``"largest"``.
        arg: the value.
        spanned: the axes over which the value is laid out; it may be constant along some of them.
        kept: axes along which the result still differs.
    """
    own = list_axes(arg, graph)
    if own - kept:
        result = graph.reduce(name, arg, over="tensor", kept=kept & own)
    else:
        result = graph.apply("mul", arg, arg) if name == "sumsq" else arg
    repeated = spanned - own - kept
    if not repeated or name == "largest":
        return result
    return graph.apply("mul", result, count_elements(graph, repeated))


def count_elements(graph: Graph, axes: frozenset[int]) -> Node:
    """Number of elements along some axes of a tensor, or of the whole tensor."""
    return graph.input("size", Rate.TENSOR, axes if axes != graph.long else frozenset())
