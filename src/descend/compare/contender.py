"""A contender: an optimizer with its settings and the learning rates that it is tried with."""

import hashlib
import inspect
import itertools
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Real
from typing import Any

import torch
from torch import nn

from descend.errors import OptionError, did_you_mean, message
from descend.optim.arguments import check_count
from descend.optim.catalogue import get
from descend.optim.optimizer import Optimizer
from descend.schedules import Schedule, constant, cosine, linear, one_cycle, warmup
from descend.tasks import Task

SCHEDULES: dict[str, Callable[[int], Schedule]] = {
    "constant": lambda steps: constant(1.0),
    "linear": linear,
    "cosine": cosine,
    "one-cycle": one_cycle,
}
"""How the learning rate may go over a budget of updates, by name."""

Range = tuple[float, float] | Sequence[Any]
"""Two numbers, lowest and highest, searched on a logarithmic scale where both are above 0; or a list of choices."""


@dataclass(frozen=True)
class Entry:
    """A contender as results remember it: what tables, pictures and plans need, without its class.

    Args:
        name: how it is called in commands and records.
        title: how it is called in tables and pictures.
        identity: digest of its class, formula and options.
        lrs: the learning rates that it is tried with; in a sampled search the lowest and the highest.
        settings: for each of them the line to paste into a program.
        space: what is sampled, in words; empty on a grid.
    """

    name: str
    title: str
    identity: str
    lrs: tuple[float, ...]
    settings: tuple[str, ...]
    space: str = ""


def describe_space(space: Mapping[str, Range]) -> str:
    """For people: ``lr 0.0001 to 0.1, betas (0.9, 0.99) or (0.9, 0.999)``."""
    told: list[str] = []
    for name, values in space.items():
        pair = f"{values[0]:g} to {values[1]:g}" if isinstance(values, tuple) else " or ".join(map(str, values))
        told.append(f"{name} {pair}")
    return ", ".join(told)


@dataclass(frozen=True)
class Contender:
    """One row of a comparison.

    Args:
        name: how it is called in commands and records.
        title: how it is called in tables and pictures.
        optimizer: the name of one of descend's optimizers, or a class of your own.
        lrs: the learning rates to try; all contenders of a comparison have equally many.
        options: further arguments of the optimizer, the same in every trial.
        schedule: a name from :data:`SCHEDULES`: how the learning rate falls over the budget of updates.
        warmup: updates in which the learning rate rises to its value; below 1 a share of the budget.
        batch_size: examples in one update, where another number than the task's is tried.
        space: what a sampler chooses from, beside the learning rate: settings with their ranges.
    """

    name: str
    title: str
    optimizer: str | type[torch.optim.Optimizer]
    lrs: tuple[float, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    schedule: str = "constant"
    warmup: float = 0
    batch_size: int | None = None
    space: Mapping[str, Range] = field(default_factory=dict)

    def __post_init__(self) -> None:
        listed = self.lrs if isinstance(self.lrs, Collection) else ()
        values = tuple(float(lr) for lr in listed if isinstance(lr, Real) and lr > 0)
        if not values or len(values) < len(listed) or any(a >= b for a, b in itertools.pairwise(values)):
            allowed = "positive numbers in rising order"
            raise OptionError(message(f"learning rates of contender {self.name!r}", got=self.lrs, allowed=allowed))
        object.__setattr__(self, "lrs", values)
        if not isinstance(self.options, Mapping):
            allowed = "a dict of the optimizer's arguments"
            raise OptionError(message(f"options of contender {self.name!r}", got=self.options, allowed=allowed))
        if "lr" in self.options:
            do = "The learning rate is what is tried; list its values in lrs."
            raise OptionError(message(f"options of contender {self.name!r} contain 'lr'", do=do))
        if not isinstance(self.schedule, str) or self.schedule not in SCHEDULES:
            do = did_you_mean(str(self.schedule), SCHEDULES)
            raise OptionError(message(f"schedule of contender {self.name!r}", got=self.schedule, do=do))
        if isinstance(self.warmup, bool) or not isinstance(self.warmup, int | float) or self.warmup < 0:
            allowed = "updates from 0, or a share of the budget below 1"
            raise OptionError(message(f"warmup of contender {self.name!r}", got=self.warmup, allowed=allowed))
        if self.batch_size is not None:
            check_count("batch_size", self.batch_size, f"contender {self.name!r}")
        if self.scheduled and not issubclass(self.cls, Optimizer):
            do = "Take one of descend's optimizers, whose learning rate may be a schedule."
            raise OptionError(message(f"contender {self.name!r} cannot have a schedule", do=do))

    @property
    def cls(self) -> type[torch.optim.Optimizer]:
        """The optimizer class."""
        return get(self.optimizer) if isinstance(self.optimizer, str) else self.optimizer

    def check_options(self) -> None:
        """Refuse options that the optimizer does not take, before anything is trained with them.

        Raises:
            OptionError: names the option. Of a class that is not descend's nothing is known.
        """
        if issubclass(self.cls, Optimizer):
            self.cls(nn.Linear(1, 1).parameters(), lr=self.lrs[0], **self.options)

    @property
    def scheduled(self) -> bool:
        """Whether the learning rate changes during a run."""
        return self.schedule != "constant" or self.warmup > 0

    @property
    def described(self) -> dict[str, Any]:
        """Everything beside the learning rate that is not at its default, by name."""
        extra = {"schedule": self.schedule, "warmup": self.warmup, "batch_size": self.batch_size}
        plain = {"schedule": "constant", "warmup": 0, "batch_size": None}
        return {**self.options, **{key: value for key, value in extra.items() if value != plain[key]}}

    def fit(self, task: Task) -> Task:
        """The task with this contender's batch size."""
        return task if self.batch_size is None else replace(task, batch_size=self.batch_size)

    def rate(self, lr: float, steps: int) -> float | Schedule:
        """The learning rate of a run of so many updates: a number, or a schedule whose highest value it is."""
        if not self.scheduled:
            return lr
        fall = SCHEDULES[self.schedule](steps)
        rise = round(self.warmup * steps) if self.warmup < 1 else round(self.warmup)
        return (warmup(rise) * fall if rise else fall) * lr

    def build(self, model: nn.Module, lr: float, steps: int) -> torch.optim.Optimizer:
        """A new optimizer for all parameters of the model, for a run of so many updates."""
        return self.cls(model.parameters(), **{"lr": self.rate(lr, steps), **self.options})

    def build_together(self, models: Sequence[nn.Module], lrs: Sequence[float], steps: int) -> torch.optim.Optimizer:
        """One optimizer for several models, each with a learning rate of its own."""
        rates = [self.rate(lr, steps) for lr in lrs]
        groups = [{"params": list(m.parameters()), "lr": rate} for m, rate in zip(models, rates, strict=True)]
        return self.cls(groups, **self.options)

    def settings(self, lr: float, steps: int) -> str:
        """The line to paste into a program: ``descend.SGD(model.parameters(), lr=0.1, momentum=0.9)``."""
        name = f"descend.{self.optimizer}" if isinstance(self.optimizer, str) else self.optimizer.__name__
        options = "".join(f", {key}={value!r}" for key, value in self.options.items())
        rate = (
            re.sub(r"\b([a-z_]+)\(", r"descend.schedules.\1(", repr(self.rate(lr, steps)))
            if self.scheduled
            else f"{lr:g}"
        )
        return f"{name}(model.parameters(), lr={rate}{options})"

    def enter(self, steps: int) -> Entry:
        """What results of runs of so many updates remember of it."""
        lines = tuple(self.settings(lr, steps) for lr in self.lrs)
        return Entry(self.name, self.title, self.identity, self.lrs, lines, describe_space(self.space))

    @cached_property
    def identity(self) -> str:
        """Eight hexadecimal digits of class, formula, options and space: runs of an older formula do not count."""
        write = getattr(getattr(self.cls, "rule", None), "text", None)
        formula = "" if write is None else write()
        options = json.dumps(self.described, sort_keys=True, default=repr)
        space = "|" + json.dumps(self.space, sort_keys=True, default=repr) if self.space else ""
        text = f"{self.cls.__module__}.{self.cls.__qualname__}|{formula}|{options}{space}"
        return hashlib.sha256(text.encode()).hexdigest()[:8]


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
