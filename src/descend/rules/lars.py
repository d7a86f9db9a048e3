"""LARS: momentum SGD whose step is scaled, tensor by tensor, to the size of the weights."""

from collections.abc import Mapping
from typing import Any, Literal

from descend.lang import Keep, NonNegative, OwnDecay, State, Value, norm, rule, where


def _contradiction(o: Mapping[str, Any]) -> str | None:
    return "nesterov=True needs momentum > 0" if o["nesterov"] and float(o["momentum"]) <= 0 else None


@rule(
    state={"v": State("momentum_buffer", optional=True, meaning="momentum_form")},
    cite="you2017",
    derives_from="sgd",
    check=_contradiction,
)
def lars(
    p: Value,
    g: Value,
    v: Value,
    lr: NonNegative = 0.1,
    momentum: Keep = 0.9,
    weight_decay: OwnDecay = 5e-4,
    trust_coefficient: NonNegative = 1e-3,
    eps: NonNegative = 1e-8,
    nesterov: bool = False,
    momentum_form: Literal["paper", "torch"] = "paper",
) -> tuple[Value, ...]:
    """You, Gitman & Ginsburg 2017, Algorithm 1.

    Args:
        p: parameter.
        g: gradient.
        v: velocity.
        lr: global step size, without unit.
        momentum: share of the velocity that a step keeps.
        weight_decay: inside the scaled update.
        trust_coefficient: share of its norm by which a tensor moves at lr 1.
        eps: added to the gradient's norm.
        nesterov: look ahead along the velocity.
        momentum_form: velocity of steps (``"paper"``) or of scaled gradients with lr outside (``"torch"``).
    """
    trust = trust_coefficient * norm(p) / (norm(g) + weight_decay * norm(p) + eps)
    ratio = where((norm(p) > 0) & (norm(g) > 0), trust, 1.0)
    d = ratio * (g + weight_decay * p)
    if momentum_form == "paper":
        v = momentum * v + lr * d
        return -(lr * d + momentum * v if nesterov else v), v
    v = momentum * v + d
    return -lr * (d + momentum * v if nesterov else v), v
