"""The words written as functions: on plain numbers, and in formulas on both backends against NumPy."""

import math

import numpy as np
import pytest

from descend.lang import (
    State,
    clamp,
    cos,
    exp,
    floor,
    fresh,
    log,
    maximum,
    mean,
    minimum,
    norm,
    rsqrt,
    rule,
    sign,
    sqrt,
    sum,
    tanh,
    where,
)
from lang.trial import BACKENDS, run

P = [[0.7, -1.3, 2.0], [[0.25, -4.0]]]
ROWS = [
    [[0.5, -2.0, 0.0], [[3.0, 0.125]]],
    [[-1.5, 0.25, 1.0], [[-0.5, 0.75]]],
]


def test_on_plain_numbers():
    assert (sqrt(4.0), rsqrt(4.0), sign(-3.0), exp(0.0), log(1.0), tanh(0.0)) == (2.0, 0.5, -1.0, 1.0, 0.0, 0.0)
    assert (cos(0.0), floor(2.7), minimum(1, 2), maximum(1, 2), clamp(5.0, -1, 1)) == (1.0, 2.0, 1, 2, 1)
    assert (where(True, 1, 2), where(False, 1, 2)) == (1, 2)
    assert math.isnan(sqrt(-1.0)) and math.isnan(log(-1.0))


WORDS = {
    "sqrt": (lambda g: sqrt(abs(g)), lambda g: np.sqrt(np.abs(g))),
    "rsqrt": (lambda g: rsqrt(abs(g) + 0.5), lambda g: 1 / np.sqrt(np.abs(g) + 0.5)),
    "sign": (sign, np.sign),
    "exp": (exp, np.exp),
    "log": (lambda g: log(abs(g) + 0.5), lambda g: np.log(np.abs(g) + 0.5)),
    "tanh": (tanh, np.tanh),
    "minimum": (lambda g: minimum(g, 0.1), lambda g: np.minimum(g, 0.1)),
    "maximum": (lambda g: maximum(g, g * g), lambda g: np.maximum(g, g * g)),
    "clamp": (lambda g: clamp(g, -0.3, 0.7), lambda g: np.clip(g, -0.3, 0.7)),
    "where": (lambda g: where(g > 0.1, 0.1, 0.7), lambda g: np.where(g > 0.1, 0.1, 0.7)),
    "or": (lambda g: where((g > 0) | (g < -1), g, 3 * g), lambda g: g * np.where((g > 0) | (g < -1), 1, 3)),
    "and": (lambda g: where((g > -1) & (g < 1), g, 3 * g), lambda g: g * np.where((g > -1) & (g < 1), 1, 3)),
    "not": (lambda g: where(~(g == 0), 1 / g, 0.3), lambda g: np.where(g != 0, 1 / np.where(g == 0, 1, g), 0.3)),
    "condition as number": (lambda g: 0.3 * (g >= 0), lambda g: 0.3 * (g >= 0)),
    "conditions added": (lambda g: (g > 0) + (g > 0.6), lambda g: (g > 0) * 1.0 + (g > 0.6)),
    "condition alone": (lambda g: g != 0, lambda g: (g != 0) * 1.0),
    "abs": (abs, np.abs),
    "cube": (lambda g: g**3, lambda g: g**3),
    "host power": (lambda g: abs(g) ** 1.5, lambda g: np.abs(g) ** 1.5),
    "sum": (lambda g: g * sum(g), lambda g: g * np.sum(g)),
    "mean": (lambda g: g - mean(g), lambda g: g - np.mean(g)),
    "norm": (lambda g: g / norm(g), lambda g: g / np.sqrt(np.sum(g * g))),
    "share of a condition": (lambda g: g * mean(g > 0), lambda g: g * np.mean(g > 0)),
    "number of a condition": (lambda g: g * sum(g > 0), lambda g: g * np.sum(g > 0)),
    "branch by tensor": (lambda g: where(sum(g) > 0, g, 5.0 * g), lambda g: g if np.sum(g) > 0 else 5 * g),
    "condition by tensor": (lambda g: g * (norm(g) > 2.0), lambda g: g * (np.linalg.norm(g) > 2)),
}  # fmt: skip


def formula(word):
    @rule
    def f(p, g, lr=0.1):
        return -lr * word(g)

    return f


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", WORDS)
def test_in_a_formula(name, backend):
    word, expected = WORDS[name]
    got, _ = run(formula(word), P, ROWS, backend)
    for i, start in enumerate(P):
        p = np.array(start)
        for row in ROWS:
            p = p - 0.1 * expected(np.array(row[i]))
        np.testing.assert_allclose(got[i], p, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("backend", BACKENDS)
def test_host_words_follow_the_step_count(backend):
    @rule
    def f(p, g, t, lr=0.1, b=0.5):
        return -lr * (cos(t) + floor(t / 2) + where(t > 1, b**t, 7.0) + t**1.5) * g

    got, _ = run(f, [[1.0]], [[[2.0]]] * 3, backend)
    p = 1.0
    for t in (1, 2, 3):
        p -= 0.1 * (math.cos(t) + t // 2 + (0.5**t if t > 1 else 7.0) + t**1.5) * 2.0
    np.testing.assert_allclose(got[0], [p], rtol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
def test_over_all_tensors(backend):
    @rule
    def f(p, g, lr=0.1):
        return -lr * g * norm(g, over="all") / (1 + abs(sum(p, over="all"))) - lr * g / norm(g)

    got, _ = run(f, P, ROWS, backend)
    ps = [np.array(p) for p in P]
    for row in ROWS:
        gs = [np.array(g) for g in row]
        total = math.sqrt(np.sum([np.sum(g * g) for g in gs]))
        weight = 1 + abs(np.sum([np.sum(p) for p in ps]))
        ps = [p - 0.1 * g * total / weight - 0.1 * g / np.linalg.norm(g) for p, g in zip(ps, gs, strict=True)]
    for a, b in zip(got, ps, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_tensor_without_gradient_is_in_no_sum(backend):
    @rule
    def f(p, g, lr=0.1):
        return -lr * g * sum(p, over="all")

    got, _ = run(f, P, [[None, [[1.0, 2.0]]]], backend)
    np.testing.assert_array_equal(got[0], P[0])
    np.testing.assert_allclose(got[1], np.array(P[1]) - 0.1 * np.array([[1.0, 2.0]]) * -3.75, rtol=1e-15)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_state_for_each_tensor(backend):
    """NovoGrad's second moment: one number a tensor, its first value the first squared norm."""

    @rule(state={"m": "exp_avg", "v": State("exp_avg_sq", rate="tensor", start=0.0)})
    def f(p, g, t, m, v, lr=0.1, b=0.75):
        squared = sum(g * g)
        v = where(t == 1, squared, b * v + (1 - b) * squared)
        m = 0.9 * m + g / sqrt(v)
        return -lr * m, m, v

    got, states = run(f, P, ROWS, backend)
    for i, start in enumerate(P):
        p, m, v = np.array(start), 0.0, None
        for row in ROWS:
            g = np.array(row[i])
            squared = np.sum(g * g)
            v = squared if v is None else 0.75 * v + 0.25 * squared
            m = 0.9 * m + g / math.sqrt(v)
            p = p - 0.1 * m
        np.testing.assert_allclose(got[i], p, rtol=1e-14)
        assert states[i]["exp_avg_sq"].shape == ()
        np.testing.assert_allclose(states[i]["exp_avg_sq"], v, rtol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_reduction_of_what_follows_a_reduction_of_what_follows_a_reduction(backend):
    @rule(state={"m": "m"})
    def f(p, g, m, lr=0.1):
        m = 0.5 * m + g
        centred = m - mean(m)
        scaled = centred / (norm(centred) + 1.0)
        return -lr * scaled * sum(abs(scaled) * p), m

    got, states = run(f, P, ROWS, backend)
    for i, start in enumerate(P):
        p, m = np.array(start), 0.0
        for row in ROWS:
            m = 0.5 * m + np.array(row[i])
            centred = m - np.mean(m)
            scaled = centred / (np.linalg.norm(centred) + 1.0)
            p = p - 0.1 * scaled * np.sum(np.abs(scaled) * p)
        np.testing.assert_allclose(got[i], p, rtol=1e-13)
        np.testing.assert_allclose(states[i]["m"], m, rtol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
def test_states_may_start_at_the_parameter_at_a_number_or_at_an_option(backend):
    @rule(state={"z": State("z", start="p"), "a": State("a", start=2.0), "b": State("b", start="first")})
    def f(p, g, z, a, b, lr=0.1, first=3.0):
        z, a, b = z - g, a + g, b * g
        return lr * (z + a + b), z, a, b

    got, states = run(f, P, ROWS[:1], backend, first=5.0)
    for i, start in enumerate(P):
        p, g = np.array(start), np.array(ROWS[0][i])
        np.testing.assert_allclose(got[i], p + 0.1 * ((p - g) + (2 + g) + 5 * g), rtol=1e-14)
        np.testing.assert_allclose(states[i]["z"], p - g, rtol=1e-15)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_state_that_only_remembers_a_plain_value(backend):
    """Its new value has no coordinates of its own, and nothing reads it: it is a tensor all the same."""

    @rule(state={"a": "a", "b": "b", "c": State("c", rate="tensor")})
    def f(p, g, t, a, b, c, lr=0.1):
        return -lr * g, lr * t, norm(g), 2 * lr

    _, states = run(f, P, ROWS, backend)
    for i, start in enumerate(P):
        np.testing.assert_allclose(states[i]["a"], np.full_like(start, 0.2), rtol=1e-15)
        np.testing.assert_allclose(states[i]["b"], np.full_like(start, np.linalg.norm(ROWS[1][i])), rtol=1e-15)
        np.testing.assert_allclose(states[i]["c"], 0.2, rtol=1e-15)


@pytest.mark.parametrize("backend", BACKENDS)
def test_fresh_is_the_first_step_of_a_state(backend):
    @rule(state=["m"])
    def f(p, g, m, lr=0.1):
        m = where(fresh(m), g, 0.5 * m)
        return -lr * m, m

    got, _ = run(f, P, [[None, ROWS[0][1]], ROWS[1]], backend)
    np.testing.assert_allclose(got[0], np.array(P[0]) - 0.1 * np.array(ROWS[1][0]), rtol=1e-15)
    np.testing.assert_allclose(got[1], np.array(P[1]) - 0.15 * np.array(ROWS[0][1]), rtol=1e-15)
