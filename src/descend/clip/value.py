"""Clipping each coordinate of the gradients."""

from torch import Tensor

from descend.clip.gradients import Clippable, collect, total_norm
from descend.optim.arguments import check_number


def clip_value(source: Clippable, max_value: float) -> Tensor:
    """Clamp every coordinate of the gradients to [-max_value, max_value], as an optimizer's ``clip_value=`` does.

    The real and the imaginary part of a complex gradient are clamped each.

    Args:
        source: a module, parameters, ``(name, parameter)`` pairs, or gradients; changed in place.
        max_value: the bound, > 0, in units of the gradient.

    Returns:
        The largest absolute value before clipping, 0-d in float64; it is not copied to the host.

    Raises:
        OptionError: if ``max_value`` is not a finite number above 0.
        ParameterError: if there is something that cannot be clipped.
    """
    bound = float(check_number("max_value", max_value, "clip_value", low=0.0, open_low=True))
    gradients = collect(source, "clip_value")
    largest = total_norm(gradients, float("inf"))
    for g in gradients:
        g.value.clamp_(-bound, bound)
    return largest
