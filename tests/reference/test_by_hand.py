"""References of methods and options that torch does not have, against numbers worked out on paper."""

import numpy as np
import pytest

from reference.trajectory import Reference


def steps(method, p, grads, lrs=None, **options):
    """The parameters of a single tensor after the last of ``grads``."""
    reference = Reference(method, [np.array(p, float)], **options)
    for k, g in enumerate(grads):
        if lrs:
            reference.set_options(lr=lrs[k])
        reference.step([np.array(g, float)])
    return reference.params[0], reference


def test_lion():
    """arg = 0.2, then 0.9*0.02 - 0.01 = 0.008: up both times; the decay acts first, outside the sign."""
    p, reference = steps("Lion", 1.0, [2.0, -0.1], lr=0.1, weight_decay=0.5)
    assert p == pytest.approx(0.85 * 0.95 - 0.1, rel=1e-15)
    assert reference.states[0]["exp_avg"] == pytest.approx(0.99 * 0.02 - 0.001, rel=1e-15)


@pytest.mark.parametrize(
    "options,u,ratio",
    [
        ({}, (1, 1), 5 / 2**0.5),
        ({"weight_decay": 1.0}, (4, 5), 5 / 41**0.5),
        ({"weight_decay": 1.0, "clamp": (0.0, 2.0)}, (4, 5), 2 / 41**0.5),
        ({"clamp": (7.0, 9.0)}, (1, 1), 7 / 2**0.5),
        ({"bias_correction": False}, (10**0.5, 10**0.5), 5 / 20**0.5),
        ({"exclude_undecayed": True}, (1, 1), 1.0),
        ({"exclude_undecayed": True, "weight_decay": 1.0}, (4, 5), 5 / 41**0.5),
    ],
)
def test_lamb(options, u, ratio):
    """First step from p = (3, 4), of norm 5, with g = (1, 1) and eps = 0, so that m_hat / sqrt(v_hat) = 1."""
    p, _ = steps("LAMB", (3, 4), [(1, 1)], lr=0.1, eps=0.0, **options)
    np.testing.assert_allclose(p, np.array([3, 4]) - 0.1 * ratio * np.array(u), rtol=1e-14)


def test_lamb_where_a_norm_is_zero():
    from_zero, _ = steps("LAMB", (0, 0), [(1, 1)], lr=0.1, eps=0.0)
    np.testing.assert_allclose(from_zero, (-0.1, -0.1), rtol=1e-14)
    without_gradient, _ = steps("LAMB", (3, 4), [(0, 0)], lr=0.1)
    np.testing.assert_array_equal(without_gradient, (3, 4))


def test_woven_decay_replaces_the_one_inside_lamb():
    p, _ = steps("LAMB", (3, 4), [(1, 1)], lr=0.1, eps=0.0, weight_decay=0.5, decay="decoupled")
    np.testing.assert_allclose(p, np.array([3, 4]) * 0.95 - 0.1 * 5 / 2**0.5, rtol=1e-14)


LARS = {"trust_coefficient": 0.1, "eps": 0.0, "weight_decay": 0.5, "lr": 0.1}
LARS_D = np.array([1.5, 4.0]) / 9  # 0.1*5 / (2 + 0.5*5) = 1/9 of g + 0.5 p


def test_lars():
    p, _ = steps("LARS", (3, 4), [(0, 2)], **LARS)
    np.testing.assert_allclose(p, np.array([3, 4]) - 0.1 * LARS_D, rtol=1e-14)
    p, _ = steps("LARS", (3, 4), [(0, 2)], nesterov=True, **LARS)
    np.testing.assert_allclose(p, np.array([3, 4]) - 0.1 * 1.9 * LARS_D, rtol=1e-14)


@pytest.mark.parametrize("form,kept", [("paper", 0.1), ("torch", 0.01)])
def test_lars_momentum_holds_the_old_lr_in_the_papers_form(form, kept):
    """A second step without gradient: the ratio is 1, no decay, so only the momentum of 0.9 moves p."""
    first, reference = steps("LARS", (3, 4), [(0, 2)], momentum_form=form, **LARS)
    reference.set_options(lr=0.01, weight_decay=0.0)
    reference.step([np.zeros(2)])
    np.testing.assert_allclose(reference.params[0], first - 0.9 * kept * LARS_D, rtol=1e-14)


@pytest.mark.parametrize(
    "form,nesterov,expected",
    [
        ("torch", False, -0.1 * 1 - 0.01 * (0.5 * 1 + 2)),
        ("torch", True, -0.1 * 1.5 - 0.01 * (2 + 0.5 * 2.5)),
        ("classical", False, -0.1 - (0.05 + 0.02)),
        ("classical", True, -(0.05 + 0.1) - (0.5 * 0.07 + 0.02)),
        ("ema", False, -0.1 * 0.5 - 0.01 * (0.25 + 1)),
        ("ema", True, -0.1 * 0.75 - 0.01 * (1 + 0.5 * 1.25)),
    ],
)
def test_sgd_forms(form, nesterov, expected):
    """Gradients 1 and 2, lr 0.1 then 0.01, momentum a half."""
    p, _ = steps("SGD", 0, [1, 2], [0.1, 0.01], momentum=0.5, momentum_form=form, nesterov=nesterov)
    assert p == pytest.approx(expected, rel=1e-14)


def test_classical_nesterov_visits_the_look_ahead_points():
    """While lr changes, the re-parametrised form stands where the true look-ahead takes its gradients."""
    curvature, mu, lrs = np.array([1.0, 3.0]), 0.8, [0.1, 0.1, 0.02, 0.3, 0.05]
    theta, v = np.array([1.0, -2.0]), np.zeros(2)
    reference = Reference("SGD", [theta], momentum=mu, momentum_form="classical", nesterov=True)
    for lr in lrs:
        ahead = theta - mu * v
        np.testing.assert_allclose(reference.params[0], ahead, rtol=1e-13)
        v = mu * v + lr * curvature * ahead
        theta = theta - v
        reference.set_options(lr=lr)
        reference.step([curvature * reference.params[0]])


def test_amsgrad_of_v_hat_keeps_the_larger_corrected_moment():
    """g = 1 then 0 with b2 = 1/2: v = 1/2, 1/4 and v_hat = 1, 1/3, so the maxima are 1/2 and 1."""
    options = {"betas": (0.0, 0.5), "eps": 1.0, "lr": 1.0, "amsgrad": True}
    _, of_v = steps("Adam", 0, [1, 0], amsgrad_of="v", **options)
    _, of_v_hat = steps("Adam", 0, [1, 0], amsgrad_of="v_hat", **options)
    assert of_v.states[0]["max_exp_avg_sq"] == 0.5
    assert of_v_hat.states[0]["max_exp_avg_sq"] == 1.0
    of_v.step([np.array(1.0)])  # v = 5/8, corrected 5/7
    of_v_hat.step([np.array(1.0)])
    assert of_v.params[0] == pytest.approx(-0.5 - 1 / (1 + (5 / 7) ** 0.5), rel=1e-14)
    assert of_v_hat.params[0] == pytest.approx(-0.5 - 0.5, rel=1e-14)


def test_eps_placement():
    p, _ = steps("Adagrad", 0, [3.0], lr=1.0, eps=16.0, eps_placement="inside")
    assert p == pytest.approx(-3 / 5, rel=1e-15)
    p, _ = steps("RMSprop", 0, [3.0], lr=1.0, alpha=0.0, eps=16.0, eps_placement="inside")
    assert p == pytest.approx(-3 / 5, rel=1e-15)


def test_centered_rmsprop_of_a_constant_gradient_stays_finite():
    """s - g_bar**2 falls to rounding errors below 0, of which torch takes the root."""
    reference, below = Reference("RMSprop", [np.zeros(50)], centered=True), 0
    g = np.linspace(0.1, 1.0, 50)
    for _ in range(5000):
        reference.step([g])
        below += (reference.states[0]["square_avg"] < reference.states[0]["grad_avg"] ** 2).any()
    assert below and np.isfinite(reference.params[0]).all()


@pytest.mark.parametrize(
    "decay,factors",
    [
        ("decoupled", (1 - 0.1 * 0.5, 1 - 0.2 * 0.5, 1 - 0.05 * 0.5)),
        ("independent", (1 - 0.5, 1 - 0.5 * 2, 1 - 0.5 * 0.5)),
        ("corrected", (1 - 0.1 * 0.5, 1 - 0.2 * 0.5, 1 - 0.05**2 / 0.2 * 0.5)),
    ],
)
def test_decays(decay, factors):
    """lr 0.1, 0.2, 0.05 on a gradient of zero, from p = 1: only the decay moves p."""
    reference = Reference("SGD", [np.array(1.0)], lr=0.1, weight_decay=0.5, decay=decay)
    expected = 1.0
    for lr, factor in zip((0.1, 0.2, 0.05), factors, strict=True):
        reference.set_options(lr=lr)
        reference.step([np.array(0.0)])
        expected *= factor
        assert reference.params[0] == pytest.approx(expected, rel=1e-14)


def test_l2_decay_joins_the_gradient_after_clipping():
    p, _ = steps("SGD", 2.0, [10.0], lr=1.0, weight_decay=0.5, clip_norm=1.0, clip_value=0.25, maximize=True)
    assert p == pytest.approx(2.0 - (-0.25 + 0.5 * 2.0), rel=1e-14)


def test_global_norm_spans_all_tensors_with_a_gradient():
    reference = Reference("SGD", [np.zeros(1), np.zeros(1), np.zeros(1)], lr=1.0, clip_norm=1.0)
    reference.step([np.array([3.0]), None, np.array([4.0])])
    np.testing.assert_allclose([p[0] for p in reference.params], np.array([-3, 0, -4]) / (5 + 1e-6), rtol=1e-14)
