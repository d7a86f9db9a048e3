"""ADOPT (Taniguchi et al. 2024, algorithm 2; without clipping, algorithm 1).

v_0 is the square of a gradient g_0 that moves nothing, so the paper's step t has the number t + 1 here.
"""

import numpy as np

DEFAULTS = {"lr": 1e-3, "betas": (0.9, 0.9999), "eps": 1e-6, "clipped": True}
OWN_DECAY = "l2"


def start(p, **_):
    return {"exp_avg": np.zeros_like(p), "exp_avg_sq": np.zeros_like(p)}


def update(p, g, state, t, *, lr, betas, eps, clipped):
    b1, b2 = betas
    if t == 1:
        state["exp_avg_sq"] = g**2
        return np.zeros_like(p)
    d = g / np.maximum(np.sqrt(state["exp_avg_sq"]), eps)
    if clipped:
        limit = (t - 1) ** 0.25
        d = np.clip(d, -limit, limit)
    m = state["exp_avg"] = b1 * state["exp_avg"] + (1 - b1) * d
    state["exp_avg_sq"] = b2 * state["exp_avg_sq"] + (1 - b2) * g**2
    return -lr * m
