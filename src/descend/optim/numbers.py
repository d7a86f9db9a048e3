"""A group's numbers by the name of their host input: hyper-parameters and what is derived from them."""

from typing import Any

import torch
from torch import Tensor

from descend.errors import OptionError, message
from descend.lang.rule import Rule
from descend.lang.woven import list_hypers


class Numbers:
    """Reads groups for the uniform table.

    Args:
        rule: the method.
        wide: the options of the whole optimizer, live.
    """

    def __init__(self, rule: Rule, wide: dict[str, Any]) -> None:
        self.scale = 1.0
        self._wide = wide
        hypers = list_hypers(rule).items()
        self._scalars = [k for k, h in hypers if not h.structural and not h.is_tuple]
        self._tuples = [(k, [f"{k}[{i}]" for i in range(len(h.ranges))]) for k, h in hypers if h.is_tuple]

    def read(self, group: dict[str, Any], dtype: torch.dtype = torch.float32) -> dict[str, Any]:
        """The numbers of a group; an optional one that is absent is 0, since no formula reads it then.

        Args:
            group: the options.
            dtype: of the parameters.
        """
        numbers = {k: 0.0 if group[k] is None else group[k] for k in self._scalars}
        for key, names in self._tuples:
            if group[key] is not None:
                numbers.update((k, 0.0 if v is None else v) for k, v in zip(names, group[key], strict=True))
        numbers["weight_decay"] = group["weight_decay"]
        lr = plain(numbers.get("lr", 0.0))
        if lr > plain(group["lr_max"]):
            group["lr_max"] = lr
        numbers |= self.relate(lr, group)
        numbers["ema"] = group["ema"] or 0.0
        numbers["clip_norm"] = self._wide["clip_norm"] or 0.0
        numbers["clip_value"] = self._wide["clip_value"] or 0.0
        numbers["grad_scale"] = self.scale
        numbers["dtype_eps"] = torch.finfo(dtype).eps
        return numbers

    def relate(self, lr: float, group: dict[str, Any]) -> dict[str, float]:
        """A learning rate as shares of the group's first and highest."""
        start, highest = plain(group.get("initial_lr", group["lr_start"])), plain(group["lr_max"])
        return {"lr_ratio": lr / start if start else 0.0, "lr_over_max": lr / highest if highest else 0.0}


def plain(value: Any) -> float:
    """A number or a tensor of one number as a float.

    Raises:
        OptionError: if it is neither.
    """
    try:
        return float(value.detach()) if isinstance(value, Tensor) else float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        allowed = "a number, or a tensor of one number"
        raise OptionError(message("A value in a parameter group", got=value, allowed=allowed)) from None
