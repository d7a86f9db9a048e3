"""Adan (Xie et al. 2022, algorithm 1, no restarts); each beta is 1 minus the paper's.

The paper begins with m = g, v = 0, n = g**2; the authors' code begins all means at 0 and corrects their bias.
"""

import numpy as np

DEFAULTS = {"lr": 1e-3, "betas": (0.98, 0.92, 0.99), "eps": 1e-8, "bias_correction": False}
OWN_DECAY = None  # the decay is proximal: a division after the update


def start(p, **_):
    return {name: np.zeros_like(p) for name in ("exp_avg", "exp_avg_diff", "exp_avg_sq", "pre_grad")}


def update(p, g, state, t, *, lr, betas, eps, bias_correction, weight_decay, is_decayed):
    b1, b2, b3 = betas
    change = np.zeros_like(g) if t == 1 else g - state["pre_grad"]
    state["pre_grad"] = g
    if t == 1 and not bias_correction:
        m, v, n = g, np.zeros_like(g), g**2
    else:
        m = b1 * state["exp_avg"] + (1 - b1) * g
        v = b2 * state["exp_avg_diff"] + (1 - b2) * change
        n = b3 * state["exp_avg_sq"] + (1 - b3) * (g + b2 * change) ** 2
    state["exp_avg"], state["exp_avg_diff"], state["exp_avg_sq"] = m, v, n
    if bias_correction:
        m, v, n = m / (1 - b1**t), v / (1 - b2**t), n / (1 - b3**t)
    return (p - lr * (m + b2 * v) / (np.sqrt(n) + eps)) / (1 + lr * weight_decay) - p
