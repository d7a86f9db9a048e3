"""The eager backend: every word of the language, reductions, and values that alias what a step writes."""

import math

import numpy as np
import pytest
import torch

import descend
from backends.formulas import (
    HOST,
    arithmetic,
    conditions,
    exchange,
    host_words,
    look,
    powers,
    reductions,
    remember,
    rounding_free,
    transcendental,
)
from backends.oracle import apply_rule, assert_bits, assert_close, operands, word

BACKENDS = ["eager", "cpu"]
"""The compiled backend is held against the same oracle: this file is the meaning of the words."""
DTYPES = [torch.float32, torch.float64]
ROOT = {"eager": 1, "cpu": 0}
"""How far a square root may be off, in units in the last place: torch's vectors (MKL's) do not round it correctly."""

everywhere = [pytest.mark.parametrize("backend", BACKENDS), pytest.mark.parametrize("dtype", DTYPES, ids=str)]


def on_every_path(test):
    for mark in everywhere:
        test = mark(test)
    return test


@on_every_path
def test_arithmetic_to_the_bit(dtype, backend):
    p, g = operands(dtype)
    a, b = p.double().numpy(), g.double().numpy()
    got = apply_rule(arithmetic, p, g, backend)
    for op in ("add", "sub", "mul", "div"):
        assert_bits(got[op], word(op, a, b, dtype=dtype), op)
    assert_bits(got["neg"], word("neg", a, dtype=dtype), "neg")
    square = word("mul", a, a, dtype=dtype)
    assert_bits(got["square"], square, "p**2")
    assert_bits(got["cube"], word("mul", square.astype(np.float64), a, dtype=dtype), "p**3")
    assert_close(got["half"], word("sqrt", a, dtype=dtype), "p**0.5", ulps=ROOT[backend])
    assert_bits(got["p"], word("add", a, 0.0, dtype=dtype), "p", signs=False)  # the formula adds 0 to it


@on_every_path
def test_words_that_do_not_round(dtype, backend):
    p, g = operands(dtype)
    a, b = p.double().numpy(), g.double().numpy()
    got = apply_rule(rounding_free, p, g, backend)
    root = word("sqrt", a, dtype=dtype)
    assert_close(got["root"], root, "sqrt", ulps=ROOT[backend])
    assert_close(got["rroot"], word("div", 1.0, root.astype(np.float64), dtype=dtype), "rsqrt", ulps=2 * ROOT[backend])
    assert_bits(got["size"], word("abs", a, dtype=dtype), "abs")
    assert_bits(got["sgn"], word("sign", a, dtype=dtype), "sign")
    # which zero is the smaller of 0 and -0 is left open
    low = word("maximum", a, -2.0, dtype=dtype).astype(np.float64)
    assert_bits(got["low"], word("minimum", a, b, dtype=dtype), "minimum", signs=False)
    assert_bits(got["high"], word("maximum", a, b, dtype=dtype), "maximum", signs=False)
    assert_bits(got["clamped"], word("minimum", low, 3.0, dtype=dtype), "clamp", signs=False)


@on_every_path
def test_conditions(dtype, backend):
    p, g = operands(dtype)
    a, b = p.double().numpy(), g.double().numpy()
    got = apply_rule(conditions, p, g, backend)
    for op in ("lt", "le", "gt", "ge", "eq", "ne"):
        assert_bits(got[op], word(op, a, b, dtype=dtype), op)
    less, positive = word("lt", a, b, dtype=dtype), word("gt", b, 0.0, dtype=dtype)
    either = word("or", less, positive, dtype=dtype)
    assert_bits(got["both"], word("and", less, positive, dtype=dtype), "&")
    assert_bits(got["either"], either, "|")
    assert_bits(got["neither"], word("not", either, dtype=dtype), "~")
    assert_bits(got["chosen"], word("where", less, a, b, dtype=dtype), "where")


@on_every_path
def test_transcendental_words(dtype, backend):
    p, g = operands(dtype)
    a = p.double().numpy()
    got = apply_rule(transcendental, p, g, backend)
    # the C library and torch's vectors differ in the last places
    assert_close(got["e"], word("exp", a, dtype=dtype), "exp", ulps=2)
    assert_close(got["ln"], word("log", a, dtype=dtype), "log", ulps=2)
    assert_close(got["th"], word("tanh", a, dtype=dtype), "tanh", ulps=2)


@on_every_path
@pytest.mark.parametrize("exponent", [1.7, -1.0, 4.0, -0.25, 0.5])
def test_powers_with_a_host_exponent(dtype, backend, exponent):
    p, g = operands(dtype)
    if exponent == 0.5:  # torch takes a root, C's pow makes inf of -inf and 0 of -0
        p, g = p[p > -math.inf].abs(), g[p > -math.inf]
    got = apply_rule(powers, p, g, backend, k=exponent)["power"]
    rounded = float(torch.tensor(exponent, dtype=dtype))
    assert_close(got, word("pow", p.double().numpy(), rounded, dtype=dtype), f"p**{exponent}", ulps=4)


NUMBERS = [(0.3, 2.0), (-0.7, 3.0), (-0.7, 0.5), (0.0, -1.0), (1e300, 2.0), (800.0, -2.5), (-800.0, 0.0), (1e-320, 1.0)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_host_words_to_the_bit(backend):
    """Eight groups with numbers of their own: eight rows of one call."""
    params = [torch.nn.Parameter(torch.ones(3, dtype=torch.float64)) for _ in NUMBERS]
    for p in params:
        p.grad = torch.ones_like(p)
    groups = [{"params": [p], "a": a, "b": b} for p, (a, b) in zip(params, NUMBERS, strict=True)]
    optimizer = descend.optimizer(host_words)(groups, backend=backend)
    optimizer.step()
    for p, (a, b) in zip(params, NUMBERS, strict=True):
        less = float(a < b)
        for op in HOST:
            given = {1: (a,), 2: (a, b), 3: (less, a, b)}[
                3 if op == "where" else 1 if op in ("neg", "sqrt", "rsqrt", "abs", "sign", "exp", "log", "tanh", "cos",
                                                    "floor") else 2
            ]  # fmt: skip
            expected = word(op, *(np.full(3, x) for x in given), dtype=torch.float64)
            assert_bits(optimizer.state[p][f"h_{op}"], expected, f"{op}{given}", signs=op not in ("minimum", "maximum"))


@on_every_path
def test_reductions(dtype, backend):
    sizes = [1, 4095, 4096, 4097, 12289]
    rng = np.random.default_rng(3)
    params = [torch.nn.Parameter(torch.tensor(rng.normal(size=n), dtype=dtype)) for n in sizes]
    for p in params:
        p.grad = torch.tensor(rng.normal(size=p.numel()) * 1e25, dtype=dtype)  # squares leave float32's range
    optimizer = descend.optimizer(reductions)(params, backend=backend)
    optimizer.step()
    grads = [p.grad.double().tolist() for p in params]
    everything = math.sqrt(math.fsum(x * x for g in grads for x in g))
    everything += math.fsum(x for p in params for x in p.tolist())
    for p, g in zip(params, grads, strict=True):
        state, scale = optimizer.state[p], math.fsum(map(abs, g))
        assert state["total"].dtype == torch.float64
        assert state["total"].item() == pytest.approx(math.fsum(g), rel=0, abs=1e-13 * scale)
        assert state["average"].item() == pytest.approx(math.fsum(g) / len(g), rel=0, abs=1e-13 * scale / len(g))
        assert state["length"].item() == pytest.approx(math.sqrt(math.fsum(x * x for x in g)), rel=1e-13)
        assert state["everything"].item() == pytest.approx(everything, rel=1e-13)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_reductions_hand_nonfinite_values_on(backend, bad):
    p = torch.nn.Parameter(torch.ones(5000))
    p.grad = torch.ones(5000)
    p.grad[4500] = bad
    optimizer = descend.optimizer(reductions)([p], backend=backend)
    optimizer.step()
    total, length = optimizer.state[p]["total"].item(), optimizer.state[p]["length"].item()
    assert math.isnan(total) if math.isnan(bad) else total == bad
    assert math.isnan(length) if math.isnan(bad) else length == math.inf


@pytest.mark.parametrize("backend", BACKENDS)
def test_reductions_of_an_empty_tensor(backend):
    p = torch.nn.Parameter(torch.zeros(0))
    p.grad = torch.zeros(0)
    optimizer = descend.optimizer(reductions)([p], backend=backend)
    optimizer.step()
    state = optimizer.state[p]
    assert (state["total"].item(), state["length"].item()) == (0.0, 0.0)
    assert math.isnan(state["average"].item())


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_complex_gradient_is_a_pair_of_reals(backend):
    z = torch.nn.Parameter(torch.zeros(3, dtype=torch.complex64))
    z.grad = torch.tensor([1 + 2j, -3j, complex(math.nan, 4)])
    optimizer = descend.optimizer(look)([z], backend=backend)
    optimizer.step()
    seen = torch.view_as_real(optimizer.state[z]["seen"])
    torch.testing.assert_close(seen, torch.view_as_real(z.grad), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_state_that_becomes_the_old_parameter(backend):
    p = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    optimizer = descend.optimizer(remember)([p], backend=backend)
    for expected, old in (([0.9, 1.9], [1.0, 2.0]), ([0.7, 1.6], [0.9, 1.9])):
        p.grad = torch.ones(2)
        optimizer.step()
        torch.testing.assert_close(p.detach(), torch.tensor(expected))
        torch.testing.assert_close(optimizer.state[p]["old"], torch.tensor(old))


@pytest.mark.parametrize("backend", BACKENDS)
def test_states_that_change_places(backend):
    p = torch.nn.Parameter(torch.zeros(2))
    p.grad = torch.zeros(2)
    optimizer = descend.optimizer(exchange)([p], backend=backend)
    optimizer.state[p] = {"a": torch.full((2,), 3.0), "b": torch.full((2,), 5.0)}
    for a, b in ((5.0, 3.0), (3.0, 5.0)):
        optimizer.step()
        assert optimizer.state[p]["a"].tolist() == [a, a]
        assert optimizer.state[p]["b"].tolist() == [b, b]
    torch.testing.assert_close(p.detach(), torch.full((2,), -0.1 * (3 + 10 + 5 + 6)))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_momentum_that_starts_from_a_gradient_that_is_the_parameter(backend):
    """The first buffer is the gradient itself, which the write of p would change under it."""
    p = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    p.grad = p.data
    optimizer = descend.SGD([p], lr=0.5, momentum=0.9, backend=backend)
    optimizer.step()
    assert p.tolist() == [0.5, -1.0]
    assert optimizer.state[p]["momentum_buffer"].tolist() == [1.0, -2.0]
