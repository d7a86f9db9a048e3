"""Gradient accumulation: micro-batches that make one update, that of the big batch."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import torch
from torch import Tensor

from descend.errors import CheckpointError, OptionError, message
from descend.optim.arguments import check_closure, check_count, check_number, check_word
from descend.optim.state_layout import read_number
from descend.optim.states import state_dtype
from descend.wrap.wrapper import Wrapper, count_processes

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

Part = TypeVar("Part")
REDUCTIONS = ("mean", "sum")
SUM = "accumulated_grad"


class Accumulation(Wrapper):
    """Every ``steps``-th call of ``step()`` updates, with the gradient of all micro-batches since the last update.

    That is one normalisation, one clip, one step of every schedule: the update of the big batch, but for the order in
    which sums are rounded. The loop stays as it was::

        optimizer = Accumulation(descend.AdamW(model.parameters(), clip_norm=1.0), steps=4)
        for x, y in loader:
            loss = cross_entropy(model(x), y)
            optimizer.weigh(loss, len(y)).backward()    # loss.backward() where all micro-batches are alike
            optimizer.step()
            optimizer.zero_grad()                       # keeps the sum while a cycle is under way
        optimizer.flush()                               # updates with what an incomplete cycle has, or drop() it

    Gradients are summed where they are, in ``p.grad``, so memory is that of one gradient. Hooks run around updates
    alone. A closure is one micro-batch and is evaluated at once. Clip with the inner optimizer's ``clip_norm=``, which
    sees the mean.

    Data-parallel models average gradients over processes, within ``no_sync()`` once a cycle. Where micro-batches are
    weighed, pass ``process_group``: the update is then that of the big batch of all processes, whatever each has of it.

    Under a ``GradScaler`` either call ``scaler.step(optimizer)`` and ``scaler.update()`` for every micro-batch: sums
    are then kept unscaled beside the gradients, since the scale may change within a cycle, and a cycle with an
    infinite gradient is skipped whole. Or call ``optimizer.step()`` within a cycle and the scaler where it ends, where
    ``optimizer.pending == optimizer.steps - 1``: that needs no memory, and several processes must do so.

    SAM, LBFGS and ``nesterov="lookahead"`` choose where a batch is evaluated, and so need all of it at once: see
    :func:`evaluate_parts`.

    Args:
        optimizer: the inner optimizer; this wrapper is the outermost one.
        steps: micro-batches an update, >= 1.
        reduction: ``"mean"`` if each loss is a mean over its micro-batch; ``"sum"`` if the losses add up to that of
            the big batch, as where each is divided by the big batch's size.
        process_group: the processes whose gradients are averaged, ``torch.distributed.group.WORLD`` for all: needed
            where they weigh their micro-batches. None for this process alone.

    Raises:
        OptionError: if an option is out of range, or the inner optimizer evaluates the loss itself.
        ParameterError: if ``optimizer`` is none.
    """

    _outermost = True
    _per_parameter = (SUM,)
    _per_group = MappingProxyType(
        {"accumulation": {"weights": (), "weighed": False, "unit": 1.0, "aside": False, "found_inf": False}}
    )
    _indivisible = True

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        steps: int,
        *,
        reduction: Literal["mean", "sum"] = "mean",
        process_group: "ProcessGroup | None" = None,
    ) -> None:
        super().__init__(optimizer)
        if self._inner_evaluates:
            raise OptionError(
                message(
                    f"Accumulation of {type(optimizer).__name__}, which evaluates the whole batch itself",
                    do="Step it with descend.wrap.evaluate_parts(optimizer, loss, parts)",
                )
            )
        check_count("steps", steps, "Accumulation")
        check_word("reduction", reduction, "Accumulation", REDUCTIONS)
        self.steps, self.reduction, self.process_group = steps, reduction, process_group
        self._closing = False
        self._begin_cycle()

    def _begin_cycle(self) -> None:
        self._weights: list[float] = []
        self._weighed = False
        self._unit = 1.0
        self._current: float | None = None
        self._aside: dict[Tensor, Tensor] = {}
        self._found_inf = False
        self._summed: dict[Tensor, Tensor | None] = {}

    @property
    def pending(self) -> int:
        """Micro-batches that wait for their update; 0 right after one."""
        return len(self._weights)

    @property
    def _step_supports_amp_scaling(self) -> bool:
        return True

    def weigh(self, loss: Tensor, weight: float) -> Tensor:
        """The loss to call ``backward()`` on where micro-batches differ in size.

        Args:
            loss: the mean over this micro-batch.
            weight: over how many samples or tokens, > 0.

        Returns:
            The loss, times its weight in units of the cycle's first (of several processes, of their firsts' mean).

        Raises:
            OptionError: with ``reduction="sum"``, if this or an earlier micro-batch has got another weight or none, or
                if the weights of other processes are not known.
        """
        weight = float(check_number("weight", weight, "Accumulation.weigh", low=0.0, open_low=True))
        if self.reduction == "sum":
            raise OptionError(message('Accumulation.weigh() with reduction="sum"', do="Leave one of them out"))
        if self._current not in (None, weight):
            raise OptionError(
                message(f"Accumulation.weigh: this micro-batch has the weight {self._current:g} already", got=weight)
            )
        if not self._weights and self._current is None:
            self._unit = self._average(weight)
        self._current = weight
        self._refuse_mixture()
        return loss if weight == self._unit else loss * (weight / self._unit)

    def _average(self, value: float) -> float:
        """The mean of a number over the processes whose gradients are averaged."""
        if count_processes() == 1:
            return value
        if self.process_group is None:
            raise OptionError(
                message(
                    f"Accumulation.weigh() in one of {count_processes()} processes, without the weights of the others",
                    do="Pass process_group=, that of the data-parallel model, to Accumulation; or do not weigh where "
                    "all micro-batches are alike",
                )
            )
        shared = torch.tensor(value, dtype=torch.float64, device=self._parameters()[0].device)
        torch.distributed.all_reduce(shared, group=self.process_group)
        return float(shared) / torch.distributed.get_world_size(self.process_group)

    def _refuse_mixture(self) -> None:
        if self._weights and self._weighed != (self._current is not None):
            raise OptionError(
                message("Accumulation: some micro-batches of this cycle were weighed and some not", do="Weigh all")
            )

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Reset all gradients, unless they are the sum of a cycle under way: ``drop()`` that.

        Args:
            set_to_none: drop them instead of filling them with zeros.
        """
        if not self._weights:
            super().zero_grad(set_to_none)

    def drop(self) -> int:
        """Forget the micro-batches that wait for their update.

        Returns:
            How many there were.
        """
        dropped = self.pending
        self._begin_cycle()
        self.zero_grad()
        return dropped

    def flush(self, scaler: torch.amp.GradScaler | None = None) -> bool:
        """Update with the micro-batches of an incomplete cycle, as the smaller batch that they are.

        Args:
            scaler: which scaled their losses, if it has not seen them yet.

        Returns:
            Whether there were any.
        """
        if not self._weights:
            return False
        self._closing = True
        try:
            if scaler is None or self._aside:
                self.step()
            else:
                scaler.step(self)
        finally:
            self._closing = False
        return True

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Count a micro-batch; with the last one of a cycle, step the inner optimizer.

        Args:
            closure: evaluates the micro-batch, calls ``backward()`` and returns the loss.

        Returns:
            What the closure returned, else None.
        """
        if self._closing or self.pending + 1 >= self.steps:
            return super().step(closure)
        check_closure(closure, type(self).__name__)
        loss = self._take(closure)
        found = getattr(self.optimizer, "found_inf", None)
        if found is not None:
            self._found_inf |= bool(found)
            self._set_aside(getattr(self.optimizer, "grad_scale", None))
        elif count_processes() == 1:  # data-parallel models may put a gradient elsewhere
            self._summed = {p: p.grad for p in self._parameters()}
        return loss

    step.hooked = True  # type: ignore[attr-defined]

    def _take(self, closure: Callable[[], Any] | None) -> Any:
        """One more micro-batch."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._refuse_mixture()
        if any(g is not None and p.grad is not g and _is_plain(p.grad) for p, g in self._summed.items()):
            raise OptionError(
                message(
                    "Accumulation: gradients of earlier micro-batches of this cycle were cleared or replaced",
                    do="Clear them with optimizer.zero_grad(), which knows of the cycle, not with model.zero_grad()",
                )
            )
        self._weighed = self._current is not None
        self._weights.append(1.0 if self._current is None else self._current)
        self._current = None
        return loss

    def _parameters(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]

    @torch.no_grad()
    def _set_aside(self, scale: Tensor | None) -> None:
        """Move gradients to the unscaled sums; without a scale they are unscaled already.

        Raises:
            OptionError: if other processes' gradients may not be in them, which only come to ``p.grad``.
        """
        if count_processes() > 1:
            raise OptionError(
                message(
                    f"Accumulation: a GradScaler was called within a cycle, in one of {count_processes()} processes",
                    do="Call optimizer.step() within a cycle, and the scaler where optimizer.pending == "
                    "optimizer.steps - 1",
                )
            )
        for p in self._parameters():
            if p.grad is None:
                continue
            g = p.grad.detach().to(state_dtype(p))
            g = g / scale.to(p.device) if scale is not None else g
            self._aside[p] = self._aside[p].add_(g) if p in self._aside else g
            p.grad = None

    @torch.no_grad()
    def _step(self, closure: Callable[[], Any] | None) -> Any:
        loss = None if self._closing else self._take(closure)
        inner = self.optimizer
        scale, found = getattr(inner, "grad_scale", None), getattr(inner, "found_inf", None)
        unscales = bool(getattr(inner, "_step_supports_amp_scaling", False))
        for p, kept in self._aside.items():
            if scale is not None:
                kept.mul_(scale.to(kept.device))
            p.grad = kept.to(p.dtype) if p.grad is None else p.grad.add_(kept.to(p.dtype))
        total = 1.0 if self.reduction == "sum" else sum(self._weights) / self._unit
        total = self._average(total) if self._weighed else total
        factor = 1.0 / total if unscales or scale is None else 1.0 / (total * float(scale))
        if factor != 1.0:
            for p in self._parameters():
                if p.grad is not None:
                    p.grad.mul_(factor)
        spoilt = self._found_inf or (found is not None and float(found) != 0.0)
        self._begin_cycle()
        if found is not None and not unscales:  # done above; torch's refuse to step while it is set
            inner.grad_scale = inner.found_inf = None  # type: ignore[attr-defined]
        if not spoilt:
            inner.step()
        elif unscales:  # it counts what it skips
            inner.found_inf = torch.ones(())  # type: ignore[attr-defined]
            try:
                inner.step()
            finally:
                if found is None:
                    del inner.found_inf  # type: ignore[attr-defined]
        return loss

    def _save_parameter(self, p: Tensor) -> dict[str, Tensor]:
        kept = self._aside.get(p, p.grad) if self._weights else None
        return {} if kept is None else {SUM: kept.detach()}

    def _save_group(self) -> dict[str, Any]:
        cycle = {"weights": list(self._weights), "weighed": self._weighed, "unit": self._unit}
        return {"accumulation": {**cycle, "aside": bool(self._aside), "found_inf": self._found_inf}}

    def _load(self, parameters: dict[Tensor, dict[str, Tensor]], group: dict[str, Any]) -> None:
        self._begin_cycle()
        cycle = group["accumulation"]
        if not isinstance(cycle, Mapping) or not cycle.keys() >= {"weights", "weighed", "unit", "aside", "found_inf"}:
            what, allowed = "The checkpoint's 'accumulation' of Accumulation", "what state_dict() saved there"
            raise CheckpointError(message(what, got=cycle, allowed=allowed))
        self._weights, self._weighed = [float(w) for w in cycle["weights"]], bool(cycle["weighed"])
        self._unit = read_number(cycle, "unit", "Accumulation")
        self._found_inf = bool(cycle["found_inf"])
        for p, kept in parameters.items():
            if cycle["aside"]:
                self._aside[p] = kept[SUM].detach().to(p.device, state_dtype(p), copy=True)
            else:
                p.grad = kept[SUM].detach().to(p.device, p.dtype, copy=True)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "process_group": None}  # it belongs to this process

    def _describe(self) -> str:
        return f"Accumulation(steps={self.steps}, reduction={self.reduction!r})"


def evaluate_parts(
    optimizer: torch.optim.Optimizer,
    loss: Callable[[Part], Tensor],
    parts: Iterable[Part],
    weights: Sequence[float] | None = None,
    *,
    scaler: torch.amp.GradScaler | None = None,
) -> Callable[[], Tensor]:
    """The closure of a batch that is too big for one evaluation, for optimizers that choose where it is evaluated.

    ::

        optimizer.step(evaluate_parts(optimizer, lambda part: loss(model(part[0]), part[1]), batch_in_parts))

    Args:
        optimizer: whose gradients are cleared first.
        loss: the mean loss of a part.
        parts: the batch in parts, as ``zip(x.split(8), y.split(8))`` gives them; they are all kept.
        weights: how many samples or tokens each part has, > 0; None if they are alike.
        scaler: scales each part's loss before its ``backward()``.

    Returns:
        A closure that leaves the whole batch's gradient and returns its mean loss.

    Raises:
        OptionError: if there are no parts, or not as many weights as parts.
    """
    parts = list(parts)
    sizes = [1.0] * len(parts) if weights is None else [float(w) for w in weights]
    if not parts or len(sizes) != len(parts):
        raise OptionError(
            message(f"evaluate_parts: {len(parts)} parts and {len(sizes)} weights", allowed="one weight for each part")
        )
    for weight in sizes:
        check_number("weight", weight, "evaluate_parts", low=0.0, open_low=True)
    total = sum(sizes)

    def closure() -> Tensor:
        optimizer.zero_grad()
        mean = torch.zeros(())
        for part, size in zip(parts, sizes, strict=True):
            share = loss(part) * (size / total)
            (share if scaler is None else scaler.scale(share)).backward()
            mean = mean.to(share.device, share.dtype) + share.detach()
        return mean

    return closure


def _is_plain(g: Tensor | None) -> bool:
    """Whether torch adds to such a gradient in place, so that another tensor in its place means that it was lost."""
    return g is None or (g.layout is torch.strided and g.grad_fn is None)
