"""Steps that compiled code takes by itself, because nothing but the gradients has changed since the last one."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch.optim.optimizer as torch_optimizer

from descend.backends.cpu import repetition, team
from descend.backends.cpu.inspection.contents import Contents
from descend.optim.batches import Unit

if TYPE_CHECKING:
    from descend.optim.optimizer import Optimizer
    from descend.optim.row_unit import RowUnit
    from descend.optim.step_plan import StepPlan

LONGEST_WAIT = 64
"""Steps by Python at most before what has been of no use is made anew: making it takes as long as some steps."""


class Repetition:
    """Takes the steps of a plan that are like the last one, each in one compiled call.

    Args:
        optimizer: whose.
        plan: its plan.
    """

    def __init__(self, optimizer: "Optimizer", plan: "StepPlan") -> None:
        self._optimizer, self._plan = optimizer, plan
        served = plan.compiled and all(isinstance(unit, Unit) and unit.repeats for unit in plan.units)
        calm = not (plan.shared.exist or plan.unscales or plan.counts_lost)
        self._possible = served and calm and bool(plan.units)
        self._call: Callable[[], int] | None = None
        self._made_for: tuple[Any, ...] = ()
        self._wait = self._left = 0

    def prepare(self, units: "list[Unit | RowUnit]") -> None:
        """Python has taken a step: be ready for another of this kind.

        Args:
            units: the batches that stepped.
        """
        optimizer = self._optimizer
        # what a step asks beside the plan; a GradScaler writes its demands into the first
        asked = [
            optimizer.__dict__,
            optimizer.wide,
            optimizer._optimizer_step_pre_hooks,
            optimizer._optimizer_step_post_hooks,
            torch_optimizer._global_optimizer_pre_hooks,
            torch_optimizer._global_optimizer_post_hooks,
        ]
        if not self._possible or self._plan.live or optimizer.look_ahead.wanted or any(asked[2:]):
            return
        threads, places = team.describe(), [unit.places for unit in self._plan.batches]
        made_for = units, threads, places
        if self._call is not None and made_for == self._made_for and self._surroundings.are_same():
            return
        if self._left:
            self._left -= 1
            return
        self._left, self._wait = self._wait, min(2 * self._wait + 1, LONGEST_WAIT)
        self._made_for = made_for
        self._surroundings = Contents(asked, compiled=True)
        self._call = repetition.make(
            contents=[self._surroundings, *self._plan.contents],
            batches=[unit.describe() for unit in self._plan.batches],
            totals=self._plan.totals,
            guarded=optimizer.wide["on_nonfinite"] != "apply",
            threads=threads,
            updates=optimizer.clock.count,
            until=optimizer._lost_updates.at,
        )
        optimizer._repeat = None if any("schedules" in group for group in optimizer.param_groups) else self._call
        self._surroundings.renew()

    def take(self) -> int:
        """Take a step whose groups' values the plan has taken over; returns the ``Outcome``."""
        return 0 if self._call is None else self._call()
