"""Rules at the top level of a module, as users keep them: what pickling must find again."""

import torch

import descend
from descend.lang import NonNegative, rule, sign


@rule(state={"m": "momentum_buffer"})
def signed(p, g, m, lr: NonNegative = 0.1, beta=0.9):
    """The sign of a running mean."""
    m = beta * m + (1 - beta) * g
    return -lr * sign(m), m


@rule
def plain(p, g, lr: NonNegative = 0.1):
    return -lr * g


Signed = descend.optimizer(signed)


class Patient(descend.Adam):
    """A subclass with behaviour of its own."""

    def zero_grad(self, set_to_none: bool = False) -> None:
        """Keeps gradients as zeros by default."""
        super().zero_grad(set_to_none)


class PatientW(descend.AdamW):
    """A subclass of a class whose rule is a variant."""


def make(cls: type[torch.optim.Optimizer], **options: object) -> tuple[torch.optim.Optimizer, torch.nn.Parameter]:
    """An optimizer that has stepped twice."""
    p = torch.nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    optimizer = cls([p], **options)
    for g in ([0.5, 0.25], [-1.0, 0.5]):
        p.grad = torch.tensor(g, dtype=torch.float64)
        optimizer.step()
    return optimizer, p
