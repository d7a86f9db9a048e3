"""GSAM: sharpness-aware steps that also close the gap between the loss and the worst loss nearby."""

import torch
from torch import Tensor, nn

from descend.optim.arguments import check_number
from descend.optim.states import state_dtype
from descend.schedules import Schedule
from descend.wrap.sam import SAM, project


class GSAM(SAM):
    """Surrogate gap guided SAM: descends the worst loss nearby, and ascends the loss where that does not change it.

    Zhuang, Gong, Yuan, Cui, Adam, Dvornek, Tatikonda, Duncan & Liu 2022, Algorithm 1: with g the gradient at θ, gₚ
    the one at the perturbed point and g⊥ the part of g orthogonal to gₚ, the inner optimizer steps with gₚ − α g⊥.
    Products are taken over all parameters. Everything else is as in :class:`SAM`, both forms of a step included; the
    first gradients are kept until the second are there.

    The paper lets rho fall with the learning rate, from a highest to a lowest value: a schedule does that, such as
    ``rho=cosine(1000, floor=0.1) * 0.6`` beside ``lr=cosine(1000) * 3e-3``.

    Args:
        optimizer: the inner optimizer.
        rho: distance to the perturbed point, >= 0, or a schedule of it; the paper uses 0.04 to 0.6.
        alpha: weight of the ascent, >= 0; the paper uses 0.1 to 1; at 0 it is SAM.
        adaptive: measure distance in units of each weight.
        eta: added to each weight's size with ``adaptive``, >= 0.
        model: whose batch-norm statistics stay: see :class:`SAM`.

    Raises:
        OptionError: if an option is out of range, or the inner optimizer evaluates the loss itself.
        ParameterError: if ``optimizer`` is none.
    """

    _keeps_first = True

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        rho: float | Schedule = 0.05,
        alpha: float = 0.4,
        adaptive: bool = False,
        *,
        eta: float = 0.01,
        model: nn.Module | None = None,
    ) -> None:
        super().__init__(optimizer, rho, adaptive, eta=eta, model=model)
        self.alpha = float(check_number("alpha", alpha, "GSAM", low=0.0))

    def _combine(self, first: dict[Tensor, Tensor]) -> None:
        pairs = [(p, g, p.grad) for p, g in first.items() if p.grad is not None]
        along = project([g for _, g, _ in pairs], [s for _, _, s in pairs])
        for p, g, s in pairs:  # s - alpha (g - along s)
            dtype = state_dtype(p)
            scale = (1.0 + self.alpha * along).to(s.device)
            p.grad = (s.to(dtype) * scale - self.alpha * g.to(dtype)).to(s.dtype)

    def _describe(self) -> str:
        return f"GSAM(rho={self.rho}, alpha={self.alpha}, adaptive={self.adaptive})"
