"""torch's schedulers under their names, and the bridge between them and :mod:`descend.schedules`, both ways.

from descend.optim import lr_scheduler

scheduler = lr_scheduler.CosineAnnealingLR(optimizer, T_max=100)          # torch's, on any optimizer
scheduler = lr_scheduler.attach(warmup(100) * cosine(1000), optimizer)    # ours, on torch's optimizers
optimizer = descend.AdamW(params, lr=lr_scheduler.from_torch(scheduler))  # torch's, as a schedule of ours
"""

import functools
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiplicativeLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)

from descend import schedules
from descend.errors import CheckpointError, OptionError, message
from descend.schedules import Schedule

__all__ = [
    "ChainedScheduler", "ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "CyclicLR", "ExponentialLR",
    "LRScheduler", "LambdaLR", "LinearLR", "MultiStepLR", "MultiplicativeLR", "OneCycleLR", "PolynomialLR",
    "ReduceLROnPlateau", "ScheduleLR", "SequentialLR", "StepLR", "attach", "from_torch",
]  # fmt: skip


class ScheduleLR(LRScheduler):
    """A schedule of ours as torch's kind of scheduler; made by :func:`attach`.

    Each group's rate is worked out from the schedule, the group's own ``initial_lr`` and ``last_epoch`` alone, so
    groups may come later, and the state may be loaded before or after the optimizer's.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, schedule: Schedule, *, absolute: bool = False, last_epoch: int = -1
    ) -> None:
        self.schedule = schedule
        self.absolute = absolute
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float | Tensor]:
        """The rates of all groups for the update that comes next."""
        value = self.schedule.at(self.last_epoch)
        if self.absolute:
            return [value for _ in self.optimizer.param_groups]
        return [group.setdefault("initial_lr", group["lr"]) * value for group in self.optimizer.param_groups]

    _get_closed_form_lr = get_lr

    def state_dict(self) -> dict[str, Any]:
        """Plain data: the schedule, how often it was stepped, the last rates."""
        return {
            "schedule": self.schedule.to_data(),
            "absolute": self.absolute,
            "last_epoch": self.last_epoch,
            "_step_count": self._step_count,
            "_last_lr": [float(lr) for lr in self._last_lr],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where :meth:`state_dict` was taken, and write the rates of that moment into the groups.

        Raises:
            CheckpointError: this is the state of a scheduler of torch's.
        """
        if not isinstance(state_dict, Mapping) or not {"schedule", "last_epoch"} <= state_dict.keys():
            what = "ScheduleLR: this is the state of another kind of scheduler"
            raise CheckpointError(message(what, do="Load it into a scheduler of its own class"))
        self.schedule = schedules.from_data(state_dict["schedule"])
        self.absolute = bool(state_dict["absolute"])
        self._step_count = state_dict["_step_count"]
        self.last_epoch = state_dict["last_epoch"]
        for group, lr in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(lr)
            else:
                group["lr"] = float(lr)
        self._last_lr = [float(group["lr"]) for group in self.optimizer.param_groups]


def attach(
    schedule: Schedule, optimizer: torch.optim.Optimizer, *, absolute: bool = False, last_epoch: int = -1
) -> ScheduleLR:
    """Drive the learning rate of an optimizer of torch's with a schedule of ours; call ``step()`` after each update.

    Optimizers of descend need none of this: give them the schedule as ``lr=``, and a skipped step will not advance it.

    Args:
        schedule: a factor of each group's own learning rate, as in ``LambdaLR``.
        optimizer: whose ``group["lr"]`` is written.
        absolute: whether the schedule's values are the rate itself, the same in all groups.
        last_epoch: how many updates have been done, less one; -1 for a new training.

    Raises:
        OptionError: ``schedule`` is none of ours, or ``optimizer`` is none.
    """
    if not isinstance(schedule, Schedule):
        what = "attach() takes a schedule of descend.schedules first, then the optimizer"
        raise OptionError(message(what, got=schedule, do="For a function of the epoch there is LambdaLR"))
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise OptionError(message("attach(): optimizer", got=type(optimizer).__name__, allowed="an optimizer of torch"))
    return ScheduleLR(optimizer, schedule, absolute=absolute, last_epoch=last_epoch)


def from_torch(scheduler: LRScheduler, *, group: int | None = None) -> Schedule:
    """The learning rates that a scheduler of torch's will have given, as a schedule: ``lr=from_torch(scheduler)``.

    The schedule counts from the scheduler's beginning, whatever has been stepped. Where torch's goes on past its end,
    ours stays: ``CosineAnnealingLR`` rises again after ``T_max``, ``OneCycleLR`` raises an error.

    Args:
        scheduler: one whose rates follow from the count of steps.
        group: whose rates; may be left out where all groups began with the same.

    Raises:
        OptionError: it is no scheduler; the rates depend on more than the count (``LambdaLR``, ``MultiplicativeLR``,
            ``ReduceLROnPlateau``, a custom class), or on the group and none is named.
    """
    if not isinstance(scheduler, LRScheduler):
        allowed = "a scheduler of torch.optim.lr_scheduler"
        raise OptionError(message("from_torch()", got=type(scheduler).__name__, allowed=allowed))
    groups = scheduler.optimizer.param_groups
    if group is None:
        found = {_values(scheduler, index) for index in range(len(groups))}
        if len(found) > 1:
            what = f"from_torch(): the {len(groups)} groups have learning rates of their own"
            raise OptionError(message(what, do="Name one: from_torch(scheduler, group=0)"))
        return found.pop()
    if isinstance(group, bool) or not isinstance(group, int) or group not in range(len(groups)):
        raise OptionError(message("from_torch(group=)", got=group, allowed=f"0 to {len(groups) - 1}"))
    return _values(scheduler, group)


def _milestones(scheduler: Any) -> Schedule:
    """A milestone that is listed twice drops twice."""
    listed = scheduler.milestones
    times = range(max(listed.values(), default=0))
    drops = [schedules.milestones(sorted(m for m in listed if listed[m] > i), scheduler.gamma) for i in times]
    return functools.reduce(operator.mul, drops) if drops else schedules.constant()


def _exponential(scheduler: Any) -> Schedule:
    gamma = float(scheduler.gamma)
    return schedules.exponential(gamma=gamma) if gamma <= 1 else schedules.exponential(-math.log(gamma))


_FACTORS: dict[type, Callable[[Any], Schedule]] = {
    StepLR: lambda s: schedules.step_decay(s.step_size, s.gamma),
    MultiStepLR: _milestones,
    ConstantLR: lambda s: schedules.constant(s.factor).then(schedules.constant(1.0), at=s.total_iters),
    LinearLR: lambda s: schedules.linear(s.total_iters, end=s.end_factor, start=s.start_factor),
    ExponentialLR: _exponential,
    PolynomialLR: lambda s: schedules.polynomial(s.total_iters, s.power),
}
"""Schedulers whose rates are a factor times the group's first rate, so that they multiply when they are chained."""


def _values(scheduler: Any, index: int) -> Schedule:
    """The rates of one group."""
    group = scheduler.optimizer.param_groups[index]
    base = float(group.get("initial_lr", group["lr"]))
    match scheduler:
        case ScheduleLR():
            return scheduler.schedule if scheduler.absolute else scheduler.schedule * base
        case CosineAnnealingLR():
            return schedules.cosine(scheduler.T_max, floor=scheduler.eta_min / base) * base
        case CosineAnnealingWarmRestarts():
            floor = scheduler.eta_min / base
            return schedules.cosine_restarts(scheduler.T_0, scheduler.T_mult, floor=floor) * base
        case OneCycleLR():
            return _one_cycle(scheduler, group)
        case CyclicLR():
            return _cycles(scheduler, index)
        case ChainedScheduler() if all(type(s) in _FACTORS for s in scheduler._schedulers):
            return functools.reduce(operator.mul, [_FACTORS[type(s)](s) for s in scheduler._schedulers]) * base
        case SequentialLR():
            return _sequence(scheduler, index)
    if type(scheduler) in _FACTORS:
        return _FACTORS[type(scheduler)](scheduler) * base
    raise OptionError(
        message(
            f"from_torch(): {type(scheduler).__name__} has no closed form in the count of updates alone",
            allowed=", ".join(sorted(c.__name__ for c in (*_FACTORS, *_CLOSED))),
            do="Step it yourself on the optimizer, or write its formula with descend.schedules.schedule",
        )
    )


_CLOSED = (CosineAnnealingLR, CosineAnnealingWarmRestarts, OneCycleLR, CyclicLR, SequentialLR, ScheduleLR)


def _one_cycle(scheduler: Any, group: dict[str, Any]) -> Schedule:
    phases, total = scheduler._schedule_phases, scheduler.total_steps
    made = schedules.one_cycle(
        total,
        (phases[0]["end_step"] + 1) / total,
        div_factor=group["max_lr"] / group["initial_lr"],
        final_div_factor=group["initial_lr"] / group["min_lr"],
        anneal=scheduler._anneal_func_type,
        three_phase=len(phases) == 3,
    )
    return made * float(group["max_lr"])


def _cycles(scheduler: Any, index: int) -> Schedule:
    if scheduler._scale_fn_custom is not None:
        raise OptionError(message("from_torch(): this CyclicLR has a scale_fn of its own, which has no closed form"))
    top = float(scheduler.max_lrs[index])
    up = round(scheduler.total_size * scheduler.step_ratio)
    bound, down = scheduler.base_lrs[index] / top, round(scheduler.total_size) - up
    match scheduler.mode:
        case "triangular":
            return schedules.triangular(up, bound, down) * top
        case "triangular2":
            return schedules.triangular2(up, bound, down) * top
    return schedules.exp_range(up, bound, scheduler.gamma, down) * top


def _sequence(scheduler: Any, index: int) -> Schedule:
    parts = [_values(part, index) for part in scheduler._schedulers]
    begins = [0, *scheduler._milestones]
    made = parts.pop()
    while parts:
        made = parts.pop().then(made, at=begins[len(parts) + 1] - begins[len(parts)])
    return made
