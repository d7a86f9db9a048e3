"""A rule whose kernel nobody has compiled yet."""

import itertools

import torch

import descend
from descend.lang import Real, Value, rule

_numbers = itertools.count(1)


def make_class() -> tuple[type[torch.optim.Optimizer], float]:
    """An optimizer class with a constant that no other kernel of this process has, and that constant: p - c g."""
    constant = 1 + next(_numbers) / 1024

    @rule(state=["count"])
    def unique(p: Value, g: Value, count: Value, lr: Real = 1.0) -> tuple[Value, ...]:
        return -lr * constant * g, count + 1

    return descend.optimizer(unique), constant


def step_once(cls: type[torch.optim.Optimizer], size: int = 5) -> torch.Tensor:
    """The parameter after a step from 0 with gradients of 1, on the CPU backend."""
    p = torch.nn.Parameter(torch.zeros(size))
    p.grad = torch.ones(size)
    cls([p], backend="cpu").step()
    return p.detach()
