"""Adam (Kingma & Ba 2015, algorithm 1), AMSGrad (Reddi, Kale & Kumar 2018, algorithm 2) and AdamW
(Loshchilov & Hutter 2019, algorithm 2: the same update, the decay woven in as decoupled).

AMSGrad's paper has no bias correction. torch takes the maximum of v and corrects afterwards
(``amsgrad_of="v"``); others take the maximum of the corrected v (``amsgrad_of="v_hat"``).
"""

import numpy as np

DEFAULTS = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "amsgrad": False, "amsgrad_of": "v"}
OWN_DECAY = "l2"


def start(p, *, amsgrad, **_):
    names = ["exp_avg", "exp_avg_sq"] + ["max_exp_avg_sq"] * bool(amsgrad)
    return {name: np.zeros_like(p) for name in names}


def update(p, g, state, t, *, lr, betas, eps, amsgrad, amsgrad_of):
    b1, b2 = betas
    m = state["exp_avg"] = b1 * state["exp_avg"] + (1 - b1) * g
    v = state["exp_avg_sq"] = b2 * state["exp_avg_sq"] + (1 - b2) * g**2
    m_hat = m / (1 - b1**t)
    v_hat = v / (1 - b2**t)
    if amsgrad and amsgrad_of == "v":
        largest = state["max_exp_avg_sq"] = np.maximum(state.get("max_exp_avg_sq", 0), v)
        v_hat = largest / (1 - b2**t)
    elif amsgrad:
        v_hat = state["max_exp_avg_sq"] = np.maximum(state.get("max_exp_avg_sq", 0), v_hat)
    return -lr * m_hat / (np.sqrt(v_hat) + eps)
