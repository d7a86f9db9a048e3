"""One training run, from a seed to one record."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from descend.compare.contender import Contender
from descend.compare.protocol import Record, Trial
from descend.tasks import Data, Evaluation, Task

OnLook = Callable[[int, Evaluation], bool]

HOPELESS = 3.0
"""A run whose typical loss is this many times that of the untrained model will not come back."""
BLOWN_UP = 2.0
"""A loss this many times that of the untrained model is a blow-up, which a run may survive ..."""
PATIENCE = 0.25
"""... if it is better than the untrained model again after this part of its budget."""
RECOVERED = 0.02
"""Better means by this share: a dead network still learns how frequent each class is."""


def train(task: Task, data: Data, contender: Contender, trial: Trial, on_look: OnLook | None = None) -> Record:
    """Train one model and say how it went.

    The model's initial values and the order of the data depend on ``trial.seed`` alone. The caller's random
    generator is left as it was. The test part is read in the final stage only.

    Args:
        task: what is trained.
        data: of this task, loaded.
        contender: what trains it.
        trial: learning rate, seed and stage.
        on_look: called after each look at the validation part; returns whether to give the run up.

    Returns:
        plain numbers, strings and lists; ``docs/records.md`` says what each field means.
    """
    with torch.random.fork_rng(devices=[]):
        run = Run(contender.fit(task), data, contender, trial, on_look)
        run.train()
        return run.record()


class Run:
    """The state of one training run: what it has seen, and whether it goes on."""

    def __init__(
        self, task: Task, data: Data, contender: Contender, trial: Trial, on_look: OnLook | None = None
    ) -> None:
        self.task, self.data, self.contender, self.trial = task, data, contender, trial
        self.on_look = on_look
        torch.manual_seed(trial.seed)
        self.model = task.model()
        self.model.train()
        self.optimizer: torch.optim.Optimizer | None = None
        self.start = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.losses: list[float] = []
        self.steps: list[int] = []
        self.curve: list[Evaluation] = []
        self.diverged_at: int | None = None
        self.given_up = False
        self.reached_at: tuple[int, float] | None = None
        self.seconds = self.optimizer_seconds = self.first_step_seconds = 0.0
        self.together = 1
        self.state_bytes = 0

    def train(self) -> None:
        """All updates of the budget, or as many as it takes to see that the run diverges."""
        self.optimizer = optimizer = self.contender.build(self.model, self.trial.lr, self.task.steps)
        self.look(0)
        batches = self.task.stream(self.model, self.data.train, self.trial.seed)
        while self.goes_on:
            self.note(self.update(optimizer, next(batches)))
        self.state_bytes = state_bytes(optimizer)

    @property
    def goes_on(self) -> bool:
        """Whether there is an update to do."""
        return not self.given_up and self.diverged_at is None and len(self.losses) < self.task.steps

    def update(self, optimizer: torch.optim.Optimizer, batch: Any) -> float:
        """One update; the first is timed apart, because it may compile a kernel."""
        begin = perf_counter()
        optimizer.zero_grad()
        loss = self.task.batch_loss(self.model, batch)
        loss.backward()
        if self.task.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.task.clip_norm)
        before = perf_counter()
        optimizer.step()
        end = perf_counter()
        self.add_time(end - begin, end - before)
        return float(loss.detach())

    def add_time(self, whole: float, step: float) -> None:
        """Count the seconds of one update, ``step`` of them in the optimizer."""
        if not self.losses:
            self.first_step_seconds = step
            self.seconds += whole - step
        else:
            self.optimizer_seconds += step
            self.seconds += whole

    def note(self, loss: float, evaluation: Evaluation | None = None) -> None:
        """An update has been done: see whether the run is lost, look where it is time.

        Args:
            loss: of training.
            evaluation: what the look finds, where it has been taken already.
        """
        self.losses.append(loss)
        step = len(self.losses)
        if self.is_lost(step):
            self.diverge(step)
        elif self.looks_at(step):
            self.look(step, evaluation)

    def looks_at(self, step: int) -> bool:
        """Whether the validation part is looked at after so many updates."""
        return step % self.task.interval == 0 or step == self.task.steps

    @property
    def window(self) -> int:
        """After so many updates it is looked whether the losses say that the run has diverged."""
        return max(10, self.task.steps // 20)

    def is_quiet(self, step: int) -> bool:
        """Whether nothing but a loss that is not finite matters after so many updates."""
        return bool(step % self.window) and not self.looks_at(step)

    def is_lost(self, step: int) -> bool:
        """Whether the run has diverged.

        It has if its loss is not finite, stays far above that of the untrained model, or has blown up and
        not come back in time. What it stays at is the median over a twentieth of the budget, so that a spike,
        such as a large first step, is survived. A run that only learns slowly has never blown up.
        """
        if not math.isfinite(self.losses[-1]):
            return True
        if self.task.experience is not None:
            return False  # The loss measures what the model happens to meet; only better play tells.
        if step % self.window:
            return False
        first = self.losses[0]
        typical = median(self.losses[-self.window :])
        if typical > first + (HOPELESS - 1) * abs(first):
            return True
        late = step >= PATIENCE * self.task.steps
        blown_up = max(self.losses) > first + (BLOWN_UP - 1) * abs(first)
        return late and blown_up and typical > first - RECOVERED * abs(first)

    def look(self, step: int, evaluation: Evaluation | None = None) -> None:
        """Evaluate on the validation part, unless that has been done, and note what is found."""
        if evaluation is None:
            with find_evaluation(self.optimizer):
                evaluation = self.task.evaluate(self.model, self.data.validation)
        if not math.isfinite(evaluation.loss):
            self.diverge(step)
            return
        self.steps.append(step)
        self.curve.append(evaluation)
        target = self.task.target
        if self.reached_at is None and target is not None and self.task.score.reached(evaluation.metric, target):
            self.reached_at = (step, self.seconds)
        if self.on_look is not None and step:
            self.given_up = self.on_look(step, evaluation)

    def diverge(self, step: int) -> None:
        """Give up: from here on the run counts as the untrained model."""
        self.diverged_at = step
        with torch.no_grad():
            self.model.load_state_dict(self.start)

    def record(self) -> Record:
        """The run as one line of the file of results."""
        trial, diverged = self.trial, self.diverged_at is not None
        final = self.curve[0] if diverged else self.curve[-1]
        test = None
        if trial.stage == "final":
            with nullcontext() if diverged else find_evaluation(self.optimizer):
                test = self.task.evaluate(self.model, self.data.test)
        reached = None if diverged else self.reached_at
        return {
            "task": trial.task,
            "contender": trial.contender,
            "identity": trial.identity,
            "options": {key: repr(value) for key, value in self.contender.described.items()},
            "settings": self.contender.settings(trial.lr, self.task.steps),
            "lr": trial.lr,
            "trial": trial.number,
            "values": dict(trial.values),
            "seed": trial.seed,
            "stage": trial.stage,
            "pruned": self.given_up and len(self.losses) < self.task.steps,
            "diverged": diverged,
            "diverged_at": self.diverged_at,
            "steps": self.steps,
            "train_loss": self.train_loss(),
            "validation_losses": [e.loss for e in self.curve],
            "validation_metrics": [e.metric for e in self.curve],
            "validation_loss": final.loss,
            "validation_metric": final.metric,
            "test_loss": None if test is None else test.loss,
            "test_metric": None if test is None else test.metric,
            "steps_to_target": None if reached is None else reached[0],
            "seconds_to_target": None if reached is None else round(reached[1], 6),
            "updates": len(self.losses),
            "seconds": round(self.seconds, 6),
            "optimizer_seconds": round(self.optimizer_seconds, 6),
            "first_step_seconds": round(self.first_step_seconds, 6),
            "together": self.together,
            "state_bytes": self.state_bytes,
            "parameters": count_parameters(self.model),
        }

    def train_loss(self) -> list[float]:
        """Mean training loss between one look and the next; one value fewer than there are looks."""
        pairs = zip(self.steps, self.steps[1:], strict=False)
        return [math.fsum(self.losses[a:b]) / (b - a) for a, b in pairs]


def find_evaluation(optimizer: torch.optim.Optimizer | None) -> AbstractContextManager[None]:
    """Within it the model is where the method says it should be measured; torch's methods have no such place."""
    return getattr(optimizer, "evaluation", nullcontext)()


def state_bytes(optimizer: torch.optim.Optimizer) -> int:
    """Bytes of state that the optimizer keeps for its parameters."""
    own = getattr(optimizer, "state_bytes", None)
    if own is not None:
        return int(own())
    values = (value for state in optimizer.state.values() for value in state.values())
    return sum(value.numel() * value.element_size() for value in values if isinstance(value, Tensor))


def count_parameters(model: nn.Module) -> int:
    """Trainable numbers of the model."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
