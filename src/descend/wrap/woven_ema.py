"""The average of weights that an optimizer keeps in its own step, with the surface of ``EMA``."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NoReturn

import torch
from torch import Tensor, nn

from descend.errors import OptionError, message
from descend.optim.optimizer import Optimizer
from descend.wrap.ema import EMA
from descend.wrap.wrapper import unwrap


class WovenEMA(EMA):
    """What ``EMA.of(optimizer, model)`` returns: parameters' averages are the optimizer's states, buffers' are here.

    Args:
        optimizer: made with ``ema=``, or a wrapper around it.
        model: whose parameters it steps.
        buffers: ``"average"`` or ``"keep"``.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, model: nn.Module, *, buffers: Literal["average", "keep"] = "average"
    ) -> None:
        inner = unwrap(optimizer)
        groups = inner.param_groups if isinstance(inner, Optimizer) else []
        averaged = {id(p): g for g in groups if g["ema"] is not None for p in g["params"]}
        shared = [averaged[id(p)] for p in model.parameters() if id(p) in averaged]
        if not isinstance(inner, Optimizer) or not shared:
            raise OptionError(
                message(
                    f"EMA.of: {type(inner).__name__} keeps no average of this model's parameters",
                    do="Make it one of descend's with ema=0.999, or use EMA(model), which keeps its own",
                )
            )
        self._optimizer, self._group, self._seen = inner, shared[0], inner.clock.updates
        super().__init__(model, float(self._group["ema"]), buffers=buffers)
        super().attach(optimizer)

    @classmethod
    def _kind(cls) -> str:
        return EMA.__name__

    def _own(self) -> dict[str, Tensor]:
        return {} if self.buffers == "keep" else dict(self.model.named_buffers())

    def _averages(self) -> dict[str, Tensor]:
        """The optimizer's states; a parameter that has none yet is its own average."""
        states = self._optimizer._state  # only read, so that the optimizer need not watch for edits
        found = {n: states[p].get("ema") if p in states else None for n, p in self.model.named_parameters()}
        live = dict(self.model.named_parameters())
        return {n: live[n].detach().clone() if a is None else a for n, a in found.items()} | self._kept

    @torch.no_grad()
    def update(self) -> None:
        """Take in the buffers, once for each step; the step itself has done the rest, and calls this too.

        Raises:
            OptionError: within ``swap()``, where the model's weights are the average itself.
        """
        if self._swapped:
            raise OptionError(message("A step within EMA.of(...).swap()", do="Step outside"))
        if self._seen != self._optimizer.clock.updates:
            self._seen = self._optimizer.clock.updates
            self.decay = float(self._group["ema"])
            self._take_in(self._own())

    def attach(self, optimizer: torch.optim.Optimizer) -> NoReturn:
        """Refused: the average follows the optimizer that keeps it.

        Raises:
            OptionError: always.
        """
        raise OptionError(message("EMA.of(...).attach(): the average follows its own optimizer", do="Leave it out"))

    @torch.no_grad()
    def _write(self, values: Mapping[str, Tensor]) -> None:
        super()._write({n: v for n, v in values.items() if n in self._kept})
        for name, p in self.model.named_parameters():
            kept = self._optimizer.state[p].get("ema")
            made = torch.empty_like(p, dtype=values[name].dtype) if kept is None else kept
            self._optimizer.state[p]["ema"] = made.copy_(values[name])
            self._optimizer.state[p]["ema_weight"] = torch.tensor(self._weight, dtype=torch.float64)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Refuse to be copied apart from the optimizer.

        Raises:
            OptionError: always.
        """
        raise OptionError(
            message("EMA.of(...) cannot be copied or pickled", do="Copy model and optimizer, and make it anew")
        )
