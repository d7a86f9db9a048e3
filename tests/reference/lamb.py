"""LAMB (You et al. 2020, algorithm 2, fifth version of the preprint).

``clamp=(lo, hi)`` is the paper's phi on the norm of p, the identity when None. The ratio is 1 where the norm
of p or of the update is 0, and with ``exclude_undecayed`` for tensors whose weight decay is 0.
"""

import numpy as np

DEFAULTS = {
    "lr": 1e-3,
    "betas": (0.9, 0.999),
    "eps": 1e-6,
    "clamp": None,
    "bias_correction": True,
    "exclude_undecayed": False,
}
OWN_DECAY = None  # lambda p stands inside the update


def start(p, **_):
    return {"exp_avg": np.zeros_like(p), "exp_avg_sq": np.zeros_like(p)}


def update(p, g, state, t, *, lr, betas, eps, clamp, bias_correction, exclude_undecayed, weight_decay, is_decayed):
    b1, b2 = betas
    m = state["exp_avg"] = b1 * state["exp_avg"] + (1 - b1) * g
    v = state["exp_avg_sq"] = b2 * state["exp_avg_sq"] + (1 - b2) * g**2
    if bias_correction:
        m, v = m / (1 - b1**t), v / (1 - b2**t)
    u = m / (np.sqrt(v) + eps) + weight_decay * p
    norm_p, norm_u = np.sqrt((p**2).sum()), np.sqrt((u**2).sum())
    ratio = 1.0
    if norm_p > 0 and norm_u > 0 and not (exclude_undecayed and not is_decayed):
        ratio = (norm_p if clamp is None else np.clip(norm_p, *clamp)) / norm_u
    return -lr * ratio * u
