"""Quasi-hyperbolic momentum (Ma & Yarats 2019, eq. 3 and 4); ``momentum`` is the paper's beta."""

import numpy as np

DEFAULTS = {"lr": 1e-3, "momentum": 0.999, "nu": 0.7}
OWN_DECAY = "l2"


def start(p, **_):
    return {"momentum_buffer": np.zeros_like(p)}


def update(p, g, state, t, *, lr, momentum, nu):
    m = state["momentum_buffer"] = momentum * state["momentum_buffer"] + (1 - momentum) * g
    return -lr * ((1 - nu) * g + nu * m)
