"""Rectified Adam (Liu et al. 2020, algorithm 2), with torch's threshold and eps.

The paper rectifies when rho_t > 4 and has no eps; torch, like the authors' code, when rho_t > 5, and adds eps
to the root of v before its bias correction.
"""

import numpy as np

DEFAULTS = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8}
OWN_DECAY = "l2"


def start(p, **_):
    return {"exp_avg": np.zeros_like(p), "exp_avg_sq": np.zeros_like(p)}


def update(p, g, state, t, *, lr, betas, eps):
    b1, b2 = betas
    m = state["exp_avg"] = b1 * state["exp_avg"] + (1 - b1) * g
    v = state["exp_avg_sq"] = b2 * state["exp_avg_sq"] + (1 - b2) * g**2
    m_hat = m / (1 - b1**t)
    rho_inf = 2 / (1 - b2) - 1
    rho = rho_inf - 2 * t * b2**t / (1 - b2**t)
    if rho <= 5:
        return -lr * m_hat
    r = np.sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
    return -lr * r * m_hat * np.sqrt(1 - b2**t) / (np.sqrt(v) + eps)
