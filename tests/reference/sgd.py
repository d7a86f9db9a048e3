"""Stochastic gradient descent (Robbins & Monro 1951) with momentum in its three published forms.

Heavy ball: Polyak 1964. Nesterov re-parametrised at the look-ahead point: Sutskever et al. 2013, eq. 3 and 4,
rewritten by Bengio et al. 2013, eq. 7. With a constant lr the three forms differ by a factor in the buffer.
"""

import numpy as np

DEFAULTS = {"lr": 1e-3, "momentum": 0.0, "dampening": 0.0, "nesterov": False, "momentum_form": "torch"}
OWN_DECAY = "l2"


def start(p, *, momentum, momentum_form, **_):
    if momentum == 0 or momentum_form == "torch":
        return {}  # torch's buffer starts at the first gradient
    return {"momentum_buffer": np.zeros_like(p)}


def update(p, g, state, t, *, lr, momentum, dampening, nesterov, momentum_form):
    if momentum == 0:
        return -lr * g
    if dampening != 0 and momentum_form != "torch":
        raise ValueError("dampening is torch's word and has no meaning in the other forms")
    if momentum_form == "torch":
        if "momentum_buffer" not in state:
            v = g.copy()
        else:
            v = momentum * state["momentum_buffer"] + (1 - dampening) * g
        delta = -lr * (g + momentum * v) if nesterov else -lr * v
    elif momentum_form == "classical":
        v = momentum * state["momentum_buffer"] + lr * g
        delta = -(momentum * v + lr * g) if nesterov else -v
    elif momentum_form == "ema":
        v = momentum * state["momentum_buffer"] + (1 - momentum) * g
        delta = -lr * ((1 - momentum) * g + momentum * v) if nesterov else -lr * v
    else:
        raise ValueError(momentum_form)
    state["momentum_buffer"] = v
    return delta
