"""Two places of the parameters: where gradients are taken, and where the model is measured and used.

A method whose rule has an ``evaluation`` (the schedule-free ones) trains at one point and is used at another. The
other is computed from the rule's own relation, by the same backends as a step; the first is kept meanwhile, so that
training goes on to the bit as if nobody had looked.
"""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from warnings import warn

import numpy as np
import torch
from torch import Tensor, nn

from descend.errors import OptionError, message
from descend.lang.rule import Rule

if TYPE_CHECKING:
    from descend.optim.batches import Unit
    from descend.optim.optimizer import Optimizer
    from descend.optim.step_plan import StepPlan

KEY = "y"
"""The state that holds where a parameter is trained, while the optimizer is in evaluation mode."""
MODE = "train_mode"
"""The key of each group that says whether its parameters are where they are trained."""


def start_mode(rule: Rule) -> dict[str, bool]:
    """What a new group says of its mode."""
    return {MODE: True} if rule.evaluation else {}


def is_training(optimizer: "Optimizer") -> bool:
    """Whether the parameters are where gradients are taken."""
    return all(group.get(MODE, True) for group in optimizer.param_groups)


def _enter(optimizer: "Optimizer", plan: "StepPlan") -> None:
    """Write the point where the model is used into the parameters; keep the other as a state.

    Args:
        optimizer: in training mode, of a rule with ``evaluation``.
        plan: made for its present states.
    """
    for unit in plan.batches:
        reached = np.array([all(s is not None for s in kept) for kept in zip(*unit.batch.states.values(), strict=True)])
        for p, moves in zip(unit.params, reached, strict=True):
            if moves:  # a parameter that never had a gradient is the same at both
                optimizer._state[p][KEY] = p.detach().clone()
        if reached.any():
            _write_points(optimizer.rule, plan, unit, reached)
    for group in optimizer.param_groups:
        group[MODE] = False


def _write_points(rule: Rule, plan: "StepPlan", unit: "Unit", reached: np.ndarray) -> None:
    """Run a rule's evaluation over one batch."""
    # here, because importing descend should not import what steps
    from descend.backends.base import Batch, Runner
    from descend.backends.cpu.runner import CpuRunner
    from descend.backends.eager import EagerRunner
    from descend.lang.evaluation import build_evaluation
    from descend.optim.rows import Rows
    from descend.storage.rounding import NARROW

    groups = list(unit.groups.values())
    structure = replace(plan.structure(groups[0]), narrow=unit.params[0].dtype in NARROW)
    program = build_evaluation(rule, structure)
    places = {number: i for i, number in enumerate(unit.groups)}
    steps = np.array(unit.steps.numpy())
    rows = Rows(program, groups, [places[n] for n in unit.group_numbers], steps, plan.numbers.read)
    rows.assign(reached)
    states = {letter: unit.batch.states[letter] for letter in program.states}
    batch = Batch(
        program, unit.params, [None] * len(unit.params), states, steps, rows.of_tensor, rows.inputs, rows.count
    )
    runner: Runner = EagerRunner(batch)
    if unit.backend == "cpu":
        runner = CpuRunner(batch, rule.name)
        runner.set_params(list(map(Tensor.data_ptr, unit.params)))
        runner.set_states()
    runner.set_rows()
    runner.begin(np.zeros(len(program.totals)))
    with torch.no_grad():
        for index in range(len(program.passes)):
            runner.run(index)


@torch.no_grad()
def _leave(optimizer: "Optimizer") -> None:
    """Put the parameters back to where they are trained, to the bit."""
    for group in optimizer.param_groups:
        for p in group["params"]:
            if p in optimizer._state and KEY in optimizer._state[p]:
                p.copy_(optimizer._state[p].pop(KEY))
        group[MODE] = True


def refuse_step(optimizer: "Optimizer") -> None:
    """Refuse what must not happen to weights that are only for use.

    Raises:
        OptionError: in evaluation mode.
    """
    if optimizer.rule.evaluation and not is_training(optimizer):
        raise OptionError(
            message(
                f"{type(optimizer).__name__} is in evaluation mode: its parameters are the average, where no gradient "
                "belongs",
                do="Call optimizer.train() before the next forward pass, or evaluate within `with "
                "optimizer.evaluation():`, which comes back by itself",
            )
        )


class TwoPoints:
    """The switch that every optimizer has; most methods train where they are used, and it does nothing."""

    def eval(self: "Optimizer") -> None:  # type: ignore[misc]
        """Put the parameters to where the model is measured, used and saved; a second call does nothing.

        For most methods they are there anyway. The schedule-free ones train at one point and are used at another:
        call this beside ``model.eval()``, and ``train()`` beside ``model.train()``. A step in between is refused,
        and ``state_dict()`` records where the parameters were.
        """
        if self.rule.evaluation and is_training(self):
            _enter(self, self._make_plan(False))

    def train(self: "Optimizer") -> None:  # type: ignore[misc]
        """Put the parameters back to where gradients are taken, to the bit; a second call does nothing."""
        if self.rule.evaluation and not is_training(self):
            _leave(self)

    @contextmanager
    def evaluation(self: "Optimizer") -> Iterator[None]:  # type: ignore[misc]
        """Within the block the parameters are where the model is used; see ``eval()``. For every method."""
        was_training = is_training(self)
        self.eval()
        try:
            yield
        finally:
            if was_training:
                self.train()


def remind(optimizer: "Optimizer", params: Any) -> None:
    """Watch the model that an optimizer was given, if it was given one, for being measured where it trains."""
    if optimizer.rule.evaluation and isinstance(params, nn.Module):
        params.register_forward_pre_hook(Reminder(optimizer))


class Reminder:
    """Warns once when a model in evaluation mode is called while the optimizer still has it at the training point.

    Args:
        optimizer: whose model; not kept alive.
    """

    def __init__(self, optimizer: "Optimizer | None" = None) -> None:
        self._optimizer = None if optimizer is None else weakref.ref(optimizer)

    def __call__(self, module: nn.Module, _: Any) -> None:
        """Before a forward pass."""
        if module.training or self._optimizer is None or torch.compiler.is_compiling():
            return
        optimizer = self._optimizer()
        if optimizer is not None and is_training(optimizer) and optimizer._state:
            self._optimizer = None
            name = type(optimizer).__name__
            warn(
                f"The model is in evaluation mode, but {name} still has it where gradients are taken, which is not "
                "the average that it promises. Call optimizer.eval() beside model.eval(), or evaluate within `with "
                "optimizer.evaluation():`.",
                UserWarning,
                stacklevel=2,
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return Reminder, ()  # a copied or pickled model is no longer this optimizer's
