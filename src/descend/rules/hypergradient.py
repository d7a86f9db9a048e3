"""The part that hypergradient methods share: a hyper-parameter goes down the loss's gradient by it.

Only the last step is looked through: with θ = θ' + u, the derivative of the loss by η is g · ∂u/∂η.
"""

from collections.abc import Mapping
from typing import Any, Literal

from descend.lang import Value, norm, sum, where

Form = Literal["additive", "multiplicative"]
_AS_TAKEN = "it would change the last step behind the back of what is learned from it"
REFUSES = {"cautious": _AS_TAKEN, "clip_update": _AS_TAKEN}
"""Woven options that make no sense around these formulas."""


def refuse_decay(o: Mapping[str, Any]) -> str | None:
    """What is wrong with a kind of decay beside a weight decay that is learned."""
    if o["hyper_weight_decay"] is not None and o["decay"] is not None:
        return "hyper_weight_decay learns the method's own L2 decay; leave decay=None"
    return None


def learn_lr(form: Form, lr: Value, shift: Value, hyper_lr: Value, g: Value, last: Value) -> tuple[Value, Value]:
    """The learning rate of this step, and by how much it is away from ``lr``.

    Baydin et al. 2018: η ← η + β h, with h = g · D for a last step of -η D; or, multiplied and without the scale of the
    loss, η ← η (1 + β h / (‖g‖ ‖D‖)). The authors' code has the sum alone; the product is that of Caffe2's operator
    LearningRateAdaption with normalized_lr_adaption, whose documentation prints η + β h / (‖g‖ ‖D‖) for it. ``lr``
    itself may move meanwhile: what is learned is kept apart.

    Args:
        form: ``"additive"`` or ``"multiplicative"``.
        lr: where the learning rate begins.
        shift: how far it has come: what is added to ``lr``, or its growth, less 1.
        hyper_lr: β.
        g: gradient.
        last: D, the direction of the last step.
    """
    h = sum(g * last, over="group")
    if form == "additive":
        shift = shift + hyper_lr * h
        return lr + shift, shift
    sizes = norm(g, over="group") * norm(last, over="group")
    shift = shift + hyper_lr * where(sizes > 0, h / sizes, 0.0) * (1 + shift)
    return lr * (1 + shift), shift
