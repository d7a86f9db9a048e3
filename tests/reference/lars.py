"""LARS (You, Gitman & Ginsburg 2017, algorithm 1), with an eps in the ratio's denominator.

The paper's momentum holds lr inside (``momentum_form="paper"``); ``"torch"`` multiplies by lr outside, so the
two differ as soon as lr changes. The ratio is 1 where the norm of p or of g is 0.
"""

import numpy as np

DEFAULTS = {
    "lr": 0.1,
    "momentum": 0.9,
    "trust_coefficient": 1e-3,
    "eps": 1e-8,
    "nesterov": False,
    "momentum_form": "paper",
}
OWN_DECAY = None  # lambda p stands inside the update


def start(p, *, momentum, **_):
    return {"momentum_buffer": np.zeros_like(p)} if momentum else {}


def update(
    p,
    g,
    state,
    t,
    *,
    lr,
    momentum,
    trust_coefficient,
    eps,
    nesterov,
    momentum_form,
    weight_decay,
    is_decayed,
):
    norm_p, norm_g = np.sqrt((p**2).sum()), np.sqrt((g**2).sum())
    ratio = 1.0
    if norm_p > 0 and norm_g > 0:
        ratio = trust_coefficient * norm_p / (norm_g + weight_decay * norm_p + eps)
    d = ratio * (g + weight_decay * p)
    if momentum == 0:
        return -lr * d
    inside, outside = (lr, 1.0) if momentum_form == "paper" else (1.0, lr)
    v = state["momentum_buffer"] = momentum * state.get("momentum_buffer", 0) + inside * d
    return -outside * (inside * d + momentum * v if nesterov else v)
