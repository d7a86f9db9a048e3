"""D-Adaptation for SGD: a lower bound on the distance to the solution is the step size."""

from collections.abc import Mapping
from typing import Any

from descend.lang import Keep, L2Decay, NonNegative, Positive, State, Value, maximum, minimum, norm, rule, sum, where

_STATES = {
    "s": "s", "x0": State("x0", start="p"),  # sum of the steps, and the first parameters
    "d": State("d", rate="all", start="d0"), "numerator": State("numerator_weighted", rate="all"),  # of its estimate
    "g0": State("g0_norm", rate="all"),  # norm of the first gradient
}  # fmt: skip


_FORGOTTEN = "a step starts from the first parameters, so the next one would undo it"


def _contradiction(o: Mapping[str, Any]) -> str | None:
    if o["decay"] in ("decoupled", "independent", "corrected"):
        return f"decay={o['decay']!r} would be forgotten: a step starts from the first parameters; use decay='l2'"
    return None


@rule(
    state=_STATES,
    cite="defazio2023",
    derives_from="sgd",
    check=_contradiction,
    refuses=dict.fromkeys(("cautious", "clip_update"), _FORGOTTEN),
)
def dadaptsgd(  # noqa: D417 - what the states are is said above
    p: Value, g: Value, s: Value, x0: Value, d: Value, numerator: Value, g0: Value,
    lr: NonNegative = 1.0,
    momentum: Keep = 0.0,
    weight_decay: L2Decay = 0.0,
    d0: Positive = 1e-6,
    growth_rate: Positive | None = None,
) -> tuple[Value, ...]:  # fmt: skip
    """Defazio & Mishchenko 2023, Algorithm 4, as the authors' program has it (version 3): one d for all parameters.

    Args:
        lr: multiplies the step size d that is found; leave it at 1, under a schedule if wanted.
        momentum: share of ``p`` that a step keeps beside the dual average.
        weight_decay: L2 penalty added to ``g``.
        d0: d to begin with, in units of ``p``; far below the true distance.
        growth_rate: d grows at most by this factor a step; None is without limit.
    """
    g0 = where(g0 > 0, g0, norm(where(lr > 0, g, 0.0), over="all"))
    rate = where(g0 > 0, d * lr / g0, 0.0)
    numerator = numerator + sum(rate * (g * s), over="all")
    s = s + rate * g
    length = norm(where(lr > 0, s, 0.0), over="all")
    d_hat = where(length > 0, 2 * numerator / length, d)
    d_next = maximum(d, d_hat if growth_rate is None else minimum(d_hat, d * growth_rate))
    return (1 - momentum) * (x0 - s - p), s, x0, d_next, numerator, g0
