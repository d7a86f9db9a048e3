"""AdaBelief (Zhuang et al. 2020, algorithm 2); eps stands in the moving variance and beside its root."""

import numpy as np

DEFAULTS = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-16}
OWN_DECAY = "decoupled"


def start(p, **_):
    return {"exp_avg": np.zeros_like(p), "exp_avg_var": np.zeros_like(p)}


def update(p, g, state, t, *, lr, betas, eps):
    b1, b2 = betas
    m = state["exp_avg"] = b1 * state["exp_avg"] + (1 - b1) * g
    s = state["exp_avg_var"] = b2 * state["exp_avg_var"] + (1 - b2) * (g - m) ** 2 + eps
    return -lr * (m / (1 - b1**t)) / (np.sqrt(s / (1 - b2**t)) + eps)
