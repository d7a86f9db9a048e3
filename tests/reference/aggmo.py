"""Aggregated momentum (Lucas et al. 2019, eq. 2), here with three velocities."""

import numpy as np

DEFAULTS = {"lr": 1e-3, "betas": (0.0, 0.9, 0.99)}
OWN_DECAY = "l2"


def start(p, *, betas, **_):
    return {f"momentum_buffer_{i + 1}": np.zeros_like(p) for i in range(len(betas))}


def update(p, g, state, t, *, lr, betas):
    total = 0.0
    for i, beta in enumerate(betas):
        v = state[f"momentum_buffer_{i + 1}"] = beta * state[f"momentum_buffer_{i + 1}"] - g
        total = total + v
    return lr / len(betas) * total
