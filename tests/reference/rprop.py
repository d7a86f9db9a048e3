"""Rprop (Riedmiller & Braun 1993) as torch has it: where the gradient has turned, the step is left out.

The paper takes the last step back there; both forget the gradient, so that the next step counts as no turn.
"""

import numpy as np

DEFAULTS = {"lr": 1e-2, "etas": (0.5, 1.2), "step_sizes": (1e-6, 50.0)}
OWN_DECAY = "l2"


def start(p, *, lr, **_):
    return {"prev": np.zeros_like(p), "step_size": np.full_like(p, lr)}


def update(p, g, state, t, *, lr, etas, step_sizes):
    product = g * state["prev"]
    factor = np.select([product > 0, product < 0], [etas[1], etas[0]], 1.0)
    size = state["step_size"] = np.clip(state["step_size"] * factor, *step_sizes)
    g = state["prev"] = np.where(product < 0, 0.0, g)
    return -size * np.sign(g)
