"""The exponential moving average of a model's weights."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import nn

from descend.errors import OptionError, message
from descend.optim.arguments import check_flag
from descend.optim.state_layout import read_number
from descend.schedules import Schedule, from_data
from descend.wrap.weight_average import WeightAverage


class EMA(WeightAverage):
    """Exponential moving average of a model's weights: recent steps count most.

    Polyak & Juditsky 1992 averaged with exponential weights, as in Kingma & Ba 2015, section 7.2: a ← βa + (1−β)θ. By
    default the average is divided by 1 − βⁿ, so that the weights from before the first update do not count at all and
    the first update gives θ itself. For a target network, which is to begin as the model is and move slowly::

        target = EMA(critic, decay=1 - 0.005, bias_correction=False)
        value = target.network()(state)              # and target.update() behind each step

    Args:
        model: whose weights.
        decay: β, from 0 to 1; or a schedule of the number of updates.
        bias_correction: leave out the weights from before the first update.
        buffers: what becomes of buffers: see :class:`WeightAverage`.

    Where the optimizer is one of descend's, ``ema=`` lets its step keep the average, which saves a pass over memory;
    ``EMA.of(optimizer, model)`` then has everything that is here.

    Raises:
        OptionError: if an option is out of range.
        ParameterError: if ``model`` is no module or has no parameters.
    """

    _saved = ("kind", "updates", "averages", "decay", "weight")

    @staticmethod
    def of(
        optimizer: torch.optim.Optimizer, model: nn.Module, *, buffers: Literal["average", "keep"] = "average"
    ) -> "EMA":
        """The average that an optimizer with ``ema=`` keeps in its own step, which also saves and loads it.

            optimizer = descend.AdamW(model.parameters(), ema=0.999)
            average = descend.EMA.of(optimizer, model)
            with average.swap():
                evaluate(model)

        A parameter that had no gradient in a step is not averaged in it.

        Args:
            optimizer: one of descend's, or a wrapper around it.
            model: whose parameters it steps.
            buffers: what becomes of buffers: see :class:`WeightAverage`; "average" takes them in behind each step.

        Raises:
            OptionError: if the optimizer keeps no average of any of the model's parameters.
        """
        from descend.wrap.woven_ema import WovenEMA

        return WovenEMA(optimizer, model, buffers=buffers)

    def __init__(
        self,
        model: nn.Module,
        decay: float | Schedule = 0.999,
        *,
        bias_correction: bool = True,
        buffers: Literal["average", "keep"] = "average",
    ) -> None:
        if not isinstance(decay, Schedule):
            _check_decay(decay)
        super().__init__(model, buffers=buffers)
        self.decay = decay
        self.bias_correction = check_flag("bias_correction", bias_correction, "EMA")
        self._weight = 0.0 if bias_correction else 1.0

    def _share(self) -> float:
        decay = _check_decay(self.decay.at(self.updates) if isinstance(self.decay, Schedule) else self.decay)
        # The sum of all weights so far; with constant decay 1 - decay**n.
        self._weight = decay * self._weight + (1.0 - decay)
        return (1.0 - decay) / self._weight if self._weight else 1.0 / (self.updates + 1)  # the limit for decay = 1

    def state_dict(self) -> dict[str, Any]:
        """Everything that is needed to go on: plain data and copies of tensors."""
        decay = self.decay.to_data() if isinstance(self.decay, Schedule) else float(self.decay)
        return {**super().state_dict(), "decay": decay, "weight": self._weight}

    def _load(self, state_dict: Mapping[str, Any]) -> None:
        decay = state_dict["decay"]
        weight = read_number(state_dict, "weight", "EMA")
        self.decay = from_data(decay) if isinstance(decay, list) else read_number(state_dict, "decay", "EMA")
        self._weight = weight


def _check_decay(decay: Any) -> float:
    if isinstance(decay, bool) or not isinstance(decay, int | float) or not 0.0 <= decay <= 1.0:
        raise OptionError(message("EMA: decay", got=decay, allowed="a number from 0 to 1, or a schedule of such"))
    return float(decay)
