"""Cutting a step into passes: what each reads, writes, adds up and reads back."""

from dataclasses import replace

import numpy as np
import pytest

import descend
from descend.lang import State, mean, norm, rule, sqrt, sum
from descend.lang.fold import build_program, fold_zeros
from descend.lang.graph import Rate
from descend.lang.weave import default_structure
from lang.trial import BACKENDS, run


def program(made, **options):
    return build_program(made, replace(default_structure(made), **options))


def shape(made, **options):
    return [(p.loads, tuple(s for s, _ in p.stores)) for p in program(made, **options).passes]


def test_adam_is_one_pass():
    (step,) = program(descend.Adam.rule).passes
    assert set(step.loads) == {"p", "g", "m", "v"}
    assert {s for s, _ in step.stores} == {"p", "m", "v"}
    assert [r.name for r in step.reductions] == ["nonfinite"]
    assert "t" in program(descend.Adam.rule).inputs


def test_lamb_is_two_passes_and_reads_its_moments_back():
    first, second = program(descend.LAMB.rule, decay="own").passes
    assert set(first.loads) == {"p", "g", "m", "v"}
    assert {s for s, _ in first.stores} == {"m", "v"}
    assert sorted(r.name for r in first.reductions) == ["nonfinite", "sumsq", "sumsq"]
    assert set(second.loads) == {"p", "m", "v"}
    assert set(second.reloads.values()) == {"m", "v"}
    assert [s for s, _ in second.stores] == ["p"]
    assert second.reductions == ()


def test_clipping_adds_one_pass_to_each_method():
    for name, cls in descend.optimizers().items():
        before, after = program(cls.rule), program(cls.rule, clip_norm=True)
        assert len(after.passes) == len(before.passes) + 1, name
        assert after.passes[0].loads == ("g",), name
        assert after.passes[0].stores == (), name


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_a_guard_reads_the_gradients_once_more_unless_clipping_does(name):
    made = getattr(descend, name).rule
    assert next(p.loads for p in program(made, guard=True).passes) == ("g",)
    assert len(program(made, guard=True).passes) == 2
    assert len(program(made, guard=True, clip_norm=True).passes) == 2
    assert program(made, guard=True).passes[0].stores == ()


def test_a_guard_holds_back_every_store():
    @rule(state={"m": "m", "s": State("s", rate="tensor")})
    def f(p, g, t, m, s, lr=0.1):
        return -lr * m / norm(m), 0.5 * m + g, lr * t

    first = program(f, guard=True).passes[0]
    assert first.stores == () and first.tensor_stores == ()


def test_a_store_waits_for_the_last_reader_of_the_old_value():
    @rule(state=["m"])
    def f(p, g, m, lr=0.1):
        return -lr * (g - m) / norm(g), 0.5 * m + g

    (first, stored_first), (second, stored_second) = shape(f)
    assert first == ("g",) and stored_first == ()
    assert "m" in second and stored_second == ("p", "m")


@pytest.mark.parametrize("backend", BACKENDS)
def test_old_and_new_values_of_a_state_do_not_mix(backend):
    """The second pass reads both the old and the new m."""

    @rule(state=["m"])
    def f(p, g, m, lr=0.1):
        new = 0.5 * m + g
        return -lr * (m + 10 * new) * norm(new), new

    start, rows = [[0.7, -1.3]], [[[0.5, -2.0]], [[1.5, 0.25]], [[-0.5, 1.0]]]
    p, m = np.array(start[0]), np.zeros(2)
    for row in rows:
        new = 0.5 * m + np.array(row[0])
        p, m = p - 0.1 * (m + 10 * new) * np.linalg.norm(new), new
    (got,), states = run(f, start, rows, backend)
    np.testing.assert_allclose(got, p, rtol=1e-14)
    np.testing.assert_allclose(states[0]["m"], m, rtol=1e-15)


@pytest.mark.parametrize("backend", BACKENDS)
def test_states_may_exchange_their_values(backend):
    @rule(state=["a", "b"])
    def f(p, g, a, b, lr=0.1):
        a, b = b + g, a
        return -lr * (a + 2 * b), a, b

    start, rows = [[1.0, 2.0]], [[[0.5, -2.0]], [[1.5, 0.25]], [[-0.5, 1.0]]]
    p, a, b = np.array(start[0]), np.zeros(2), np.zeros(2)
    for row in rows:
        a, b = b + np.array(row[0]), a
        p = p - 0.1 * (a + 2 * b)
    (got,), states = run(f, start, rows, backend)
    np.testing.assert_allclose(got, p, rtol=1e-14)
    np.testing.assert_allclose(states[0]["a"], a, rtol=1e-15)
    np.testing.assert_allclose(states[0]["b"], b, rtol=1e-15)


def test_reductions_of_reductions_make_three_passes():
    @rule
    def f(p, g, lr=0.1):
        centred = g - mean(g)
        return -lr * centred / norm(centred)

    steps = program(f).passes
    assert len(steps) == 3
    assert [[r.name for r in s.reductions] for s in steps] == [["nonfinite", "sum"], ["sumsq"], []]
    assert [s.index for s in steps] == [0, 1, 2]


def test_values_stand_at_the_slowest_rate_that_serves_them():
    @rule
    def f(p, g, t, lr=0.1, b=0.9):
        return -(lr / (1 - b**t)) * g / norm(g) * sum(g, over="all")

    made = program(f)
    assert {n.rate for n in made.columns} <= {Rate.HOST, Rate.GROUP}
    assert {n.rate for n in made.slots if n.op != "reduce"} <= {Rate.TENSOR}
    assert set(made.inputs) == {"lr", "b", "t"}
    coordinate = [n for p in made.passes for n in p.body]
    assert all(n.rate is Rate.COORDINATE for n in coordinate)
    assert not any(n.op == "div" for n in coordinate)  # one reciprocal a tensor instead


def test_totals_are_numbered_alike_in_all_programs_of_an_optimizer():
    lamb = descend.LAMB.rule
    for options in ({}, {"clip_norm": True}, {"clip_norm": True, "guard": True}):
        made = program(lamb, **options)
        names = [n.name for n in sorted(made.totals, key=made.totals.__getitem__)]
        assert names == ["nonfinite", "sumsq"][: len(names)] and len(names) == 1 + ("clip_norm" in options)


@pytest.mark.parametrize("options", [{}, {"clip_norm": True}, {"guard": True}, {"unscale": True, "clip_norm": True}])
@pytest.mark.parametrize("name", ["AdamHD", "DAdaptAdam", "DAdaptSGD", "Prodigy", "SGDHD"])
def test_tensors_of_all_shapes_take_sums_over_many_in_the_same_pass(name, options):
    """A matrix's gradient is centralized, and so known, a pass later than a vector's."""
    made = getattr(descend, name).rule
    woven = frozenset({"centralize", "clip_adaptive"})
    for chosen in (woven, woven - {"clip_adaptive"}):
        programs = [program(made, dims=dims, woven=chosen, **options) for dims in (1, 2, 4)]
        assert len({p.find_passes((*p.totals, *p.group_sums)) for p in programs}) == 1
        assert len({len(p.passes) for p in programs}) == 1


def test_price_counts_passes_streams_and_states():
    sgd = descend.SGD.rule
    assert program(sgd).price == (1, 5, 1)  # reads p g v, writes p v
    assert build_program(sgd, fold_zeros(sgd, default_structure(sgd), frozenset(["momentum"]))).price == (1, 3, 0)


def test_operations_and_bytes_of_a_pass():
    @rule
    def f(p, g, lr=0.1):
        return -lr * sqrt(g)

    (step,) = program(f).passes
    assert step.operations == 3 + 2  # root, product, sum; and the count of non-finite gradients
    assert step.count_bytes({"p": 4, "g": 2}) == (6, 4)


def test_a_state_that_only_follows_the_last_sums_costs_no_memory():
    """D-Adaptation steps by the old estimate: the new one needs a moment behind the pass, not another pass."""
    first, last = program(descend.DAdaptAdam.rule).passes
    assert first.walks and not last.walks and last.loads == () == last.stores
    assert set(program(descend.DAdaptAdam.rule).shared) == {"d", "numerator"}


def test_sums_over_a_group_are_inputs_of_the_next_pass_and_no_totals():
    made = program(descend.SGDHD.rule)
    (h,) = made.group_sums
    assert (h.name, h.over, made.group_sums[h]) == ("sum", "group", "group sum 0")
    assert h not in made.totals and made.inputs[-1] == "group sum 0" and "shift" in made.inputs
    assert made.chains == ((0,), (1,))
