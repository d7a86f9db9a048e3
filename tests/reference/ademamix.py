"""AdEMAMix (Pagliardini, Ablin & Grangier 2024, algorithm 1, with the schedules of its section 3).

A warm-up of 0 steps is none. The authors' code adds 1e-8 to the betas in the half-lives; the paper does not.
"""

import numpy as np

DEFAULTS = {
    "lr": 1e-3,
    "betas": (0.9, 0.999, 0.9999),
    "alpha": 5.0,
    "eps": 1e-8,
    "beta3_warmup": 0.0,
    "alpha_warmup": 0.0,
}
OWN_DECAY = "decoupled"


def start(p, **_):
    return {name: np.zeros_like(p) for name in ("exp_avg_fast", "exp_avg_slow", "exp_avg_sq")}


def schedule_beta3(t, begin, end, steps):
    if t >= steps:
        return end
    share, first, last = t / steps, np.log(begin), np.log(end)
    return min(np.exp(first * last / ((1 - share) * last + share * first)), end)


def update(p, g, state, t, *, lr, betas, alpha, eps, beta3_warmup, alpha_warmup):
    b1, b2, b3 = betas
    b3 = schedule_beta3(t, b1, b3, beta3_warmup)
    alpha = alpha if t >= alpha_warmup else alpha * t / alpha_warmup
    fast = state["exp_avg_fast"] = b1 * state["exp_avg_fast"] + (1 - b1) * g
    slow = state["exp_avg_slow"] = b3 * state["exp_avg_slow"] + (1 - b3) * g
    v = state["exp_avg_sq"] = b2 * state["exp_avg_sq"] + (1 - b2) * g**2
    return -lr * (fast / (1 - b1**t) + alpha * slow) / (np.sqrt(v / (1 - b2**t)) + eps)
