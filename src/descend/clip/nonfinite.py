"""Which gradients are NaN or infinite, by name."""

import torch

from descend.clip.gradients import Clippable, Gradient, collect
from descend.errors import NonFiniteError


def find_nonfinite(source: Clippable) -> dict[str, int]:
    """The parameters whose gradients are not finite, for someone who looks for the cause.

    Waits for the device: the answer is on the host.

    Args:
        source: a module, parameters, ``(name, parameter)`` pairs, or gradients.

    Returns:
        Number of non-finite elements by name; by place where there are no names.

    Raises:
        ParameterError: if ``source`` is none of these.
    """
    return count_nonfinite(collect(source, "find_nonfinite"))


def count_nonfinite(gradients: list[Gradient]) -> dict[str, int]:
    """Number of non-finite elements by name, of those that have any."""
    if not gradients:
        return {}
    counts = [(~torch.isfinite(g.value)).sum() for g in gradients]
    numbers = torch.stack([c.to(counts[0].device) for c in counts]).tolist()  # one transfer for all
    return {g.name: n for g, n in zip(gradients, numbers, strict=True) if n}


def refuse_nonfinite(gradients: list[Gradient], owner: str) -> None:
    """Stop at gradients that are not finite, naming them.

    Raises:
        NonFiniteError: if there are any.
    """
    found = count_nonfinite(gradients)
    if found:
        names = ", ".join(f"{name!r} ({count} elements)" for name, count in list(found.items())[:5])
        raise NonFiniteError(
            f"{owner}: non-finite gradients in {names}. Nothing was changed; look there, lower the learning rate, or "
            'use on_nonfinite="skip" to leave such gradients alone.'
        )
