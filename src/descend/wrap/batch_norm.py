"""Batch-norm statistics: frozen while weights are only being tried, and measured anew for averaged weights."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.module import register_module_forward_pre_hook

from descend.errors import OptionError, ParameterError, message


@contextmanager
def freeze_statistics(model: nn.Module | None = None) -> Iterator[None]:
    """Within the block no running statistics move; batches are normalised as always.

    For passes with weights that will not stay, as SAM's second one. Layers in training mode still use their batch's
    own statistics.

    Args:
        model: whose layers; None for whatever module runs within the block, which compiled models do not show.
    """
    touched: list[_NormBase] = []

    def stop_tracking(module: nn.Module, _: Any) -> None:
        if isinstance(module, _NormBase) and module.training and module.track_running_stats:
            module.track_running_stats = False
            touched.append(module)

    handle = None
    if model is None:
        handle = register_module_forward_pre_hook(stop_tracking)
    else:
        for module in model.modules():
            stop_tracking(module, None)
    try:
        yield
    finally:
        if handle is not None:
            handle.remove()
        for module in touched:
            module.track_running_stats = True


@torch.no_grad()
def recalibrate(
    model: nn.Module, batches: Iterable[Any], *, forward: Callable[[nn.Module, Any], object] | None = None
) -> int:
    """Measure batch-norm statistics anew, as averaged weights need: each batch counts alike.

    Only batch-norm layers are put into training mode, so dropout stays off.

    Args:
        model: whose layers, changed in place; with averaged weights, call it within ``swap()``.
        batches: inputs; of a tuple or list the first element is the input, a mapping is passed as keywords.
        forward: ``forward(model, batch)`` where that does not fit.

    Returns:
        Number of batches; 0 without reading any if no layer keeps statistics.

    Raises:
        ParameterError: if ``model`` is no module.
        OptionError: if there are no batches.
    """
    if not isinstance(model, nn.Module):
        raise ParameterError(message("recalibrate: model", got=type(model).__name__, allowed="a torch.nn.Module"))
    layers = [m for m in model.modules() if isinstance(m, _NormBase) and m.track_running_stats]
    if not layers:
        return 0
    before = [(m, m.training) for m in model.modules()]
    momenta = [m.momentum for m in layers]
    count = 0
    try:
        model.eval()
        for layer in layers:
            layer.train()
            layer.reset_running_stats()
            layer.momentum = None  # a plain mean over the batches
        for batch in batches:
            (forward or _call)(model, batch)
            count += 1
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for module, training in before:
            module.training = training
    if not count:
        raise OptionError(
            message(
                "recalibrate: there were no batches, and the statistics are reset",
                do="Pass a loader or list that yields inputs; a generator is used up by one pass",
            )
        )
    return count


def _call(model: nn.Module, batch: Any) -> object:
    if isinstance(batch, Mapping):
        return model(**batch)
    return model(batch[0] if isinstance(batch, tuple | list) else batch)
