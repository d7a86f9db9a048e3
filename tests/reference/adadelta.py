"""Adadelta (Zeiler 2012, algorithm 1); ``lr`` is torch's factor on the paper's step, 1 in the paper."""

import numpy as np

DEFAULTS = {"lr": 1.0, "rho": 0.9, "eps": 1e-6}
OWN_DECAY = "l2"


def start(p, **_):
    return {"square_avg": np.zeros_like(p), "acc_delta": np.zeros_like(p)}


def update(p, g, state, t, *, lr, rho, eps):
    s = state["square_avg"] = rho * state["square_avg"] + (1 - rho) * g**2
    u = np.sqrt(state["acc_delta"] + eps) / np.sqrt(s + eps) * g
    state["acc_delta"] = rho * state["acc_delta"] + (1 - rho) * u**2
    return -lr * u
