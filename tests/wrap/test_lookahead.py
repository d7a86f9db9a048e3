"""Lookahead against a float64 reference written from Zhang et al. 2019, Algorithm 1."""

import io
from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn

import descend
from descend.errors import OptionError, ParameterError
from descend.wrap import SAM, Lookahead

STEPS = 12


def gradients(seed=2, steps=STEPS):
    rng = np.random.default_rng(seed)
    return [[rng.standard_normal((3, 2)), rng.standard_normal(4)] for _ in range(steps)]


def make_parameters(dtype=torch.float64):
    rng = np.random.default_rng(1)
    return [nn.Parameter(torch.tensor(rng.standard_normal(s)).to(dtype)) for s in [(3, 2), (4,)]]


def feed(parameters, row):
    for p, g in zip(parameters, row, strict=True):
        p.grad = None if g is None else torch.tensor(g).to(p.dtype)


def reference_momentum(start, rows, k, alpha, inner_state, lr=0.1, mu=0.9):
    """Algorithm 1 around heavy ball (v = mu v + g, theta -= lr v), the momentum kept, pulled or reset."""
    slow = [a.copy() for a in start]
    fast, v, slow_v = [a.copy() for a in start], [np.zeros_like(a) for a in start], [np.zeros_like(a) for a in start]
    for t, row in enumerate(rows, 1):
        for i, g in enumerate(row):
            v[i] = mu * v[i] + g
            fast[i] = fast[i] - lr * v[i]
        if t % k == 0:
            for i in range(len(fast)):
                slow[i] = slow[i] + alpha * (fast[i] - slow[i])
                fast[i] = slow[i].copy()
                if inner_state == "reset":
                    v[i] = np.zeros_like(v[i])
                elif inner_state == "pull":
                    slow_v[i] = slow_v[i] + alpha * (v[i] - slow_v[i])
                    v[i] = slow_v[i].copy()
    return fast


@pytest.mark.parametrize("library", [torch.optim, descend])
@pytest.mark.parametrize("inner_state", ["keep", "pull", "reset"])
@pytest.mark.parametrize(("k", "alpha"), [(5, 0.5), (1, 0.3), (4, 1.0)])
def test_trajectory(library, inner_state, k, alpha):
    parameters = make_parameters()
    expected = reference_momentum([p.detach().numpy().copy() for p in parameters], gradients(), k, alpha, inner_state)
    optimizer = Lookahead(library.SGD(parameters, lr=0.1, momentum=0.9), k, alpha, inner_state=inner_state)
    for row in gradients():
        feed(parameters, row)
        optimizer.step()
    for p, e in zip(parameters, expected, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), e, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("library", [torch.optim, descend])
def test_reset_restarts_adams_bias_correction(library):
    parameters = make_parameters()
    optimizer = Lookahead(library.Adam(parameters, lr=0.1), k=2, inner_state="reset")
    first, second, third = gradients(steps=3)
    for row in (first, second):
        feed(parameters, row)
        optimizer.step()
    before = [p.detach().clone() for p in parameters]
    feed(parameters, third)
    optimizer.step()
    # the third step is a first one: m_hat/sqrt(v_hat) is the sign of g
    for p, b, g in zip(parameters, before, third, strict=True):
        np.testing.assert_allclose((p.detach() - b).numpy(), -0.1 * np.sign(g), rtol=1e-6)


def test_slow_weights_begin_where_the_first_step_finds_them():
    """Not where the constructor did: weights loaded in between are not pulled back."""
    p = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = Lookahead(descend.SGD([p], lr=1.0), k=1, alpha=0.5)
    p.data.fill_(10.0)
    p.grad = torch.ones_like(p)
    optimizer.step()
    assert p.item() == 9.5


def test_groups_added_later_and_parameters_without_gradients():
    first, second = make_parameters()
    optimizer = Lookahead(descend.SGD([first], lr=1.0), k=2, alpha=0.5)
    start = second.detach().clone()
    feed([first, second], [np.ones((3, 2)), np.ones(4)])
    optimizer.step()
    optimizer.add_param_group({"params": [second], "lr": 0.5})
    assert optimizer.param_groups is optimizer.optimizer.param_groups
    optimizer.step()
    assert torch.allclose(second.detach(), start - 0.25)
    second.grad = None
    kept = second.detach().clone()
    optimizer.step()
    optimizer.step()
    assert torch.equal(second.detach(), kept)


def test_frozen_parameters_take_no_memory_until_they_are_unfrozen():
    first, second = make_parameters()
    second.requires_grad_(False)
    optimizer = Lookahead(descend.SGD([first, second], lr=1.0), k=2)
    feed([first], [np.ones((3, 2))])
    optimizer.step()
    assert list(optimizer.state_dict()["state"]) == [0]
    second.requires_grad_(True)
    optimizer.step()
    assert list(optimizer.state_dict()["state"]) == [0, 1]


@pytest.mark.parametrize("skip", ["on_nonfinite", "scaler"])
def test_a_skipped_step_does_not_count(skip):
    p = nn.Parameter(torch.zeros(2))
    optimizer = Lookahead(descend.SGD([p], lr=1.0, on_nonfinite="skip" if skip == "on_nonfinite" else "apply"), k=2)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0, enabled=skip == "scaler")
    for value in [1.0, float("inf"), 1.0]:
        scale = float(scaler.scale(torch.ones(())))
        p.grad = torch.full((2,), value * scale)
        scaler.step(optimizer)
        scaler.update()
    assert optimizer.steps == 2
    assert p.tolist() == [-1.0, -1.0]


def test_a_skip_of_torchs_fused_step_does_not_count():
    p = nn.Parameter(torch.zeros(2))
    optimizer = Lookahead(torch.optim.SGD([p], lr=1.0, fused=True), k=2)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    for value in [1.0, float("inf"), 1.0]:
        p.grad = torch.full((2,), value * float(scaler.scale(torch.ones(()))))
        scaler.step(optimizer)
        scaler.update()
    assert optimizer.steps == 2
    assert p.tolist() == [-1.0, -1.0]


@pytest.mark.parametrize("library", [torch.optim, descend])
@pytest.mark.parametrize("inner_state", ["keep", "pull", "reset"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_resume_equals_uninterrupted(library, inner_state, dtype):
    def make():
        parameters = make_parameters(dtype)
        return parameters, Lookahead(library.AdamW(parameters, lr=0.1), k=3, inner_state=inner_state)

    straight, optimizer = make()
    half, stopped = make()
    for t, row in enumerate(gradients()):
        feed(straight, row)
        optimizer.step()
        if t == 6:  # in the middle of an inner loop
            file = io.BytesIO()
            torch.save({"model": [p.detach() for p in half], "optimizer": stopped.state_dict()}, file)
            file.seek(0)
            saved = torch.load(file, weights_only=True)
            half, stopped = make()
            for p, value in zip(half, saved["model"], strict=True):
                p.data.copy_(value)
            stopped.load_state_dict(saved["optimizer"])
        feed(half, row)
        stopped.step()
    assert all(torch.equal(a, b) for a, b in zip(straight, half, strict=True))


def test_swap_shows_the_slow_weights_for_a_while():
    p = nn.Parameter(torch.zeros(1))
    optimizer = Lookahead(descend.SGD([p], lr=1.0), k=2)
    p.grad = torch.ones(1)
    optimizer.step()
    with optimizer.swap():
        assert p.item() == 0.0
    assert p.item() == -1.0


def test_a_copy_goes_on_alike_and_alone():
    parameters = make_parameters()
    optimizer = Lookahead(descend.AdamW(parameters, lr=0.1), k=2, inner_state="pull")
    for row in gradients(steps=3):
        feed(parameters, row)
        optimizer.step()
    twins, copy = deepcopy((parameters, optimizer))
    for row in gradients(seed=9, steps=3):
        feed(twins, row)
        copy.step()
    assert optimizer.steps == 3
    for row in gradients(seed=9, steps=3):
        feed(parameters, row)
        optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(parameters, twins, strict=True))


def test_what_is_refused():
    p = nn.Parameter(torch.zeros(1))
    inner = descend.SGD([p])
    for k in (0, -1, 2.0, True, None):
        with pytest.raises(OptionError, match="Lookahead: k.*whole number >= 1"):
            Lookahead(inner, k=k)
    for alpha in (0.0, 1.5, -0.5, float("nan"), "1"):
        with pytest.raises(OptionError, match="alpha"):
            Lookahead(inner, alpha=alpha)
    with pytest.raises(OptionError, match="inner_state.*Did you mean 'reset'"):
        Lookahead(inner, inner_state="rest")
    with pytest.raises(ParameterError, match="got 'SGD'; allowed: an optimizer that holds parameters"):
        Lookahead(descend.SGD)
    with pytest.raises(ParameterError, match="got 'list'"):
        Lookahead([p])
    with pytest.raises(OptionError, match="Lookahead around a Lookahead"):
        Lookahead(SAM(Lookahead(inner)))
    optimizer = Lookahead(inner, k=1, inner_state="pull")
    p.grad = torch.ones(1)
    with pytest.raises(OptionError, match="finds no momentum in SGD.*exp_avg"):
        optimizer.step()
