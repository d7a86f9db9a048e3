"""Signum (Bernstein et al. 2018, algorithm 2): the sign of a running mean."""

import numpy as np

DEFAULTS = {"lr": 1e-4, "momentum": 0.9}
OWN_DECAY = "decoupled"


def start(p, **_):
    return {"momentum_buffer": np.zeros_like(p), "size": np.zeros_like(p), "distance": np.zeros_like(p)}


def update(p, g, state, t, *, lr, momentum):
    m = state["momentum_buffer"] = momentum * state["momentum_buffer"] + (1 - momentum) * g
    # How far the sign's argument is from 0, against the size of what it is made of: for the tests' inputs.
    state["size"] = momentum * state["size"] + (1 - momentum) * np.abs(g)
    state["distance"] = np.abs(m) / np.maximum(state["size"], 1e-300)
    return -lr * np.sign(m)
