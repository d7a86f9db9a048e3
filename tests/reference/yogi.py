"""Yogi (Zaheer et al. 2018, algorithm 2); the paper corrects no bias, other libraries do."""

import numpy as np

DEFAULTS = {
    "lr": 1e-2,
    "betas": (0.9, 0.999),
    "eps": 1e-3,
    "initial_accumulator_value": 1e-6,
    "bias_correction": False,
}
OWN_DECAY = "l2"


def start(p, *, initial_accumulator_value, **_):
    return {"exp_avg": np.zeros_like(p), "exp_avg_sq": np.full_like(p, initial_accumulator_value)}


def update(p, g, state, t, *, lr, betas, eps, initial_accumulator_value, bias_correction):
    b1, b2 = betas
    m = state["exp_avg"] = b1 * state["exp_avg"] + (1 - b1) * g
    v = state["exp_avg_sq"]
    v = state["exp_avg_sq"] = v - (1 - b2) * np.sign(v - g**2) * g**2
    if bias_correction:
        m, v = m / (1 - b1**t), v / (1 - b2**t)
    return -lr * m / (np.sqrt(v) + eps)
