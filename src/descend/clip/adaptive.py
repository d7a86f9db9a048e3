"""Adaptive gradient clipping: each unit's gradient against that unit's weights."""

import torch
from torch import Tensor

from descend.clip.gradients import Clippable, collect, total_norm, wide
from descend.errors import OptionError, ParameterError, message
from descend.optim.arguments import check_count, check_number


def clip_adaptive(source: Clippable, clipping: float = 0.01, *, eps: float = 1e-3, unit_dim: int = 0) -> Tensor:
    """Clip gradients unit by unit where they are large against the unit's weights, for networks without batch norm.

    Brock, De, Smith & Simonyan 2021, equation 3: where ‖G_i‖ / max(‖W_i‖, eps) > clipping, G_i becomes
    clipping · max(‖W_i‖, eps) / ‖G_i‖ · G_i. A unit is what feeds one output: a row of a linear layer's matrix, a
    filter of a convolution; vectors and scalars (biases, gains) are one unit each. The paper leaves the last linear
    layer unclipped: pass the other parameters.

    Args:
        source: a module, parameters, or ``(name, parameter)`` pairs; their gradients are changed in place.
        clipping: the paper's lambda, > 0: largest ratio of a unit's gradient norm to its weight norm.
        eps: least weight norm that is assumed, > 0, so that zero-initialised weights can begin to move.
        unit_dim: dimension that counts the units; 0 in torch's layers, 1 in its transposed convolutions.

    Returns:
        The norm over all gradients before clipping, 0-d in float64; it is not copied to the host.

    Raises:
        OptionError: if an option is out of range.
        ParameterError: if gradients are passed without their parameters.
    """
    check_number("clipping", clipping, "clip_adaptive", low=0.0, open_low=True)
    check_number("eps", eps, "clip_adaptive", low=0.0, open_low=True)
    check_count("unit_dim", unit_dim, "clip_adaptive", least=0)
    gradients = collect(source, "clip_adaptive")
    norm = total_norm(gradients)
    for g in gradients:
        if g.parameter is None:
            raise ParameterError(
                message("clip_adaptive compares gradients with their weights", do="Pass parameters, not gradients")
            )
        weights = _measure_units(g.parameter, g.dims, unit_dim).clamp_(min=eps)
        sizes = _measure_units(g.value, g.dims, unit_dim)
        bound = clipping * weights
        factor = torch.where(sizes > bound, bound / sizes, 1.0)
        g.value.mul_(factor)
    return norm


def _measure_units(tensor: Tensor, dims: int, unit_dim: int) -> Tensor:
    """The norm of each unit of a tensor that was given with ``dims`` dimensions, shaped so that it multiplies it."""
    if dims < 2:
        return torch.linalg.vector_norm(tensor, dtype=wide(tensor))
    if unit_dim >= dims:
        raise OptionError(
            message(f"clip_adaptive: unit_dim={unit_dim} of a gradient with {dims} dimensions", allowed=f"below {dims}")
        )
    others = [d for d in range(tensor.dim()) if d != unit_dim]
    return torch.linalg.vector_norm(tensor, dim=others, keepdim=True, dtype=wide(tensor))
