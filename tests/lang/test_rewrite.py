"""Each rewrite rule by what it makes of an expression, and by its value before and after."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from descend.lang.functions import maximum, minimum, sqrt, where
from descend.lang.graph import Graph, Rate, walk
from descend.lang.rewrite import RULES, simplify
from descend.lang.symbol import Symbol
from lang.trial import compute

NUMBERS = {"x": 1.75, "y": -0.6, "h": 0.3, "k": 7.0}


class Inputs:
    def __init__(self):
        self.graph = Graph()
        self.x, self.y = (Symbol(self.graph.input(n, Rate.COORDINATE), self.graph) for n in "xy")
        self.h, self.k = (Symbol(self.graph.input(n, Rate.HOST), self.graph) for n in "hk")

    def const(self, value):
        return Symbol(self.graph.const(value), self.graph)

    def simple(self, symbol):
        return simplify(self.graph, [symbol.node])[0]


@pytest.fixture
def i():
    return Inputs()


CASES = {
    "0 + x": (lambda i: 0 + i.x, lambda i: i.x),
    "x + 0": (lambda i: i.x + 0, lambda i: i.x),
    "x - 0": (lambda i: i.x - 0, lambda i: i.x),
    "0 - x": (lambda i: 0 - i.x, lambda i: -i.x),
    "0 x": (lambda i: 0 * i.x, lambda i: i.const(0)),
    "x 0": (lambda i: i.x * 0, lambda i: i.const(0)),
    "1 x": (lambda i: 1 * i.x, lambda i: i.x),
    "x 1": (lambda i: i.x * 1, lambda i: i.x),
    "0 / x": (lambda i: 0 / i.x, lambda i: i.const(0)),
    "x / 1": (lambda i: i.x / 1, lambda i: i.x),
    "x / h": (lambda i: i.x / i.h, lambda i: i.x * (1 / i.h)),
    "x / constant": (lambda i: i.x / 4, lambda i: i.x * 0.25),
    "h / k stays": (lambda i: i.h / i.k, lambda i: i.h / i.k),
    "x / y stays": (lambda i: i.x / i.y, lambda i: i.x / i.y),
    "h / x stays": (lambda i: i.h / i.x, lambda i: i.h / i.x),
    "sqrt(x / h)": (lambda i: sqrt(i.x / i.h), lambda i: sqrt(i.x) * (1 / sqrt(i.h))),
    "-(-x)": (lambda i: -(-i.x), lambda i: i.x),
    "x^0": (lambda i: i.x**0, lambda i: i.const(1)),
    "x^1": (lambda i: i.x**1, lambda i: i.x),
    "x^2": (lambda i: i.x**2, lambda i: i.x * i.x),
    "x^3": (lambda i: i.x**3, lambda i: (i.x * i.x) * i.x),
    "x^(1/2)": (lambda i: i.x**0.5, lambda i: sqrt(i.x)),
    "x^4 stays": (lambda i: i.x**4, lambda i: i.x**4),
    "where true": (lambda i: where(i.const(1) > 0, i.x, i.y), lambda i: i.x),
    "where false": (lambda i: where(i.const(-1) > 0, i.x, i.y), lambda i: i.y),
    "where the same": (lambda i: where(i.h > 0, i.x, i.x), lambda i: i.x),
    "false & x": (lambda i: where((i.const(0) > 1) & (i.x > 0), i.x, i.y), lambda i: i.y),
    "x & true": (lambda i: where((i.x > 0) & (i.const(2) > 1), i.x, i.y), lambda i: where(i.x > 0, i.x, i.y)),
    "true & x": (lambda i: where((i.const(2) > 1) & (i.x > 0), i.x, i.y), lambda i: where(i.x > 0, i.x, i.y)),
    "true | x": (lambda i: where((i.const(2) > 1) | (i.x > 0), i.x, i.y), lambda i: i.x),
    "x | false": (lambda i: where((i.x > 0) | (i.const(0) > 1), i.x, i.y), lambda i: where(i.x > 0, i.x, i.y)),
    "false | x": (lambda i: where((i.const(0) > 1) | (i.x > 0), i.x, i.y), lambda i: where(i.x > 0, i.x, i.y)),
    "min(x, x)": (lambda i: minimum(i.x, i.x), lambda i: i.x),
    "max(x, x)": (lambda i: maximum(i.x, i.x), lambda i: i.x),
    "constants": (lambda i: i.x * (i.const(3) - 2) + sqrt(i.const(0.0)), lambda i: i.x),
    "until nothing applies": (lambda i: (0 * i.y + i.x * 1) ** 1 / 1 - 0, lambda i: i.x),
    "order is kept": (lambda i: i.x + i.y - i.x + 0, lambda i: i.x + i.y - i.x),
}


@pytest.mark.parametrize("name", CASES)
def test_what_a_rule_makes(i, name):
    before, after = CASES[name]
    found, wanted = i.simple(before(i)), after(i).node
    assert found is wanted
    assert compute(found, NUMBERS) == pytest.approx(compute(before(i).node, NUMBERS), rel=4e-16)


def test_every_rule_is_covered_here():
    i = Inputs()
    met = set()
    for before, _ in CASES.values():
        met |= {n.op for n in walk([before(i).node])}
    assert set(RULES) <= met


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_division_by_zero_folds_as_ieee_says(i, number):
    numerator = {math.inf: 1.0, -math.inf: -1.0}.get(number, 0.0)
    folded = i.simple(i.const(numerator) / i.const(0.0))
    # 0 / x = 0 holds for every x that a formula means to divide by
    assert folded.value == number or (math.isnan(number) and folded.value == 0.0 or math.isnan(folded.value))


def test_a_reduction_of_a_rewritten_value_keeps_its_kind(i):
    for per_tensor in (False, True):
        node = i.graph.reduce("sum", (i.x + 0).node, per_tensor=per_tensor)
        (found,) = simplify(i.graph, [node])
        assert (found.op, found.args, found.per_tensor) == ("reduce", (i.x.node,), per_tensor)


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


def build(graph, tree, rates):
    if isinstance(tree, float):
        return graph.const(tree)
    if isinstance(tree, str):
        return graph.input(tree, rates[tree])
    op, *parts = tree
    return graph.apply(op, *(build(graph, part, rates) for part in parts))


@given(TREES, st.floats(0.01, 10), st.floats(-10, -0.01), st.floats(0.01, 5), st.integers(1, 9))
def test_any_expression_keeps_its_value(tree, x, y, h, k):
    graph = Graph()
    rates = {"x": Rate.COORDINATE, "y": Rate.COORDINATE, "h": Rate.HOST, "k": Rate.HOST}
    node = build(graph, tree, rates)
    numbers = {"x": x, "y": y, "h": h, "k": float(k)}
    values = {n: compute(n, numbers) for n in walk([node])}
    # what IEEE leaves of an expression that has left the numbers is not promised, and a comparison or a
    # difference of nearly equal numbers shows rounding in full
    assume(all(math.isfinite(v) and (v == 0 or 1e-30 < abs(v) < 1e30) for v in values.values()))
    for n in values:
        if n.op in ("lt", "ge", "eq", "sub", "add") and n.args[0] is not n.args[1]:
            a, b = (values[m] for m in n.args)
            assume(abs(a - b) > 1e-3 * max(abs(a), abs(b)) and (n.op != "add" or abs(a + b) > 1e-3 * abs(a)))
        if n.op == "sign":
            assume(abs(values[n.args[0]]) > 1e-6 or values[n.args[0]] == 0)
    (after,) = simplify(graph, [node])
    assert compute(after, numbers) == pytest.approx(values[node], rel=1e-9, abs=1e-25)


@given(TREES)
def test_rewriting_twice_changes_nothing_more(tree):
    graph = Graph()
    rates = {"x": Rate.COORDINATE, "y": Rate.COORDINATE, "h": Rate.HOST, "k": Rate.HOST}
    once = simplify(graph, [build(graph, tree, rates)])
    assert simplify(graph, once) == once
