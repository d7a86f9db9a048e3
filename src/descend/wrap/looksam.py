"""LookSAM: sharpness-aware steps that look nearby only every few steps."""

from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from descend.optim.arguments import check_count, check_number
from descend.optim.state_layout import read_count
from descend.optim.states import state_dtype
from descend.schedules import Schedule
from descend.wrap.sam import SAM, multiply, project

DIRECTION = "looksam_direction"


class LookSAM(SAM):
    """SAM that evaluates the perturbed point every k steps, and between them goes on with what it found there.

    Liu, Mai, Chen, Hsieh & You 2022, Algorithm 1. Every k-th step is SAM's, with gradient gₛ; its part orthogonal to
    the gradient g at θ is kept: gᵥ = gₛ − ⟨gₛ, g⟩/‖g‖² g. The others step with g + α ‖g‖/‖gᵥ‖ gᵥ. Norms are taken over
    all parameters, as in NVIDIA PhysicsNeMo's, whose numbers these are; some implementations take them tensor by
    tensor. A closure is evaluated twice every k steps, else once; by hand::

        loss(model(x), y).backward()
        if optimizer.due:
            with optimizer.perturbed():
                loss(model(x), y).backward()
        optimizer.step()
        optimizer.zero_grad()

    A step that the inner optimizer skips does not count, and leaves gᵥ as it was. Everything else is as in
    :class:`SAM`.

    Args:
        optimizer: the inner optimizer.
        rho: distance to the perturbed point, >= 0, or a schedule of it.
        k: steps from one look to the next, >= 1; at 1 it is SAM.
        alpha: weight of gᵥ, >= 0; the paper finds 0.7 best.
        adaptive: measure distance in units of each weight.
        eta: added to each weight's size with ``adaptive``, >= 0.
        model: whose batch-norm statistics stay: see :class:`SAM`.

    Raises:
        OptionError: if an option is out of range, or the inner optimizer evaluates the loss itself.
        ParameterError: if ``optimizer`` is none.
    """

    _keeps_first = True
    _per_parameter = (DIRECTION,)
    _per_group = MappingProxyType({"looksam_steps": 0})

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        rho: float | Schedule = 0.05,
        k: int = 5,
        alpha: float = 0.7,
        adaptive: bool = False,
        *,
        eta: float = 0.01,
        model: nn.Module | None = None,
    ) -> None:
        super().__init__(optimizer, rho, adaptive, eta=eta, model=model)
        self.k = check_count("k", k, "LookSAM")
        self.alpha = float(check_number("alpha", alpha, "LookSAM", low=0.0))
        self.steps = 0
        self._kept: dict[Tensor, Tensor] = {}
        self._found: dict[Tensor, Tensor] = {}

    @property
    def due(self) -> bool:
        """Whether the next step needs gradients at the perturbed point."""
        return self.steps % self.k == 0

    def _combine(self, first: dict[Tensor, Tensor]) -> None:
        pairs = [(p, g, p.grad) for p, g in first.items() if p.grad is not None]
        along = project([s for _, _, s in pairs], [g for _, g, _ in pairs])
        self._found = {p: s.to(state_dtype(p)) - along.to(s.device) * g.to(state_dtype(p)) for p, g, s in pairs}

    @torch.no_grad()
    def _use_first(self) -> None:
        if self.due:
            super()._use_first()
            return
        found = [(p, p.grad) for group in self.param_groups for p in group["params"] if p.grad is not None]
        gradients, directions = [g for _, g in found], [self._kept[p] for p, _ in found if p in self._kept]
        if not directions:
            return
        square = multiply(directions, directions)
        ratio = torch.sqrt(multiply(gradients, gradients) / torch.where(square == 0, 1.0, square))
        for p, g in found:
            if p in self._kept:
                direction = self._kept[p]
                g.copy_(g.to(direction.dtype) + self.alpha * ratio.to(g.device) * direction)

    def _finish(self, taken: bool) -> None:
        if taken:
            self.steps += 1
            self._kept = self._found or self._kept
        self._found = {}

    def _save_parameter(self, p: Tensor) -> dict[str, Tensor]:
        return {DIRECTION: self._kept[p]} if p in self._kept else {}

    def _save_group(self) -> dict[str, Any]:
        return {"looksam_steps": self.steps}

    def _load(self, parameters: dict[Tensor, dict[str, Tensor]], group: dict[str, Any]) -> None:
        self.steps = read_count(group, "looksam_steps", "LookSAM")
        self._kept = {
            p: kept[DIRECTION].detach().to(p.device, state_dtype(p), copy=True) for p, kept in parameters.items()
        }

    def _describe(self) -> str:
        return f"LookSAM(rho={self.rho}, k={self.k}, alpha={self.alpha}, adaptive={self.adaptive})"
