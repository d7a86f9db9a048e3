"""Clipping by the norm over all gradients."""

from typing import Literal

import torch
from torch import Tensor

from descend.clip.gradients import Clippable, collect, scale, total_norm
from descend.clip.nonfinite import refuse_nonfinite
from descend.lang.weave import CLIP_EPS
from descend.optim.arguments import check_number, check_word

FORMULAS = ("torch", "exact")
NONFINITE = ("apply", "skip", "raise")


def clip_norm(
    source: Clippable,
    max_norm: float,
    *,
    formula: Literal["torch", "exact"] = "torch",
    on_nonfinite: Literal["apply", "skip", "raise"] = "apply",
) -> Tensor:
    """Scale gradients down, all by one factor, so that their common Euclidean norm is at most ``max_norm``.

    Pascanu, Mikolov & Bengio 2013, Algorithm 1. The norm is taken in float64, so that float16 and float32 squares do
    not overflow; neither it nor the factor is copied to the host.

    Args:
        source: a module, parameters, ``(name, parameter)`` pairs, or gradients; changed in place.
        max_norm: the bound, > 0, in units of the gradient.
        formula: ``"torch"``: min(1, max_norm / (norm + 1e-6)), as torch and an optimizer's ``clip_norm=`` have it;
            ``"exact"``: max_norm / max(max_norm, norm), which the paper prints.
        on_nonfinite: where the norm is NaN or infinite: ``"apply"`` the formula as torch does (infinite gradients
            become NaN, all others 0), ``"skip"`` leaves all gradients as they are, for an optimizer with
            ``on_nonfinite="skip"``, ``"raise"`` names the parameters (and waits for the device to know them).

    Returns:
        The norm before clipping, 0-d in float64.

    Raises:
        OptionError: if an option is out of range.
        ParameterError: if there is something that cannot be clipped.
        NonFiniteError: if ``on_nonfinite="raise"`` and a gradient is not finite.
    """
    check_number("max_norm", max_norm, "clip_norm", low=0.0, open_low=True)
    check_word("formula", formula, "clip_norm", FORMULAS)
    check_word("on_nonfinite", on_nonfinite, "clip_norm", NONFINITE)
    gradients = collect(source, "clip_norm")
    if on_nonfinite == "raise":
        refuse_nonfinite(gradients, "clip_norm")
    norm = total_norm(gradients)
    if formula == "torch":
        factor = torch.clamp(max_norm / (norm + CLIP_EPS), max=1.0)
    else:
        factor = max_norm / torch.clamp(norm, min=max_norm)
    if on_nonfinite == "skip":
        factor = torch.where(torch.isfinite(norm), factor, 1.0)
    scale(gradients, factor)
    return norm
