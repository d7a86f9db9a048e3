"""References of the first-order methods that torch does not have: numbers worked out on paper, and limits in which
a method becomes another one."""

import numpy as np
import pytest

from reference.inputs import TAME, gradients, parameters
from reference.test_by_hand import steps
from reference.trajectory import run


def assert_same_way(method, options, other, other_options):
    """Both methods take the same 20 steps."""
    params, grads = parameters(), gradients(sizes=TAME)
    for a, b in zip(
        run(method, params, grads, **options)[0].params,
        run(other, params, grads, **other_options)[0].params,
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_adabelief():
    """m = 1, then 2, so g is 1 away from it both times: s = 1/2 + eps = 1, then 1/2 + 1/2 + eps = 3/2."""
    p, reference = steps("AdaBelief", 0, [2.0, 3.0], lr=1.0, betas=(0.5, 0.5), eps=0.5)
    first = 2 / ((1 / 0.5) ** 0.5 + 0.5)  # m_hat = 2, s = 1/2 * 1 + 1/2 = 1, s_hat = 2
    second = 2 / 0.75 / ((1.5 / 0.75) ** 0.5 + 0.5)  # m = 2, s = 1/2 + 1/2 * 1 + 1/2 = 3/2
    assert reference.states[0]["exp_avg_var"] == 1.5
    assert p == pytest.approx(-first - second, rel=1e-14)


def test_yogi_moves_its_second_moment_by_a_share_of_the_square():
    """v = 1: up by 9/4 towards 9, then down by 1/4 only, where a running mean would fall by 9/16."""
    options = {"lr": 1.0, "betas": (0.0, 0.75), "eps": 1.0, "initial_accumulator_value": 1.0}
    p, reference = steps("Yogi", 0, [3.0, 1.0], **options)
    assert reference.states[0]["exp_avg_sq"] == 3.0
    assert p == pytest.approx(-3 / (3.25**0.5 + 1) - 1 / (3**0.5 + 1), rel=1e-14)


def test_yogi_with_bias_correction():
    options = {"lr": 1.0, "betas": (0.5, 0.75), "eps": 1.0, "initial_accumulator_value": 0.0}
    p, _ = steps("Yogi", 0, [3.0], bias_correction=True, **options)
    assert p == pytest.approx(-3 / 4, rel=1e-14)


def test_sign_rules():
    """Signum's momentum is 1, then 1/2 - 1/4: still up; the decay acts outside the sign."""
    p, _ = steps("SignSGD", 1.0, [2.0, -0.5, 0.0], lr=0.25)
    assert p == 1.0
    p, _ = steps("Signum", 1.0, [2.0, -0.5], lr=0.25, momentum=0.5)
    assert p == 0.5
    p, _ = steps("Signum", 1.0, [2.0], lr=0.25, weight_decay=1.0)
    assert p == 0.5


@pytest.mark.parametrize("grad_averaging,share", [(False, 1.0), (True, 0.5)])
def test_novograd(grad_averaging, share):
    """Norms 5 and 10: v = 25, then 1/2 25 + 1/2 100; the decay enters the velocity, unscaled."""
    options = {"lr": 1.0, "betas": (0.5, 0.5), "eps": 0.0, "grad_averaging": grad_averaging}
    p, reference = steps("NovoGrad", (0, 0), [(3, 4), (6, 8)], **options)
    assert reference.states[0]["exp_avg_sq"] == 62.5
    np.testing.assert_allclose(p, -share * np.array([0.6, 0.8]) * (1.5 + 10 / 62.5**0.5), rtol=1e-14)
    p, _ = steps("NovoGrad", (2, 0), [(3, 4)], weight_decay=0.1, **options)
    np.testing.assert_allclose(p, np.array([2, 0]) - share * np.array([0.8, 0.8]), rtol=1e-14)


def test_quasi_hyperbolic_momentum_between_sgd_and_momentum():
    """m = 1/2, then 5/4; a quarter of it and three quarters of g."""
    p, _ = steps("QHM", 0, [1, 2], lr=1.0, momentum=0.5, nu=0.25)
    assert p == pytest.approx(-(0.75 + 0.125) - (1.5 + 0.3125), rel=1e-14)
    assert_same_way("QHM", {"nu": 0.0}, "SGD", {})
    ema = {"momentum": 0.9, "momentum_form": "ema"}
    assert_same_way("QHM", {"nu": 1.0, "momentum": 0.9}, "SGD", ema)
    assert_same_way("QHM", {"nu": 0.9, "momentum": 0.9}, "SGD", {**ema, "nesterov": True})


def test_qhadam():
    """All averages agree in the first step; in the second m = 5/4 and v = 9/4, both corrected by 3/4."""
    p, _ = steps("QHAdam", 0, [1, 2], lr=1.0, betas=(0.5, 0.5), nus=(0.25, 0.5), eps=0.0)
    second = (0.75 * 2 + 0.25 * 1.25 / 0.75) / (0.5 * 4 + 0.5 * 2.25 / 0.75) ** 0.5
    assert p == pytest.approx(-1 - second, rel=1e-14)
    same = {"betas": (0.9, 0.999)}
    assert_same_way("QHAdam", {"nus": (1.0, 1.0), **same}, "Adam", same)


@pytest.mark.parametrize("clipped,second", [(True, 1.0), (False, 3.0)])
def test_adopt(clipped, second):
    """No first move; 6 / 2 is clipped to 1, then 4 / sqrt(1/2 4 + 1/2 36) to the fourth root of 2."""
    p, reference = steps("ADOPT", 0, [2.0], lr=1.0, betas=(0.5, 0.5), clipped=clipped)
    assert p == 0.0 and reference.states[0]["exp_avg_sq"] == 4.0
    p, reference = steps("ADOPT", 0, [2.0, 6.0, 4.0], lr=1.0, betas=(0.5, 0.5), clipped=clipped)
    assert reference.states[0]["exp_avg_sq"] == 18.0
    assert p == pytest.approx(-second / 2 - (second / 4 + 4 / 20**0.5 / 2), rel=1e-14)


def test_ademamix_mixes_a_slow_mean_whose_bias_stays():
    """g = 1 twice: the fast mean is 1 after correction, the slow one 1/4, then 7/16."""
    p, _ = steps("AdEMAMix", 0, [1, 1], lr=1.0, betas=(0.5, 0.5, 0.75), alpha=2.0, eps=0.0)
    assert p == pytest.approx(-1.5 - (1 + 7 / 8), rel=1e-14)
    assert_same_way("AdEMAMix", {"alpha": 0.0, "weight_decay": 0.1}, "AdamW", {"weight_decay": 0.1})


def test_ademamix_warms_up_by_half_lives():
    """b1 = 1/2 and b3 = 1/4^(1/4): half-lives 1 and 2 steps, so 3/2 halfway through 2 steps; alpha halfway is 1."""
    half_lives = {"betas": (0.5, 0.5, 0.5**0.5), "eps": 0.0, "lr": 1.0}
    _, reference = steps("AdEMAMix", 0, [1], beta3_warmup=2.0, **half_lives)
    assert reference.states[0]["exp_avg_slow"] == pytest.approx(1 - 0.5 ** (1 / 1.5), rel=1e-14)
    p, _ = steps("AdEMAMix", 0, [1], alpha=2.0, alpha_warmup=2.0, **half_lives)
    assert p == pytest.approx(-1 - (1 - 0.5**0.5), rel=1e-14)


def test_adan_begins_with_the_first_gradient():
    """m = 1, then 2; v = 0, then 1; n = 1, then (1 + (3 + 1/2 2)^2) / 2."""
    p, reference = steps("Adan", 0, [1, 3], lr=1.0, betas=(0.5, 0.5, 0.5), eps=0.0)
    assert reference.states[0]["exp_avg_diff"] == 1.0 and reference.states[0]["exp_avg_sq"] == 8.5
    assert p == pytest.approx(-1 - 2.5 / 8.5**0.5, rel=1e-14)


def test_adan_with_bias_correction_and_proximal_decay():
    """m = 1/2, 7/4; v = 0, 1; n = 1/2, 1/4 + 8, each over 3/4; a decay of 1 halves p after the update."""
    options = {"lr": 1.0, "betas": (0.5, 0.5, 0.5), "eps": 0.0}
    p, _ = steps("Adan", 0, [1, 3], bias_correction=True, **options)
    assert p == pytest.approx(-1 - (1.75 + 0.5) / 0.75 / (8.25 / 0.75) ** 0.5, rel=1e-14)
    p, _ = steps("Adan", 4.0, [1], weight_decay=1.0, **options)
    assert p == pytest.approx((4 - 1) / 2, rel=1e-14)


def test_mars_corrects_by_the_change_of_the_gradient_and_clips():
    """c = (0.3, 0.4) as it is; then (3, 4) + 1/2 (2.7, 3.6) = 1.45 (3, 4), scaled to (0.6, 0.8)."""
    options = {"lr": 1.0, "betas": (0.5, 0.0), "eps": 0.0, "gamma": 0.5}
    p, reference = steps("MARS", (0, 0), [(0.3, 0.4), (3, 4)], **options)
    np.testing.assert_allclose(reference.states[0]["exp_avg"], (0.075 + 0.3, 0.1 + 0.4), rtol=1e-14)
    np.testing.assert_allclose(p, -1 - np.array([0.375 / 0.6, 0.5 / 0.8]) / 0.75, rtol=1e-14)


def test_aggmo():
    """Velocities -1, -1, -1, then -2, -5/2, -11/4; equal dampings are one momentum."""
    p, _ = steps("AggMo", 0, [1, 2], lr=3.0, betas=(0.0, 0.5, 0.75))
    assert p == pytest.approx(-3 - 7.25, rel=1e-14)
    assert_same_way("AggMo", {"betas": (0.9, 0.9, 0.9)}, "SGD", {"momentum": 0.9})


def test_stableadamw_shortens_a_step_whose_gradient_outgrows_its_moment():
    """g = 1, then 7 with b2_hat = 1/3: u = (1 + 2 * 49) / 3 = 33, so the lr and the decay shrink by sqrt(49/33)."""
    options = {"lr": 1.0, "betas": (0.0, 0.5), "eps": 0.0}
    p, _ = steps("StableAdamW", 0, [1, 7], weight_decay=0.0, **options)
    assert p == pytest.approx(-1 - 1, rel=1e-14)
    p, _ = steps("StableAdamW", 0, [1, 7], weight_decay=0.5, **options)
    assert p == pytest.approx(-1 - (33**0.5 / 7) * (7 / 33**0.5 - 0.5), rel=1e-14)


def test_sgdw_decouples_the_decay_of_classical_momentum():
    p, _ = steps("SGDW", 4.0, [1, 2], [0.5, 0.25], momentum=0.5, weight_decay=1.0)
    assert p == pytest.approx((4 * 0.5 - 0.5) * 0.75 - (0.25 + 0.5), rel=1e-14)
