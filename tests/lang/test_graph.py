"""Interning, rates and stages of nodes, and the order in which they are walked."""

import math

import pytest

from descend.lang.graph import Graph, Rate, walk


@pytest.fixture
def graph():
    return Graph()


def test_the_same_expression_is_the_same_node(graph):
    a, b = graph.input("a", Rate.HOST), graph.input("b", Rate.COORDINATE)
    assert graph.apply("add", a, b) is graph.apply("add", a, b)
    assert graph.apply("add", a, b) is not graph.apply("add", b, a)
    assert graph.input("a", Rate.HOST) is a
    assert graph.input("a", Rate.COORDINATE) is not a


@pytest.mark.parametrize("a,b,same", [(0.0, -0.0, False), (math.nan, math.nan, True), (1, 1.0, True), (1, 2, False)])
def test_constants_are_told_apart_by_their_bits(graph, a, b, same):
    assert (graph.const(a) is graph.const(b)) is same


@pytest.mark.parametrize("slow", list(Rate))
@pytest.mark.parametrize("fast", list(Rate))
def test_a_value_runs_at_the_rate_of_its_fastest_argument(graph, slow, fast):
    node = graph.apply("mul", graph.input("a", slow), graph.input("b", fast))
    assert node.rate is max(slow, fast)


def test_a_reduction_ends_a_pass_and_slows_the_rate(graph):
    g = graph.input("g", Rate.COORDINATE)
    own, total = graph.reduce("sum", g, over="tensor"), graph.reduce("sum", g, over="all")
    assert (own.rate, own.stage, own.per_tensor) == (Rate.TENSOR, 1, True)
    assert (total.rate, total.stage, total.per_tensor) == (Rate.GROUP, 1, False)
    scaled = graph.apply("mul", own, g)
    assert (scaled.rate, scaled.stage) == (Rate.COORDINATE, 1)
    assert graph.reduce("sumsq", scaled, over="tensor").stage == 2


def test_a_sum_may_wait_for_a_later_pass(graph):
    g = graph.input("g", Rate.COORDINATE)
    late = graph.reduce("sum", g, over="all", wait=1)
    assert late.stage == 2 and late is not graph.reduce("sum", g, over="all")
    assert graph.reduce("sum", graph.apply("mul", late, g), over="all", wait=1).stage == 3


def test_walk_yields_arguments_first_and_each_node_once(graph):
    a, b = graph.input("a", Rate.HOST), graph.input("b", Rate.HOST)
    s = graph.apply("add", a, b)
    top = graph.apply("mul", s, s)
    assert list(walk([top, s])) == [a, b, s, top]


def test_walk_does_not_enter_what_is_cut(graph):
    a, b = graph.input("a", Rate.HOST), graph.input("b", Rate.HOST)
    s = graph.apply("add", a, b)
    assert list(walk([graph.apply("mul", s, a)], cut=frozenset([s]))) == [s, a, graph.apply("mul", s, a)]


def test_walk_takes_chains_longer_than_pythons_stack(graph):
    node = graph.input("a", Rate.HOST)
    for _ in range(5000):
        node = graph.apply("neg", node)
    assert sum(1 for _ in walk([node])) == 5001


def test_conditions_are_boolean_and_numbers_are_not(graph):
    a = graph.input("a", Rate.HOST)
    assert graph.apply("lt", a, a).boolean
    assert graph.apply("not", graph.apply("lt", a, a)).boolean
    assert not graph.apply("add", a, a).boolean
