"""RMSprop (Tieleman & Hinton 2012, lecture 6.5); centered and with momentum: Graves 2013, eq. 38 to 41.

Graves writes the root of ``n - g_bar**2 + 1e-4``, epsilon inside, and keeps lr inside the momentum; this is
torch's form, which does neither. The difference is at least 0 in exact arithmetic only, so the centered
denominator takes its positive part, where torch gives NaN.
"""

import numpy as np

DEFAULTS = {
    "lr": 1e-2,
    "alpha": 0.99,
    "eps": 1e-8,
    "momentum": 0.0,
    "centered": False,
    "eps_placement": "outside",
}
OWN_DECAY = "l2"


def start(p, *, momentum, centered, **_):
    names = ["square_avg"] + ["momentum_buffer"] * (momentum > 0) + ["grad_avg"] * bool(centered)
    return {name: np.zeros_like(p) for name in names}


def update(p, g, state, t, *, lr, alpha, eps, momentum, centered, eps_placement):
    s = state["square_avg"] = alpha * state["square_avg"] + (1 - alpha) * g**2
    if centered:
        mean = state["grad_avg"] = alpha * state.get("grad_avg", 0) + (1 - alpha) * g
        s = np.maximum(s - mean**2, 0)
    u = g / (np.sqrt(s) + eps if eps_placement == "outside" else np.sqrt(s + eps))
    if momentum > 0:
        u = state["momentum_buffer"] = momentum * state.get("momentum_buffer", 0) + u
    return -lr * u
