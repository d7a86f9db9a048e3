"""Steps that compiled code takes by itself, because nothing but the gradients has changed since the last one."""

from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch.optim.optimizer as torch_optimizer

from descend.backends.cpu import repetition, team
from descend.backends.cpu.inspection.contents import Container, Contents
from descend.optim.batches import Unit
from descend.optim.courses import Courses

if TYPE_CHECKING:
    from descend.optim.optimizer import Optimizer
    from descend.optim.row_unit import RowUnit
    from descend.optim.step_plan import StepPlan

LONGEST_WAIT = 64
"""Steps by Python, at most, before what was of little use is made anew, which takes as long as some steps. The wait
doubles each time, and begins anew after a call that has taken as many steps as this."""


class Repetition:
    """Takes the steps of a plan that are like the last one, each in one compiled call.

    It is *armed* by a step that Python has taken, and disarmed as soon as Python takes over another: the call knows
    which batches stepped, and compares which tensors have gradients with the last step's. ``optimizer._repeat`` is the
    function that takes a step while it is armed, else None.

    Args:
        optimizer: whose.
        plan: its plan.
    """

    def __init__(self, optimizer: "Optimizer", plan: "StepPlan") -> None:
        self._optimizer = optimizer
        served = plan.compiled and all(isinstance(unit, Unit) and unit.repeats for unit in plan.units)
        calm = not (plan.shared.exist or plan.unscales or plan.counts_lost)
        self._possible = served and calm and bool(plan.units)
        groups, (_, values) = optimizer.param_groups, plan.contents
        self._courses = Courses(optimizer.clock, groups, plan.batches, values, plan.numbers, optimizer.rule)
        self._call: Callable[[], int] | None = None
        self._made_for: tuple[Any, ...] = ()
        self._surroundings = Contents([], plan.compiled)
        self._wait = self._left = self._taken = self._since = 0

    def disarm(self) -> None:
        """Python takes over."""
        self._optimizer._repeat = None
        self._courses.forget()

    def drop(self) -> None:
        """The plan is given up: hold nothing any longer."""
        self.disarm()
        self._possible, self._call, self._made_for = False, None, ()
        self._surroundings.let_go()  # the optimizer's attributes, the plan among them

    def arm(self, plan: "StepPlan", units: "list[Unit | RowUnit]") -> None:
        """Python has taken a step: be ready for another of this kind.

        Args:
            plan: of the step.
            units: the batches that stepped.
        """
        optimizer, done = self._optimizer, self._optimizer.clock.updates
        self._taken, self._since = self._taken + max(done - self._since - 1, 0), done
        hooks = [
            optimizer._optimizer_step_pre_hooks,
            optimizer._optimizer_step_post_hooks,
            torch_optimizer._global_optimizer_pre_hooks,
            torch_optimizer._global_optimizer_post_hooks,
        ]
        demands = "found_inf" in optimizer.__dict__ or "grad_scale" in optimizer.__dict__
        if not self._possible or plan.live or any(hooks) or demands or optimizer.look_ahead.wanted:
            return
        schedules = list(chain.from_iterable(_list_nested(group.get("schedules")) for group in optimizer.param_groups))
        asked: list[Container] = [optimizer.__dict__, optimizer.wide, *hooks, *schedules]
        threads, places = team.describe(), [unit.places for unit in plan.batches]
        made_for = units, threads, places, list(map(id, asked))
        if made_for == self._made_for:
            self._set_function(bool(schedules))
            if self._surroundings.are_same():
                return
        if self._must_wait():
            optimizer._repeat = None
            return
        if made_for != self._made_for:
            self._surroundings.let_go()
            self._made_for, self._surroundings = made_for, Contents(asked, compiled=True)
            self._call = self._make(plan, threads)
        self._set_function(bool(schedules))
        self._surroundings.renew()

    def _set_function(self, follows: bool) -> None:
        """What takes the next step; it is among the surroundings."""
        self._optimizer._repeat = self._follow if follows and self._call else self._call

    def _must_wait(self) -> bool:
        """Whether Python goes on, since the last calls were of little use."""
        if self._taken >= LONGEST_WAIT:
            self._left = self._wait = 0
        if self._left:
            self._left -= 1
            return True
        self._left, self._wait, self._taken = self._wait, min(2 * self._wait + 1, LONGEST_WAIT), 0
        return False

    def _make(self, plan: "StepPlan", threads: dict[str, int] | None) -> Callable[[], int] | None:
        return repetition.make(
            contents=[self._surroundings, *plan.contents],
            batches=[unit.describe() for unit in plan.batches],
            totals=plan.totals,
            guarded=self._optimizer.wide["on_nonfinite"] != "apply",
            threads=threads,
            updates=self._optimizer.clock.count,
            until=self._optimizer._lost_updates.at,
        )

    def take(self, plan: "StepPlan") -> int:
        """Take a step whose groups' values the plan has taken over; returns the ``Outcome``."""
        armed = self._call is not None and self._optimizer._repeat is not None and not plan.live
        self._courses.forget()
        return self._call() if armed and self._call else 0

    def _follow(self) -> int:
        """Take a step for which schedules have other values, but nothing else has."""
        if self._call is None or not self._courses.write():
            return 0
        outcome = self._call()
        if outcome:
            self._courses.settle()
        else:
            self._courses.take_back()
        return outcome


def _list_nested(data: Any) -> list[Container]:
    """Every list and dict in plain data."""
    if not isinstance(data, (list, dict)):
        return []
    inner = data.values() if isinstance(data, dict) else data
    return [data, *chain.from_iterable(map(_list_nested, inner))]
