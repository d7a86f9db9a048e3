"""The part that schedule-free methods share: where the average stands, and how y and z move along a direction."""

from collections.abc import Mapping
from typing import Any

from descend.lang import State, Value, maximum, minimum, where

WEIGHTS = {"weight_sum": State("weight_sum", rate="tensor"), "lr_max": State("lr_max", rate="tensor")}
"""States of the average's weights, beside ``z``."""
_TIED = "it would move y away from z and x, which say where it is"
REFUSES = {"cautious": _TIED, "clip_update": _TIED}
"""Woven options that make no sense around these formulas."""


def refuse_decay(o: Mapping[str, Any]) -> str | None:
    """What is wrong with a kind of decay that would shrink one of the three sequences alone."""
    if o["decay"] in ("decoupled", "independent", "corrected"):
        return f"decay={o['decay']!r} would shrink y and leave z; leave decay=None, or use decay='l2'"
    return None


def average(y: Value, z: Value, beta: Value) -> Value:
    """x, the average, from y = (1 - β) z + β x, eq. 1 of Defazio et al. 2024."""
    return z + (y - z) / beta


def weigh(
    t: Value, lr: Value, warmup_steps: Value, r: Value, power: Value, weight_sum: Value, lr_max: Value
) -> tuple[Value, Value, Value, Value]:
    """This step's learning rate η, rising over the first steps; its share c of the average; and the new states.

    Weights are t^r times the largest η so far^power.
    """
    eta = lr * minimum(1.0, t / maximum(warmup_steps, 1.0))
    lr_max = maximum(lr_max, eta)
    weight = t**r * lr_max**power
    weight_sum = weight_sum + weight
    return eta, where(weight_sum > 0, weight / weight_sum, 0.0), weight_sum, lr_max


def move(y: Value, z: Value, u: Value, eta: Value, c: Value, beta: Value) -> tuple[Value, Value]:
    """What is added to y, and the new z = z - η u: y = (1 - β) z + β ((1 - c) x + c z), x as ``average`` has it."""
    return c * (z - y) - eta * (1 - beta * (1 - c)) * u, z - eta * u
