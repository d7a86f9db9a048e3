"""Stochastic weight averaging: the plain mean of a model's weights."""

from typing import Literal

from torch import nn

from descend.wrap.weight_average import WeightAverage


class SWA(WeightAverage):
    """Stochastic weight averaging: the plain mean of the weights at every ``update()``.

    Izmailov et al. 2018, Algorithm 1. Begin when the learning rate has become constant or cyclical, update once an
    epoch or cycle, and measure batch-norm statistics anew at the end::

        with average.swap():
            recalibrate(model, loader)
            evaluate(model)

    Args:
        model: whose weights.
        buffers: what becomes of buffers: see :class:`WeightAverage`.

    Raises:
        OptionError: if an option is out of range.
        ParameterError: if ``model`` is no module or has no parameters.
    """

    def __init__(self, model: nn.Module, *, buffers: Literal["average", "keep"] = "keep") -> None:
        super().__init__(model, buffers=buffers)

    def _share(self) -> float:
        return 1.0 / (self.updates + 1)
