"""Averaged SGD (Polyak & Juditsky 1992) with the step sizes of Bottou 2010, as torch has it.

torch computes eta and mu at the end of a step, so a new lr acts one step late.
"""

import numpy as np

DEFAULTS = {"lr": 1e-2, "lambd": 1e-4, "alpha": 0.75, "t0": 1e6}
OWN_DECAY = "l2"


def start(p, *, lr, **_):
    return {"eta": np.float64(lr), "mu": np.float64(1), "ax": np.zeros_like(p)}


def update(p, g, state, t, *, lr, lambd, alpha, t0):
    eta, mu = state["eta"], state["mu"]
    delta = -eta * (lambd * p + g)
    state["ax"] = state["ax"] + mu * (p + delta - state["ax"])
    state["eta"] = lr / (1 + lambd * lr * t) ** alpha
    state["mu"] = 1 / max(1, t - t0)
    return delta
