"""Lion (Chen et al. 2023, algorithm 2): the sign of one interpolation, the momentum of another."""

import numpy as np

DEFAULTS = {"lr": 1e-4, "betas": (0.9, 0.99)}
OWN_DECAY = "decoupled"


def start(p, **_):
    return {"exp_avg": np.zeros_like(p), "size": np.zeros_like(p), "distance": np.zeros_like(p)}


def update(p, g, state, t, *, lr, betas):
    b1, b2 = betas
    m = state["exp_avg"]
    argument = b1 * m + (1 - b1) * g
    state["exp_avg"] = b2 * m + (1 - b2) * g
    # How far the sign's argument is from 0, against the size of what it is made of: for the tests' inputs.
    state["distance"] = np.abs(argument) / np.maximum(b1 * state["size"] + (1 - b1) * np.abs(g), 1e-300)
    state["size"] = b2 * state["size"] + (1 - b2) * np.abs(g)
    return -lr * np.sign(argument)
