"""Small parameters with known gradients, on which torch's classes and ours are compared."""

from collections.abc import Sequence
from typing import Any

import torch

import descend

SHAPES = ((3, 2), (4,), ())
PAIRS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.1}),
    ("AdamW", {"lr": 0.1}),
    ("RMSprop", {"lr": 0.1, "momentum": 0.5}),
]
"""Classes of both libraries with options that make them differ."""


def parameters(seed: int = 0, dtype: torch.dtype = torch.float64) -> list[torch.nn.Parameter]:
    """Parameters of three shapes."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(s, generator=generator, dtype=torch.float64).to(dtype)) for s in SHAPES]


def set_gradients(params: Sequence[torch.Tensor], step: int, scale: float = 1.0) -> None:
    """The gradients of a step, the same for equal shapes."""
    generator = torch.Generator().manual_seed(1000 + step)
    for p in params:
        p.grad = scale * torch.randn(p.shape, generator=generator, dtype=torch.float64).to(p.dtype)


def train(optimizer: torch.optim.Optimizer, params: Sequence[torch.Tensor], steps: range | int) -> None:
    """Step on the gradients of those steps."""
    for step in range(steps) if isinstance(steps, int) else steps:
        set_gradients(params, step)
        optimizer.step()


def assert_equal(ours: Sequence[torch.Tensor], theirs: Sequence[torch.Tensor], *, rtol: float = 1e-12) -> None:
    """Values agree within rounding in float64, or exactly with ``rtol=0``."""
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.detach(), b.detach(), rtol=rtol, atol=rtol)


def copies(params: Sequence[torch.Tensor]) -> list[torch.nn.Parameter]:
    """Equal parameters with memory of their own."""
    return [torch.nn.Parameter(p.detach().clone()) for p in params]


def pair(
    name: str = "SGD", params: list[torch.nn.Parameter] | None = None, **options: Any
) -> tuple[torch.optim.Optimizer, list[torch.nn.Parameter], torch.optim.Optimizer, list[torch.nn.Parameter]]:
    """Our optimizer and torch's of the same name and options, each followed by its equal parameters."""
    ours = params if params is not None else parameters()
    theirs = copies(ours)
    return getattr(descend, name)(ours, **options), ours, getattr(torch.optim, name)(theirs, **options), theirs
