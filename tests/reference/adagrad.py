"""AdaGrad, diagonal form (Duchi, Hazan & Singer 2011, fig. 1), with torch's ``lr_decay``.

The paper adds its delta to the root, as ``eps_placement="outside"`` does; TensorFlow puts it inside.
"""

import numpy as np

DEFAULTS = {
    "lr": 1e-2,
    "lr_decay": 0.0,
    "initial_accumulator_value": 0.0,
    "eps": 1e-10,
    "eps_placement": "outside",
}
OWN_DECAY = "l2"


def start(p, *, initial_accumulator_value, **_):
    return {"sum": np.full_like(p, initial_accumulator_value)}


def update(p, g, state, t, *, lr, lr_decay, initial_accumulator_value, eps, eps_placement):
    s = state["sum"] = state["sum"] + g**2
    denominator = np.sqrt(s) + eps if eps_placement == "outside" else np.sqrt(s + eps)
    return -lr / (1 + (t - 1) * lr_decay) * g / denominator
