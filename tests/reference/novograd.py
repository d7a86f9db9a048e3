"""NovoGrad (Ginsburg et al. 2019, algorithm 1): the second moment of a layer is one number.

``grad_averaging`` is the authors' code: the velocity as a running mean.
"""

import numpy as np

DEFAULTS = {"lr": 1e-3, "betas": (0.95, 0.98), "eps": 1e-8, "grad_averaging": False}
OWN_DECAY = None  # lambda p stands beside the normalised gradient


def start(p, **_):
    return {"exp_avg": np.zeros_like(p)}


def update(p, g, state, t, *, lr, betas, eps, grad_averaging, weight_decay, is_decayed):
    b1, b2 = betas
    squares = (g**2).sum()
    v = squares if "exp_avg_sq" not in state else b2 * state["exp_avg_sq"] + (1 - b2) * squares
    state["exp_avg_sq"] = v
    d = g / (np.sqrt(v) + eps) + weight_decay * p
    m = state["exp_avg"] = b1 * state["exp_avg"] + ((1 - b1) * d if grad_averaging else d)
    return -lr * m
