"""StableAdamW (Wortsman et al. 2023, algorithm 2): AdamW with the update clipping of Adafactor.

The corrected means are kept as such; the decay follows the shortened learning rate.
"""

import numpy as np

DEFAULTS = {"lr": 2e-3, "betas": (0.9, 0.99), "eps": 1e-8}
OWN_DECAY = None  # lambda p is multiplied by the tensor's shortened lr


def start(p, **_):
    return {"exp_avg": np.zeros_like(p), "exp_avg_sq": np.zeros_like(p)}


def update(p, g, state, t, *, lr, betas, eps, weight_decay, is_decayed):
    b1, b2 = (b * (1 - b ** (t - 1)) / (1 - b**t) for b in betas)
    v = state["exp_avg"] = b1 * state["exp_avg"] + (1 - b1) * g
    u = state["exp_avg_sq"] = b2 * state["exp_avg_sq"] + (1 - b2) * g**2
    rms = np.sqrt((g**2 / np.maximum(u, eps**2)).mean()) if g.size else 1.0
    return -lr / max(1.0, rms) * (v / (np.sqrt(u) + eps) + weight_decay * p)
