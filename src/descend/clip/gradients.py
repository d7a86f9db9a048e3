"""What can be clipped: the gradients of a module, of parameters or of named parameters, or gradients themselves."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from descend.backends.base import as_real, overlaps_itself
from descend.errors import ParameterError, message

Clippable = nn.Module | Tensor | Iterable[Tensor] | Iterable[tuple[str, Tensor]]


@dataclass(frozen=True)
class Gradient:
    """One gradient and how messages call it.

    Args:
        name: the parameter's name, else its place.
        dims: number of dimensions of the tensor as it was given.
        value: the gradient, detached, as pairs of reals if it is complex; writing to it writes the gradient.
        parameter: whose gradient it is, in the same form; None if gradients were given.
    """

    name: str
    dims: int
    value: Tensor
    parameter: Tensor | None


def collect(source: Clippable, owner: str) -> list[Gradient]:
    """The gradients that are there. A tensor that can receive a gradient is a parameter, any other a gradient.

    Args:
        source: a module, parameters, ``(name, parameter)`` pairs, or gradients.
        owner: who asks, for messages.

    Raises:
        ParameterError: if it is none of these, mixes parameters with gradients, or a gradient is sparse or expanded.
    """
    pairs = _list_pairs(source, owner)
    parameters = [_is_parameter(tensor) for _, tensor in pairs]
    if any(parameters) and not all(parameters):
        raise ParameterError(
            message(
                f"{owner}: {pairs[parameters.index(True)][0]!r} is a parameter and "
                f"{pairs[parameters.index(False)][0]!r} is not",
                allowed="parameters alone, or gradients alone",
            )
        )
    if any(parameters):
        found = [(n, p.grad, p) for n, p in pairs if p.requires_grad and p.grad is not None]
    else:
        found = [(n, g, None) for n, g in pairs]
    once = {id(g): (name, g, p) for name, g, p in reversed(found)}  # a tied parameter may be listed twice
    for name, g, _ in once.values():
        _check(name, g, owner)
    return [
        Gradient(name, g.dim(), as_real(g.detach()), None if p is None else as_real(p.detach()))
        for name, g, p in reversed(once.values())
    ]


def _check(name: str, g: Tensor, owner: str) -> None:
    """Refuse a gradient that cannot be changed in place."""
    if g.layout is not torch.strided:
        raise ParameterError(
            message(
                f"{owner}: the gradient of {name!r} has layout {g.layout}",
                allowed="torch.strided",
                do="Build the embedding with sparse=False, or clip the others",
            )
        )
    if overlaps_itself(g):
        raise ParameterError(
            message(
                f"{owner}: the gradient of {name!r} is expanded: several of its elements are one number in memory",
                do="Pass its .clone()",
            )
        )


def _list_pairs(source: Clippable, owner: str) -> list[tuple[str, Tensor]]:
    if isinstance(source, nn.Module):
        source = source.named_parameters()
    if isinstance(source, Tensor):
        source = [source]
    pairs: list[tuple[str, Tensor]] = []
    for i, item in enumerate(source if isinstance(source, Iterable) else [source]):
        name, tensor = item if isinstance(item, tuple) and len(item) == 2 else (f"tensor {i}", item)
        if not isinstance(tensor, Tensor):
            raise ParameterError(
                message(
                    f"{owner}: something to clip",
                    got=type(tensor).__name__,
                    allowed="a module, parameters, (name, parameter) pairs, or gradients",
                )
            )
        pairs.append((name, tensor))
    return pairs


def _is_parameter(tensor: Tensor) -> bool:
    # A gradient made with create_graph=True requires a gradient too, but it is no leaf.
    return isinstance(tensor, nn.Parameter) or (tensor.is_leaf and tensor.requires_grad) or _has_grad(tensor)


def _has_grad(tensor: Tensor) -> bool:
    return (tensor.is_leaf or tensor.retains_grad) and tensor.grad is not None


def wide(tensor: Tensor) -> torch.dtype:
    """In which type norms are taken: float64, float32 where the device has no other."""
    return torch.float32 if tensor.device.type == "mps" else torch.float64


def total_norm(gradients: list[Gradient], order: float = 2.0) -> Tensor:
    """The norm over all gradients, 0-d in float64, on the first one's device; nothing is copied to the host.

    Args:
        gradients: may be empty, which has norm 0.
        order: 2, or infinity for the largest absolute value.
    """
    if not gradients:
        return torch.zeros((), dtype=torch.float64)
    home = gradients[0].value
    # The norm of an empty tensor is 0 in every order; torch defines it for 2 alone.
    parts = [
        torch.linalg.vector_norm(g.value, order, dtype=wide(g.value)).to(home.device, wide(home), non_blocking=True)
        for g in gradients
        if g.value.numel()
    ]
    if not parts:
        return torch.zeros((), dtype=wide(home), device=home.device)
    return torch.linalg.vector_norm(torch.stack(parts), order)


def scale(gradients: list[Gradient], factor: Tensor) -> None:
    """Multiply all gradients by one factor, rounded once to each one's type (to float32 for shorter types)."""
    for g in gradients:
        dtype = g.value.dtype if g.value.dtype in (torch.float32, torch.float64) else torch.float32
        g.value.mul_(factor.to(g.value.device, dtype, non_blocking=True))
