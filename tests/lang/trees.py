"""Random expressions of two coordinate values, x and y, and two host values, h and k."""

from typing import Any

from hypothesis import strategies as st

from descend.lang.graph import Graph, Node, Rate

LEAVES = st.sampled_from(["x", "y", "h", "k", 0.0, 1.0, 2.0, -1.0, 0.5])
UNARY = ["neg", "abs", "sqrt", "sign", "tanh"]
BINARY = ["add", "sub", "mul", "div", "minimum", "maximum", "pow"]
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.tuples(st.sampled_from(UNARY), inner)
        | st.tuples(st.sampled_from(BINARY), inner, inner)
        | st.tuples(st.just("where"), st.tuples(st.sampled_from(["lt", "ge", "eq"]), inner, inner), inner, inner)
    ),
    max_leaves=12,
)


def build(graph: Graph, tree: Any, rates: dict[str, Rate]) -> Node:
    """The node of a tree."""
    if isinstance(tree, float):
        return graph.const(tree)
    if isinstance(tree, str):
        return graph.input(tree, rates[tree])
    op, *parts = tree
    return graph.apply(op, *(build(graph, part, rates) for part in parts))
