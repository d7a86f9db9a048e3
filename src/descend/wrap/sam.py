"""SAM and ASAM: the gradient is taken where the loss nearby is worst."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from descend.backends.base import as_real
from descend.errors import OptionError, ParameterError, message
from descend.optim.arguments import check_flag, check_number
from descend.optim.states import state_dtype
from descend.schedules import Schedule
from descend.wrap.batch_norm import freeze_statistics
from descend.wrap.wrapper import Wrapper, count_updates


class SAM(Wrapper):
    """Sharpness-aware minimisation: the inner optimizer steps with the gradient at the worst point nearby.

    Foret, Kleiner, Mobahi & Neyshabur 2021, equation 2 with p = 2: the gradient is taken at θ + ρ g/‖g‖, the norm
    over all parameters. With ``adaptive=True`` ASAM, Kwon, Kim, Park & Choi 2021, Algorithm 1: at
    θ + ρ T²g/‖Tg‖ with T = |θ| + eta, coordinate by coordinate. Two evaluations a step, in one of two forms::

        optimizer.step(closure)                     # the closure clears gradients, computes the loss, calls backward

        for x, y in micro_batches:                  # the same by hand, here with gradient accumulation
            loss(model(x), y).backward()
        with optimizer.perturbed():
            for x, y in micro_batches:
                loss(model(x), y).backward()
        optimizer.step()
        optimizer.zero_grad()

    Running statistics of batch norm come from the first evaluation alone. Afterwards the parameters have exactly
    their values from before. Under a ``GradScaler`` use the second form and scale both losses: the perturbation does
    not depend on the scale, and where the first gradient is infinite the second is NaN, so that the scaler skips the
    step. ``scaler.unscale_()`` belongs behind the block; called before, it leaves the second gradients scaled, which
    nothing here can notice.

    Args:
        optimizer: the inner optimizer.
        rho: distance to the perturbed point, >= 0; the papers use 0.05 for SAM, 0.5 to 2 for ASAM. A schedule of it
            is read at the number of updates, which descend's optimizers count.
        adaptive: measure distance in units of each weight.
        eta: added to each weight's size with ``adaptive``, >= 0.
        model: whose batch-norm statistics stay; None for all modules that run. A model that ``torch.compile`` has
            taken needs it: its modules do not show when they run.

    Raises:
        OptionError: if an option is out of range, or the inner optimizer evaluates the loss itself.
        ParameterError: if ``optimizer`` is none.
    """

    _evaluates = True
    _keeps_first = False
    """Whether the step needs the gradients at the parameters too."""

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        rho: float | Schedule = 0.05,
        adaptive: bool = False,
        *,
        eta: float = 0.01,
        model: nn.Module | None = None,
    ) -> None:
        super().__init__(optimizer)
        name = type(self).__name__
        if self._inner_evaluates:
            raise OptionError(
                message(
                    f"{name} cannot wrap {type(optimizer).__name__}, which evaluates the loss itself during a step",
                    do="Wrap a first-order one",
                )
            )
        if isinstance(rho, Schedule) and count_updates(optimizer) is None:
            raise OptionError(
                message(f"{name}: rho={rho!r} around {type(optimizer).__name__}, which does not count its updates",
                        do="Wrap an optimizer of descend, or pass a number")
            )  # fmt: skip
        check_number("rho", rho.at(0) if isinstance(rho, Schedule) else rho, name, low=0.0)
        check_number("eta", eta, name, low=0.0)
        self.rho = rho if isinstance(rho, Schedule) else float(rho)
        self.adaptive, self.eta = check_flag("adaptive", adaptive, name), float(eta)
        if model is not None and not isinstance(model, nn.Module):
            raise OptionError(message(f"{name}: model", got=type(model).__name__, allowed="a torch.nn.Module, or None"))
        self.model = model
        self._inside = False
        self._evaluated = False

    @property
    def due(self) -> bool:
        """Whether the next step needs gradients at the perturbed point."""
        return True

    @contextmanager
    def perturbed(self) -> Iterator[None]:
        """Within the block the parameters are at the perturbed point; gradients computed there are the step's.

        On entry the gradients at the parameters must have been computed; they are used and dropped.

        Raises:
            ParameterError: if there are no gradients on entry, none were computed within, or one is sparse.
            OptionError: if it is entered twice.
        """
        name = type(self).__name__
        if self._inside:
            raise OptionError(
                message(f"{name}.perturbed() was entered within itself", do="Leave the first block before")
            )
        before = self._perturb()
        self._inside = True
        self._evaluated = False
        try:
            with freeze_statistics(self.model):
                yield
        finally:
            self._inside = False
            with torch.no_grad():
                for p, old, _ in before:
                    p.copy_(old)
        if all(p.grad is None for p, _, _ in before):
            raise ParameterError(
                message(f"{name}.perturbed(): no gradient was computed within the block", do="Call backward() inside")
            )
        with torch.no_grad():
            self._combine({p: first for p, _, first in before if first is not None})
        self._evaluated = True

    def _combine(self, first: dict[Tensor, Tensor]) -> None:
        """Make the step's gradients of the second ones, which are there, and of the first, if they were kept."""

    @torch.no_grad()
    def _perturb(self) -> list[tuple[Tensor, Tensor, Tensor | None]]:
        """Move the parameters that have gradients, drop these, and give the old values, and gradients if kept."""
        found = [
            (p, -1.0 if group.get("maximize", False) else 1.0)
            for group in self.param_groups
            for p in group["params"]
            if p.requires_grad and p.grad is not None
        ]
        if not found:
            raise ParameterError(
                message(
                    f"{type(self).__name__}: there is no gradient to perturb along",
                    do="Call backward() before perturbed()",
                )
            )
        directions = [self._scale_twice(p) for p, _ in found]
        norm = torch.linalg.vector_norm(torch.stack([n.to(directions[0][1].device) for _, n in directions]))
        # An infinite gradient must not pass as a small perturbation: NaN weights give NaN gradients, which are noticed.
        rho = self.rho.at(count_updates(self.optimizer) or 0) if isinstance(self.rho, Schedule) else self.rho
        length = torch.where(torch.isfinite(norm), torch.where(norm == 0, 0.0, rho / norm), torch.nan)
        before: list[tuple[Tensor, Tensor, Tensor | None]] = []
        for (p, sign), (direction, _) in zip(found, directions, strict=True):
            # A copy: a data-parallel model writes the second gradient to the same place.
            first = p.grad.detach().clone() if self._keeps_first and p.grad is not None else None
            before.append((p, p.detach().clone(), first))
            p.add_((direction * (sign * length).to(direction.device)).to(p.dtype))
            p.grad = None
        return before

    def _scale_twice(self, p: Tensor) -> tuple[Tensor, Tensor]:
        """A parameter's direction T²g, and the norm of Tg in float64; T is 1 without ``adaptive``."""
        g = p.grad
        assert g is not None
        if g.layout is not torch.strided:
            raise ParameterError(
                message(
                    f"{type(self).__name__}: a gradient of shape {tuple(g.shape)} has layout {g.layout}",
                    allowed="torch.strided",
                    do="Build the embedding with sparse=False",
                )
            )
        g = g.detach().to(state_dtype(p))
        if self.adaptive:
            size = p.detach().to(g.dtype).abs() + self.eta
            g = g * size
            return g * size, _norm(g)
        return g, _norm(g)

    def _step(self, closure: Callable[[], Any] | None) -> Any:
        name = type(self).__name__
        if self._inside:
            raise OptionError(message(f"{name}.step() was called within perturbed()", do="Call it behind the block"))
        loss = None
        if closure is not None:
            if getattr(self.optimizer, "grad_scale", None) is not None:
                raise OptionError(
                    message(
                        f"{name}.step(closure) under a GradScaler", do="Use the with form, and scaler.step(optimizer)"
                    )
                )
            with torch.enable_grad():
                loss = closure()
            if self.due:
                with self.perturbed(), torch.enable_grad():
                    closure()
        if not self._evaluated:
            self._use_first()
        self._evaluated = False
        self._finish(self._step_inner()[1])
        return loss

    def _use_first(self) -> None:
        """Make the step's gradients of those at the parameters alone, where that is meant.

        Raises:
            OptionError: where it is not.
        """
        # A learning rate of 0 moves nothing: distributed checkpointing takes such a step to allocate states.
        if any(float(group["lr"]) != 0.0 for group in self.param_groups):
            raise OptionError(
                message(
                    f"{type(self).__name__}.step(): the gradients are those of the unperturbed weights",
                    do="Pass a closure, or compute them within perturbed()",
                )
            )

    def _finish(self, taken: bool) -> None:
        """Called after a step of the inner optimizer, which may have skipped it."""

    def _describe(self) -> str:
        return f"{type(self).__name__}(rho={self.rho}, adaptive={self.adaptive})"


def _norm(g: Tensor) -> Tensor:
    return torch.linalg.vector_norm(as_real(g), dtype=_wide(g))


def multiply(first: Iterable[Tensor], second: Iterable[Tensor]) -> Tensor:
    """The inner product of two lists of tensors, 0-d in float64; complex numbers count as pairs of reals."""
    parts = [
        torch.sum(as_real(a).to(_wide(a)) * as_real(b).to(_wide(a)), dtype=_wide(a))
        for a, b in zip(first, second, strict=True)
    ]
    return torch.stack([part.to(parts[0].device) for part in parts]).sum()


def project(first: list[Tensor], second: list[Tensor]) -> Tensor:
    """How many times the second the first's part along it is, 0-d in float64; 0 where the second is 0."""
    square = multiply(second, second)
    return multiply(first, second) / torch.where(square == 0, 1.0, square)


def _wide(g: Tensor) -> torch.dtype:
    return torch.float32 if g.device.type == "mps" else torch.float64
