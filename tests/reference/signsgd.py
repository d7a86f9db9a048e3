"""signSGD (Bernstein et al. 2018, algorithm 1)."""

import numpy as np

DEFAULTS = {"lr": 1e-4}
OWN_DECAY = "decoupled"


def start(p, **_):
    return {}


def update(p, g, state, t, *, lr):
    return -lr * np.sign(g)
