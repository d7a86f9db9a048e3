"""NAdam (Dozat 2016, algorithm 2 with the warm momentum schedule of section 3.2).

Dozat's momentum is decayed by the scheduled mu_t; torch decays it by beta1 and uses mu_t only in the two
correction factors. torch's form is the one here.
"""

import numpy as np

DEFAULTS = {"lr": 2e-3, "betas": (0.9, 0.999), "eps": 1e-8, "momentum_decay": 4e-3}
OWN_DECAY = "l2"


def start(p, **_):
    return {"exp_avg": np.zeros_like(p), "exp_avg_sq": np.zeros_like(p), "mu_product": np.float64(1)}


def update(p, g, state, t, *, lr, betas, eps, momentum_decay):
    b1, b2 = betas
    mu = b1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))
    mu_next = b1 * (1 - 0.5 * 0.96 ** ((t + 1) * momentum_decay))
    product = state["mu_product"] = state["mu_product"] * mu
    m = state["exp_avg"] = b1 * state["exp_avg"] + (1 - b1) * g
    v = state["exp_avg_sq"] = b2 * state["exp_avg_sq"] + (1 - b2) * g**2
    m_bar = mu_next * m / (1 - product * mu_next) + (1 - mu) * g / (1 - product)
    return -lr * m_bar / (np.sqrt(v / (1 - b2**t)) + eps)
