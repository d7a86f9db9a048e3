"""Woven options around a formula of one's own, in their order, against NumPy; and states that nothing reads."""

import numpy as np
import pytest

import descend
from descend.errors import OptionError, UnknownOptionError
from descend.lang import L2Decay, OwnDecay, State, rule, sum
from descend.lang.graph import walk
from descend.lang.trace import Structure
from descend.lang.weave import default_structure, trace_plain, weave
from lang.trial import BACKENDS, run

P = [[0.7, -1.3, 2.0], [[0.25, -4.0]]]
ROWS = [[[0.5, -2.0, 0.0], [[3.0, 0.125]]], [[-1.5, 0.25, 1.0], [[-0.5, 0.75]]]]


@rule(state=["m"])
def heavy(p, g, m, lr=0.1, weight_decay: L2Decay = 0.0):
    m = 0.5 * m + g
    return -lr * m, m


def by_hand(*, decay, weight_decay=0.3, maximize=False, clip_norm=None, clip_value=None, lrs=(0.1, 0.1)):
    ps, ms, highest = [np.array(p) for p in P], [0.0, 0.0], 0.0
    for lr, row in zip(lrs, ROWS, strict=True):
        gs = [np.array(g) for g in row]
        if clip_norm:
            length = np.sqrt(np.sum([np.sum(g * g) for g in gs]))
            gs = [min(1.0, clip_norm / (length + 1e-6)) * g for g in gs]
        if maximize:
            gs = [-g for g in gs]
        if clip_value:
            gs = [np.clip(g, -clip_value, clip_value) for g in gs]
        highest = max(highest, lr)
        kept = {
            "decoupled": 1 - lr * weight_decay,
            "independent": 1 - weight_decay * lr / lrs[0],
            "corrected": 1 - weight_decay * lr * lr / highest,
        }.get(decay, 1.0)
        for i, (p, g) in enumerate(zip(ps, gs, strict=True)):
            ms[i] = 0.5 * ms[i] + g + (weight_decay * p if decay == "l2" else 0.0)
            ps[i] = kept * p - lr * ms[i]
    return ps


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "woven",
    [
        {"decay": "l2"},
        {"decay": "decoupled"},
        {"decay": "independent"},
        {"decay": "corrected"},
        {"decay": "l2", "maximize": True},
        {"decay": "decoupled", "maximize": True, "clip_norm": 1.0},
        {"decay": "l2", "clip_norm": 1.0, "clip_value": 0.2, "maximize": True},
        {"decay": "decoupled", "clip_norm": 100.0},
        {"decay": "l2", "clip_value": 0.4},
    ],
    ids=str,
)
def test_woven_options(woven, backend):
    got, _ = run(heavy, P, ROWS, backend, weight_decay=0.3, **woven)
    for a, b in zip(got, by_hand(**woven), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_rules_own_decay_is_replaced_by_a_woven_one(backend):
    @rule
    def f(p, g, lr=0.1, weight_decay: OwnDecay = 0.3):
        return -lr * (g + 2 * weight_decay * p)

    own, _ = run(f, P, ROWS[:1], backend)
    woven, _ = run(f, P, ROWS[:1], backend, decay="decoupled")
    for p, g, a, b in zip(P, ROWS[0], own, woven, strict=True):
        p, g = np.array(p), np.array(g)
        np.testing.assert_allclose(a, p - 0.1 * (g + 0.6 * p), rtol=1e-14)
        np.testing.assert_allclose(b, p * (1 - 0.03) - 0.1 * g, rtol=1e-14)


def test_a_rule_without_decay_of_its_own_has_every_kind_but_no_default():
    @rule
    def f(p, g, lr=0.1):
        return -lr * g

    with pytest.raises(OptionError, match=r"weight_decay=0.1 without a kind of decay.*allowed: decay='l2' | 'decoup"):
        run(f, P, [], "eager", weight_decay=0.1)
    (a, _), _ = run(f, P, ROWS[:1], "eager", weight_decay=0.1, decay="decoupled")
    np.testing.assert_allclose(a, np.array(P[0]) * 0.99 - 0.1 * np.array(ROWS[0][0]), rtol=1e-14)


def test_a_decay_that_follows_lr_needs_a_rule_with_lr():
    @rule
    def f(p, g, rate=0.1):
        return -rate * g

    for decay in ("decoupled", "independent", "corrected"):
        with pytest.raises(OptionError, match=f"decay='{decay}'.*lr"):
            run(f, P, ROWS, "eager", weight_decay=0.1, decay=decay)
    (a, _), _ = run(f, P, ROWS[:1], "eager", weight_decay=0.1, decay="l2")
    np.testing.assert_allclose(a, np.array(P[0]) - 0.1 * (np.array(ROWS[0][0]) + 0.1 * np.array(P[0])), rtol=1e-14)


def test_a_formula_sees_the_undecayed_parameter():
    @rule
    def f(p, g, lr=0.1):
        return -lr * p

    (a, _), _ = run(f, P, ROWS[:1], "eager", weight_decay=0.5, decay="decoupled")
    np.testing.assert_allclose(a, np.array(P[0]) * (1 - 0.05) - 0.1 * np.array(P[0]), rtol=1e-14)


def test_states_that_nothing_reads_are_dropped_when_a_zero_made_them_so():
    @rule(state=["m", "seen", "idle"])
    def f(p, g, m, seen, idle, lr=0.1, momentum=0.0):
        m = momentum * m + g
        seen = 0.9 * seen + 0.1 * g
        return -lr * m, m, seen, idle

    assert set(weave(f, Structure()).states) == {"m", "seen"}
    assert set(weave(f, Structure(zeros=frozenset(["momentum"]))).states) == {"seen"}


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_state_that_a_rule_only_records_is_kept(backend):
    @rule(state=["seen"])
    def f(p, g, seen, lr=0.1, spread=0.0):
        seen = 0.5 * seen + g
        return -lr * (g + spread * p), seen

    _, states = run(f, P, ROWS, backend)
    np.testing.assert_allclose(states[0]["seen"], 0.5 * np.array(ROWS[0][0]) + ROWS[1][0], rtol=1e-15)


def test_a_state_that_only_another_state_reads_lives_with_it():
    @rule(state=["a", "b"])
    def f(p, g, a, b, lr=0.1):
        return -lr * b, a + g, b + a

    assert set(weave(f, Structure()).states) == {"a", "b"}


def test_scalars_are_told_from_streams():
    @rule(state={"a": "a", "s": State("s", rate="tensor")})
    def f(p, g, a, s, lr=0.1):
        return -lr * g, lr, sum(g)

    assert weave(f, Structure()).tensor_states == {"s"}


def test_non_finite_gradients_are_counted_before_anything_else():
    step = weave(heavy, Structure(unscale=True, clip_norm=True, maximize=True))
    assert step.nonfinite.args[0].op == "input" and step.nonfinite.args[0].name == "g"
    assert step.squares is not None and step.squares is not step.nonfinite
    scaled = {n.name for n in walk([step.squares]) if n.op == "input"}
    assert scaled == {"g", "grad_scale"}  # judged after unscaling


def test_the_default_structure_is_that_of_the_defaults():
    adam = descend.Adam.rule
    assert dict(default_structure(adam).options) == {"amsgrad": False, "amsgrad_of": "v"}
    assert default_structure(adam).decay == "l2"
    assert dict(default_structure(adam, amsgrad=True).options)["amsgrad"] is True
    traced, inputs = trace_plain(adam)
    assert set(inputs) == {"p", "g"}
    assert "weight_decay" not in {n.name for n in walk([traced.delta])}


def test_a_structure_of_no_option_is_refused():
    adam = descend.Adam.rule
    with pytest.raises(UnknownOptionError, match="adam has no hyper-parameter 'amsgard'. Did you mean 'amsgrad'?"):
        default_structure(adam, amsgard=True)
    with pytest.raises(OptionError, match="adam: amsgrad: got 'yes'; allowed: False | True"):
        adam.text(amsgrad="yes")
