"""Rewriting: algebra that makes a graph cheaper without changing the order of its arithmetic.

Each rule is one line, its algebra the comment. ``x * 0 = 0`` is applied only to zeros written in the formula or
folded structurally, where no infinity is meant to survive.
"""

from collections.abc import Callable, Iterable

from descend.lang.axes import list_axes, reduce_slices
from descend.lang.graph import Graph, Node, Rate
from descend.lang.words import evaluate

Rewrite = Callable[[Graph, Node], Node | None]


def _is(node: Node, value: float) -> bool:
    return node.op == "const" and node.value == value


RULES: dict[str, list[Rewrite]] = {
    "add": [
        lambda _, n: n.args[1] if _is(n.args[0], 0) else None,  # 0 + x = x
        lambda _, n: n.args[0] if _is(n.args[1], 0) else None,  # x + 0 = x
    ],
    "sub": [
        lambda _, n: n.args[0] if _is(n.args[1], 0) else None,  # x - 0 = x
        lambda g, n: g.apply("neg", n.args[1]) if _is(n.args[0], 0) else None,  # 0 - x = -x
    ],
    "mul": [
        lambda g, n: g.const(0) if _is(n.args[0], 0) or _is(n.args[1], 0) else None,  # 0 x = 0
        lambda _, n: n.args[1] if _is(n.args[0], 1) else None,  # 1 x = x
        lambda _, n: n.args[0] if _is(n.args[1], 1) else None,  # x 1 = x
    ],
    "div": [
        lambda g, n: g.const(0) if _is(n.args[0], 0) else None,  # 0 / x = 0
        lambda _, n: n.args[0] if _is(n.args[1], 1) else None,  # x / 1 = x
        # x / h = x (1/h) for h of which there are fewer, its reciprocal taken once, in float64
        lambda g, n: g.apply("mul", n.args[0], g.apply("div", g.const(1), n.args[1])) if _is_shared(n) else None,
    ],
    # sqrt(x / h) = sqrt(x) / sqrt(h) for h > 0 known on the host, such as a bias correction: v / (1 - b2^t) can leave
    # float32's range where its root does not
    "sqrt": [lambda g, n: _split_root(g, n.args[0])],
    "neg": [lambda _, n: n.args[0].args[0] if n.args[0].op == "neg" else None],  # -(-x) = x
    "pow": [
        lambda g, n: g.const(1) if _is(n.args[1], 0) else None,  # x^0 = 1
        lambda _, n: n.args[0] if _is(n.args[1], 1) else None,  # x^1 = x
        lambda g, n: g.apply("mul", n.args[0], n.args[0]) if _is(n.args[1], 2) else None,  # x^2 = x x
        lambda g, n: (  # x^3 = (x x) x
            g.apply("mul", g.apply("mul", n.args[0], n.args[0]), n.args[0]) if _is(n.args[1], 3) else None
        ),
        lambda g, n: g.apply("sqrt", n.args[0]) if _is(n.args[1], 0.5) else None,  # x^(1/2) = sqrt x
    ],
    "where": [
        lambda _, n: n.args[1 if n.args[0].value else 2] if n.args[0].op == "const" else None,  # where(true, x, y) = x
        lambda _, n: n.args[1] if n.args[1] is n.args[2] else None,  # where(c, x, x) = x
    ],
    "and": [
        lambda g, n: g.const(0) if _is(n.args[0], 0) or _is(n.args[1], 0) else None,  # false & x = false
        lambda _, n: n.args[1] if _is(n.args[0], 1) else None,  # true & x = x
        lambda _, n: n.args[0] if _is(n.args[1], 1) else None,  # x & true = x
    ],
    "or": [
        lambda g, n: g.const(1) if _is(n.args[0], 1) or _is(n.args[1], 1) else None,  # true | x = true
        lambda _, n: n.args[1] if _is(n.args[0], 0) else None,  # false | x = x
        lambda _, n: n.args[0] if _is(n.args[1], 0) else None,  # x | false = x
    ],
    "minimum": [lambda _, n: n.args[0] if n.args[0] is n.args[1] else None],  # min(x, x) = x
    "maximum": [lambda _, n: n.args[0] if n.args[0] is n.args[1] else None],  # max(x, x) = x
}


def _is_shared(quotient: Node) -> bool:
    """Whether one divisor belongs to many coordinates or slices."""
    divisor = quotient.args[1]
    if quotient.rate is Rate.SLICE:
        return divisor.rate < Rate.SLICE or divisor.axes < quotient.axes
    return quotient.rate is Rate.COORDINATE and divisor.rate < Rate.COORDINATE


def _split_root(graph: Graph, arg: Node) -> Node | None:
    if arg.op != "mul" or arg.rate is not Rate.COORDINATE:
        return None
    x, r = arg.args
    if r.rate is not Rate.HOST or r.op != "div" or not _is(r.args[0], 1):
        return None
    return graph.apply(
        "mul", graph.apply("sqrt", x), graph.apply("div", graph.const(1), graph.apply("sqrt", r.args[1]))
    )


def simplify(graph: Graph, roots: Iterable[Node]) -> list[Node]:
    """The roots, rewritten until no rule applies.

    Args:
        graph: where new nodes are made.
        roots: the values that are wanted.
    """
    done: dict[Node, Node] = {}

    def visit(node: Node) -> Node:
        if node not in done:
            args = tuple(visit(a) for a in node.args)
            done[node] = _apply_rules(graph, _rebuild(graph, node, args), visit)
        return done[node]

    return [visit(r) for r in roots]


def spread_products(graph: Graph, roots: Iterable[Node]) -> list[Node]:
    """The roots, where coordinates themselves compute what puts different slices together.

    A row times a column of a stack's matrices is a slice value too, where a tensor has more axes; but to compute it
    once a coordinate, or once a row of them, costs less than to write it to memory and read it again.

    Args:
        graph: where new nodes are made.
        roots: the values that are wanted.
    """
    done: dict[Node, Node] = {}
    products: dict[Node, bool] = {}

    def is_product(node: Node) -> bool:
        if node not in products:
            own = node.rate is Rate.SLICE and bool(node.args) and node.op != "reduce"
            products[node] = own and (all(a.axes != node.axes for a in node.args) or any(map(is_product, node.args)))
        return products[node]

    def spread(node: Node) -> Node:
        return graph.spread(node.op, *map(spread, node.args)) if is_product(node) else visit(node)

    def visit(node: Node) -> Node:
        if node not in done:
            inside = node.rate is Rate.COORDINATE and node.op != "reduce"
            args = tuple(map(spread if inside else visit, node.args))
            done[node] = _rebuild(graph, node, args)
        return done[node]

    return [visit(r) for r in roots]


def _rebuild(graph: Graph, node: Node, args: tuple[Node, ...]) -> Node:
    if args == node.args:
        return node
    if node.op == "reduce":
        old, new = node.args[0], args[0]
        if Rate.SLICE in (old.rate, new.rate) and list_axes(old, graph) != list_axes(new, graph):
            return reduce_slices(graph, node.name, new, list_axes(old, graph), node.axes)
        return graph.reduce(node.name, args[0], over=node.over, kept=node.axes, wait=node.wait)
    return graph.apply(node.op, *args)


def _apply_rules(graph: Graph, node: Node, visit: Callable[[Node], Node]) -> Node:
    if node.args and node.op != "reduce" and all(a.op == "const" for a in node.args):  # constants fold
        return graph.const(float(evaluate(node.op, *(a.value for a in node.args))))
    for rewrite in RULES.get(node.op, ()):
        better = rewrite(graph, node)
        if better is not None and better is not node:
            return visit(better)
    return node
