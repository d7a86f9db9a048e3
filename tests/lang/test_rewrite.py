"""Each rewrite rule by what it makes of an expression, and by its value before and after."""

import math
from operator import neg

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from descend.lang import rule
from descend.lang.functions import maximum, minimum, sqrt, where
from descend.lang.graph import Graph, Rate, walk
from descend.lang.rewrite import RULES, simplify, spread_products
from descend.lang.symbol import Symbol, apply
from descend.lang.words import evaluate
from lang.trees import TREES, build
from lang.trial import BACKENDS, compute, run

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
    "-(-x)": (lambda i: neg(neg(i.x)), lambda i: i.x),
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


@pytest.mark.parametrize("number", [math.inf, -math.inf])
def test_division_by_zero_folds_as_ieee_says(i, number):
    assert i.simple(i.const(math.copysign(1.0, number)) / i.const(0.0)).value == number
    assert math.isnan(i.simple(i.const(0.0) / i.const(0.0)).value)


def test_a_reduction_of_a_rewritten_value_keeps_its_kind(i):
    for over in ("tensor", "group", "all"):
        node = i.graph.reduce("sum", (i.x + 0).node, over=over)
        (found,) = simplify(i.graph, [node])
        assert (found.op, found.args, found.over) == ("reduce", (i.x.node,), over)


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


@settings(max_examples=40, derandomize=True)
@given(TREES)
def test_any_expression_is_the_same_on_both_backends(tree):
    """The graph, both backends in float64 and plain arithmetic: one value for each of 30 coordinates."""

    def formula(p, g, h=0.7, k=3.0):
        values = {"x": p, "y": g, "h": h, "k": k}

        def make(part):
            if not isinstance(part, tuple):
                return values[part] if isinstance(part, str) else part
            op, *parts = part
            arguments = [make(a) for a in parts]
            return evaluate(op, *arguments) if all(isinstance(a, float) for a in arguments) else apply(op, *arguments)

        return make(tree)

    graph = Graph()
    rates = {"x": Rate.COORDINATE, "y": Rate.COORDINATE, "h": Rate.HOST, "k": Rate.HOST}
    node = build(graph, tree, rates)
    p, g = np.linspace(0.1, 3.0, 30), np.linspace(-2.9, -0.1, 30)
    expected = np.array([compute(node, {"x": a, "y": b, "h": 0.7, "k": 3.0}) for a, b in zip(p, g, strict=True)])
    assume(np.isfinite(expected).all())
    for backend in BACKENDS:
        (got,), _ = run(rule(formula), [p], [[g]], backend)
        np.testing.assert_allclose(got, p + expected, rtol=1e-9, atol=1e-9)


def test_coordinates_put_different_slices_together_themselves():
    graph = Graph(4)
    a, b, c = (graph.input(n, Rate.SLICE, frozenset({i})) for i, n in enumerate("abc"))
    g = graph.input("g", Rate.COORDINATE)
    product = graph.apply("sqrt", graph.apply("mul", graph.apply("minimum", a, b), c))
    assert product.rate is Rate.SLICE
    root = graph.apply("sqrt", a)
    (made,) = spread_products(graph, [graph.apply("div", graph.apply("div", g, product), root)])
    assert {n for n in walk([made]) if n.rate is Rate.SLICE} == {a, b, c, root}
    total = graph.reduce("sum", product, over="tensor")
    assert spread_products(graph, [total]) == [total]  # a sum over slices stays one over slices
