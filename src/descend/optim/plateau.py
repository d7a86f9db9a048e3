"""Reduce on plateau: a factor that falls when a metric stops improving, kept where the optimizer keeps its state."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal, SupportsFloat, cast

import torch

from descend.errors import OptionError, did_you_mean, message
from descend.optim.optimizer import Optimizer
from descend.schedules import from_data
from descend.schedules.arguments import COUNT, NOT_NEGATIVE, RATIO, SHARE, Argument, Word


@dataclass(frozen=True, eq=False)
class Plateau:
    """Multiplies a hyper-parameter by ``factor`` when a metric has stopped improving.

        plateau = Plateau(optimizer, patience=5)
        for epoch in range(epochs):
            ...
            plateau.report(validate(model))

    A report is *good* if the metric beats the best good report so far by more than ``threshold``, else *bad*. After
    ``patience`` bad reports in a row the next bad one reduces: ``patience=2`` reduces at the third, as in torch's
    ``ReduceLROnPlateau``; ``patience=0`` at the first. The first report is good whatever it is. A relative threshold
    is a share of the best metric's absolute value, so that negative metrics work as positive ones do.

    What it reduces may be a number or follow a schedule, which then goes on, multiplied; groups added later are
    reduced from then on. It works on optimizers of descend and of torch.

    Its state is plain data in the optimizer's first group (``group["plateau"][key]``), so the optimizer's
    ``state_dict`` saves and restores it together with what it has reduced, whether this object was made before or
    after loading. Settings are not saved: the ones given here hold.

    Args:
        optimizer: whose groups are changed.
        key: the hyper-parameter.
        mode: ``"min"`` if less of the metric is better, ``"max"`` if more is.
        factor: what each reduction leaves, above 0 and below 1.
        patience: how many bad reports in a row change nothing, from 0.
        threshold: by how much a good report beats the best, from 0.
        threshold_mode: ``"rel"``, a share of the best metric's absolute value, or ``"abs"``, in the metric's unit.
        cooldown: how many reports after a reduction do not count as bad, from 0.
        floor: the smallest product of all reductions, from 0 to 1.
        on_nonfinite: what a NaN or infinite metric does. ``"raise"`` refuses it and changes nothing, ``"bad"`` counts
            it as a bad report (torch does so with NaN), ``"skip"`` passes over it.

    Raises:
        OptionError: a setting is out of its range, a group lacks the hyper-parameter, or a torch
            scheduler drives the learning rate.
    """

    optimizer: torch.optim.Optimizer = field(repr=False)
    key: str = "lr"
    mode: Literal["min", "max"] = "min"
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    threshold_mode: Literal["rel", "abs"] = "rel"
    cooldown: int = 0
    floor: float = 0.0
    on_nonfinite: Literal["raise", "bad", "skip"] = "raise"

    def __post_init__(self) -> None:
        if not isinstance(self.optimizer, torch.optim.Optimizer):
            got = type(self.optimizer).__name__
            raise OptionError(message("Plateau's first argument", got=got, allowed="an optimizer"))
        for name, kind in _SETTINGS.items():
            object.__setattr__(self, name, kind.check(f"Plateau({name}=)", getattr(self, name)))
        if self.factor == 1:
            raise OptionError(message("Plateau(factor=)", got=self.factor, allowed="a number above 0 and below 1"))
        if not isinstance(self.key, str):
            raise OptionError(message("Plateau(key=)", got=self.key, allowed='the name of one option, such as "lr"'))
        self._check_groups()
        kept = self.optimizer.param_groups[0].setdefault("plateau", {})
        kept.setdefault(self.key, {"best": None, "bad": 0, "cooling": 0, "product": 1.0})

    def _check_groups(self) -> None:
        for index, group in enumerate(self.optimizer.param_groups):
            if not isinstance(group.get(self.key), float | int | torch.Tensor) or isinstance(group[self.key], bool):
                numbers = [k for k, v in group.items() if isinstance(v, float) and not k.startswith("lr_")]
                what = f"Plateau: group {index} has no number {self.key!r}"
                raise OptionError(message(what, do=did_you_mean(self.key, numbers)))
            if self.key == "lr" and "initial_lr" in group:
                what = f"Plateau: a torch LRScheduler drives the lr of group {index} (it has an 'initial_lr')"
                do = "Give the optimizer the schedule instead, lr=from_torch(scheduler); or delete a stale 'initial_lr'"
                raise OptionError(message(what, do=do))

    @property
    def _state(self) -> dict[str, Any]:
        """What the optimizer saves; read anew each time, since loading replaces it."""
        return self.optimizer.param_groups[0]["plateau"][self.key]

    @property
    def best(self) -> float | None:
        """The metric of the best good report; None before the first."""
        return cast("float | None", self._state["best"])

    @property
    def bad(self) -> int:
        """Bad reports in a row, as of now."""
        return int(self._state["bad"])

    @property
    def product(self) -> float:
        """The product of all reductions until now: 1, ``factor``, its square and so on."""
        return float(self._state["product"])

    def report(self, metric: SupportsFloat) -> bool:
        """Take in a metric, and reduce if it is time; call it once for each evaluation.

        Args:
            metric: a number or a tensor of one element, which is read here (on a GPU: waited for).

        Returns:
            Whether this report has reduced the hyper-parameter.

        Raises:
            OptionError: the metric is no number, or not finite under ``on_nonfinite="raise"``; a torch scheduler
                has come to drive the learning rate.
        """
        value = self._read(metric)
        if not math.isfinite(value) and self.on_nonfinite != "bad":
            if self.on_nonfinite == "skip":
                return False
            do = 'Find out why, or let it count with on_nonfinite="bad", or pass over it with "skip"'
            raise OptionError(message("Plateau.report(metric)", got=value, allowed="a finite number", do=do))
        state = self._state
        good = self._improves(value, state["best"])
        bad, cooling = (0 if good else state["bad"] + 1), state["cooling"]
        if cooling > 0:
            bad, cooling = 0, cooling - 1
        due = bad > self.patience
        if due:
            bad, cooling = 0, self.cooldown
        reduced = due and self._reduce(state["product"])
        state.update(best=value if good else state["best"], bad=bad, cooling=cooling)
        return reduced

    @staticmethod
    def _read(metric: SupportsFloat) -> float:
        try:
            return float(metric)
        except (TypeError, ValueError, RuntimeError, OverflowError):
            allowed = "a number or a tensor of one element"
            raise OptionError(message("Plateau.report(metric)", got=metric, allowed=allowed)) from None

    def _improves(self, value: float, best: float | None) -> bool:
        if not math.isfinite(value):
            return False
        if best is None:
            return True
        margin = self.threshold * (abs(best) if self.threshold_mode == "rel" else 1.0)
        return value < best - margin if self.mode == "min" else value > best + margin

    def _reduce(self, product: float) -> bool:
        """Multiply the hyper-parameter of every group; False if the floor has been reached."""
        lower = max(product * self.factor, self.floor)
        if not lower < product:
            return False
        ratio = lower / product
        self._check_groups()
        for group in self.optimizer.param_groups:
            followed = group.get("schedules", {})
            if self.key in followed:
                schedule = from_data(followed[self.key]) * ratio
                followed[self.key] = schedule.to_data()
                start = group.get("schedule_start", 0)
                if isinstance(self.optimizer, Optimizer) and self.optimizer.clock.updates == start:
                    group[self.key] = schedule.at(0)  # what the first step expects to find
            elif isinstance(group[self.key], torch.Tensor):
                group[self.key].mul_(ratio)
            else:
                group[self.key] *= ratio
        self._state["product"] = lower
        return True


_SETTINGS: dict[str, Argument] = {
    "mode": Word(("min", "max")),
    "threshold_mode": Word(("rel", "abs")),
    "on_nonfinite": Word(("raise", "bad", "skip")),
    "factor": RATIO,
    "patience": COUNT,
    "threshold": NOT_NEGATIVE,
    "cooldown": COUNT,
    "floor": SHARE,
}
