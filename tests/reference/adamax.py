"""Adamax (Kingma & Ba 2015, algorithm 2), with torch's eps inside the maximum; the paper has none."""

import numpy as np

DEFAULTS = {"lr": 2e-3, "betas": (0.9, 0.999), "eps": 1e-8}
OWN_DECAY = "l2"


def start(p, **_):
    return {"exp_avg": np.zeros_like(p), "exp_inf": np.zeros_like(p)}


def update(p, g, state, t, *, lr, betas, eps):
    b1, b2 = betas
    m = state["exp_avg"] = b1 * state["exp_avg"] + (1 - b1) * g
    u = state["exp_inf"] = np.maximum(b2 * state["exp_inf"], np.abs(g) + eps)
    return -lr / (1 - b1**t) * m / u
