"""A contender: an optimizer with its settings and the learning rates that it is tried with."""

import hashlib
import inspect
import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import nn

from descend.errors import OptionError, message
from descend.optim.catalogue import get


@dataclass(frozen=True)
class Contender:
    """One row of a comparison.

    Args:
        name: how it is called in commands and records.
        title: how it is called in tables and pictures.
        optimizer: the name of one of descend's optimizers, or a class of your own.
        lrs: the learning rates to try; all contenders of a comparison have equally many.
        options: further arguments of the optimizer, the same in every trial.
    """

    name: str
    title: str
    optimizer: str | type[torch.optim.Optimizer]
    lrs: tuple[float, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        values = tuple(float(lr) for lr in self.lrs)
        if not values or min(values) <= 0 or any(a >= b for a, b in itertools.pairwise(values)):
            allowed = "positive numbers in rising order"
            raise OptionError(message(f"learning rates of contender {self.name!r}", got=self.lrs, allowed=allowed))
        object.__setattr__(self, "lrs", values)
        if "lr" in self.options:
            do = "The learning rate is what is tried; list its values in lrs."
            raise OptionError(message(f"options of contender {self.name!r} contain 'lr'", do=do))

    @property
    def cls(self) -> type[torch.optim.Optimizer]:
        """The optimizer class."""
        return find_class(self.optimizer) if isinstance(self.optimizer, str) else self.optimizer

    def build(self, model: nn.Module, lr: float) -> torch.optim.Optimizer:
        """A new optimizer for all parameters of the model."""
        return self.cls(model.parameters(), **{"lr": lr, **self.options})

    def settings(self, lr: float) -> str:
        """The line to paste into a program: ``descend.SGD(model.parameters(), lr=0.1, momentum=0.9)``."""
        name = f"descend.{self.optimizer}" if isinstance(self.optimizer, str) else self.optimizer.__name__
        options = "".join(f", {key}={value!r}" for key, value in self.options.items())
        return f"{name}(model.parameters(), lr={lr:g}{options})"

    @cached_property
    def identity(self) -> str:
        """Eight hexadecimal digits of class, formula and options: runs of an older formula do not count."""
        write = getattr(getattr(self.cls, "rule", None), "text", None)
        formula = "" if write is None else write()
        options = json.dumps(dict(self.options), sort_keys=True, default=repr)
        text = f"{self.cls.__module__}.{self.cls.__qualname__}|{formula}|{options}"
        return hashlib.sha256(text.encode()).hexdigest()[:8]


def find_class(name: str) -> type[torch.optim.Optimizer]:
    """The optimizer of descend with this name; the one place where names become classes."""
    return get(name)


def from_class(cls: type[torch.optim.Optimizer], count: int) -> Contender:
    """A contender for any optimizer class: its default learning rate in the middle of half decades.

    Raises:
        OptionError: the class has no default learning rate to start from.
    """
    parameter = inspect.signature(cls).parameters.get("lr")
    default = None if parameter is None else parameter.default
    if isinstance(default, bool) or not isinstance(default, int | float) or default <= 0:
        name = cls.__name__
        do = f"Pass descend.compare.Contender({name.lower()!r}, {name!r}, {name}, lrs=(...))."
        raise OptionError(message(f"{cls.__name__} has no default learning rate to search around", do=do))
    lrs = tuple(float(f"{default * 10 ** ((i - count // 2) / 2):.2g}") for i in range(count))
    return Contender(cls.__name__.lower(), cls.__name__, cls, lrs)


def check_fair(contenders: Iterable[Contender]) -> None:
    """Refuse a comparison in which names clash or some contenders get more trials than others.

    Raises:
        OptionError: names the contenders.
    """
    chosen = list(contenders)
    names = [c.name for c in chosen]
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise OptionError(message("contenders share a name", got=", ".join(double), do="Give each its own name."))
    trials = {c.name: len(c.lrs) for c in chosen}
    if len(set(trials.values())) > 1:
        do = "Give every contender equally many learning rates."
        raise OptionError(message("contenders would get different numbers of trials", got=trials, do=do))
