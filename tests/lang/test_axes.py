"""Slices as sets of axes: names, refusals, and sums of what is constant along some axes."""

from dataclasses import replace

import pytest

from descend.errors import RuleError
from descend.lang.axes import count_elements, find_kept, list_axes, reduce_slices
from descend.lang.functions import mean
from descend.lang.graph import Graph, Rate, walk
from descend.lang.symbol import Symbol
from descend.lang.weave import default_structure, weave
from descend.rules.adafactor import adafactor


@pytest.mark.parametrize(
    ("over", "dims", "kept"),
    [("rows", 2, {0}), ("columns", 2, {1}), ("matrices", 2, set()), ("rows", 4, {0, 1, 2}),
     ("columns", 4, {0, 1, 3}), ("matrices", 4, {0, 1}), (2, 4, {2}), (0, 1, {0})],
)  # fmt: skip
def test_names(over, dims, kept):
    assert find_kept(over, dims, "mean") == kept


@pytest.mark.parametrize(
    ("over", "dims", "expected"),
    [
        ("row", 2, r"over= of mean\(\): got 'row'.*'rows'"),
        (True, 2, "got True"),
        (2, 2, "got 2; allowed: an axis, 0 to 1"),
        ("rows", 1, r"a vector has no rows\. Write `if dims > 1:`"),
    ],
)
def test_slices_that_a_tensor_has_not(over, dims, expected):
    with pytest.raises(RuleError, match=expected):
        find_kept(over, dims, "mean")


def test_a_row_times_a_column_is_a_coordinate():
    graph = Graph(3)
    row, column = (graph.input(n, Rate.SLICE, frozenset(a)) for n, a in (("r", {0, 1}), ("c", {0, 2})))
    assert graph.apply("mul", row, row).axes == {0, 1}
    whole = graph.apply("mul", row, column)
    assert (whole.rate, whole.axes, list_axes(whole, graph)) == (Rate.COORDINATE, frozenset(), {0, 1, 2})


def test_a_sum_over_slices_needs_no_pass():
    graph = Graph(2)
    g = graph.input("g", Rate.COORDINATE)
    rows = graph.reduce("sum", g, over="tensor", kept=frozenset({0}))
    assert (rows.rate, rows.stage, rows.per_tensor) == (Rate.SLICE, 1, True)
    total = graph.reduce("sum", rows, over="tensor")
    assert (total.rate, total.stage) == (Rate.TENSOR, 1)


def test_a_sum_of_what_is_constant_along_an_axis_counts_it():
    graph = Graph(2)
    row, host = graph.input("r", Rate.SLICE, frozenset({0})), graph.input("h", Rate.HOST)
    every, kept = frozenset({0, 1}), frozenset({0})
    assert reduce_slices(graph, "sum", row, every, kept).args == (row, count_elements(graph, frozenset({1})))
    assert reduce_slices(graph, "largest", row, every, kept) is row
    assert reduce_slices(graph, "sumsq", host, kept, frozenset()).args[0] is graph.apply("mul", host, host)
    assert count_elements(graph, every) is graph.input("size", Rate.TENSOR)


def test_nothing_differs_along_an_axis_of_length_1():
    """Rows of one coordinate are coordinates; columns that are all the tensor are one value."""
    graph = Graph(3, singletons=frozenset({2}))
    g = Symbol(graph.input("g", Rate.COORDINATE), graph)
    assert mean(g, over="rows").node is g.node
    column = mean(g, over="columns")
    assert (column.node.rate, list_axes(column.node, graph)) == (Rate.SLICE, {0})
    assert mean(column, over="matrices").node is column.node
    alone = Graph(2, singletons=frozenset({0, 1}))
    assert mean(Symbol(alone.input("g", Rate.COORDINATE), alone), over="columns").node.rate is Rate.TENSOR


def test_a_singleton_state_is_of_the_rate_that_its_long_axes_make():
    step = weave(adafactor, replace(default_structure(adafactor, dims=2), singletons=frozenset({1})))
    assert step.slice_states == {"c": frozenset()}
    rates = {n.name: n.rate for n in walk([step.p]) if n.op == "input" and n.name in ("r", "c")}
    assert rates == {"r": Rate.COORDINATE, "c": Rate.TENSOR}
