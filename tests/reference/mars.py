"""MARS-AdamW (Yuan et al. 2024, algorithm 2) in its approximate form: the last gradient is that of the last batch.

x_0 = x_1, so the first step corrects nothing. The norm is clipped tensor by tensor, as in the authors' code.
"""

import numpy as np

DEFAULTS = {"lr": 3e-3, "betas": (0.95, 0.99), "eps": 1e-8, "gamma": 0.025}
OWN_DECAY = "decoupled"


def start(p, **_):
    return {"exp_avg": np.zeros_like(p), "exp_avg_sq": np.zeros_like(p)}


def update(p, g, state, t, *, lr, betas, eps, gamma):
    b1, b2 = betas
    c = g + gamma * b1 / (1 - b1) * (g - state.get("last_grad", g))
    state["last_grad"] = g
    norm = np.sqrt((c**2).sum())
    if norm > 1:
        c = c / norm
    m = state["exp_avg"] = b1 * state["exp_avg"] + (1 - b1) * c
    v = state["exp_avg_sq"] = b2 * state["exp_avg_sq"] + (1 - b2) * c**2
    return -lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
