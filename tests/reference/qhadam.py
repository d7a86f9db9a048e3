"""QHAdam (Ma & Yarats 2019, section 4): quasi-hyperbolic averages in both moments of Adam."""

import numpy as np

DEFAULTS = {"lr": 1e-3, "betas": (0.995, 0.999), "nus": (0.7, 1.0), "eps": 1e-8}
OWN_DECAY = "l2"


def start(p, **_):
    return {"exp_avg": np.zeros_like(p), "exp_avg_sq": np.zeros_like(p)}


def update(p, g, state, t, *, lr, betas, nus, eps):
    b1, b2 = betas
    nu1, nu2 = nus
    m = state["exp_avg"] = b1 * state["exp_avg"] + (1 - b1) * g
    v = state["exp_avg_sq"] = b2 * state["exp_avg_sq"] + (1 - b2) * g**2
    above = (1 - nu1) * g + nu1 * m / (1 - b1**t)
    below = np.sqrt((1 - nu2) * g**2 + nu2 * v / (1 - b2**t)) + eps
    return -lr * above / below
