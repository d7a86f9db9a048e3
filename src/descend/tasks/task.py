"""One workload: everything about a training run but the optimizer."""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from descend.errors import DataError, TaskError, message
from descend.tasks.data import Data, Part, arrange
from descend.tasks.metric import Metric
from descend.tasks.package import Package

NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
EVALUATIONS = 20
"""Looks at the validation part in one run, where a task does not say how often."""
ROWS_AT_ONCE = 2048
"""Rows that are evaluated together, so that a large part needs little memory."""


@dataclass(frozen=True)
class Evaluation:
    """Loss and metric of a model on one part of the data."""

    loss: float
    metric: float


@dataclass(frozen=True)
class Facts:
    """What a person wants to know before starting a task.

    Attributes:
        examples: how many examples of what, in words.
        parameters: trainable numbers of the model.
        seconds: one run on one thread of an ordinary CPU, evaluations included.
        licence: of the data, and where they come from.
    """

    examples: str
    parameters: int
    seconds: float
    licence: str


@dataclass(frozen=True, kw_only=True)
class Task:
    """A workload on which optimizers are compared: data, model, loss, metric, budget, target.

    Args:
        name: lower-case letters, digits, ``.``, ``_`` and ``-``; names its folder of results.
        data: returns ``(inputs, targets)``, which are split 60/20/20 with a fixed seed, or three such pairs
            for training, validation and test, or a ``Data``. It must return the same values at every call.
        model: returns a new model; its initial values come from torch's global generator, seeded before the
            call.
        loss: (outputs, targets) -> a scalar, the mean over the batch.
        steps: updates in one run, at least 1.
        batch_size: examples in one update, at least 1.
        metric: what is compared; a plain function counts as "higher is better"; the loss itself when None.
        target: the value of the metric that counts as "trained", for the column of steps to target.
        evaluate_every: updates between two looks at the validation part; a twentieth of ``steps`` by default.
        card: one paragraph for people: what it is, where the data come from, what to expect.
        objective: (model, batch) -> the scalar to differentiate, where a loss needs more than outputs and
            targets; ``loss`` then serves evaluation alone.
        experience: (model, training part, seed) -> batches without end, for data that come from acting: the
            generator acts with the model as it is and resumes after each update. Its batches may be of any
            type that ``objective`` takes.
        predict: (model, part) -> outputs for the whole part, where evaluating is more than ``model(inputs)``.
        clip_norm: part of the recipe: gradients are scaled down to this norm before each update.
        sparse: some gradients are sparse, so only methods that serve these can train it.
        packages: what its data are unpacked from; see :func:`descend.tasks.get`.
        facts: size, time and licence, for lists.

    Raises:
        TaskError: a value is out of range or of the wrong kind.
    """

    name: str
    data: Callable[[], Any]
    model: Callable[[], nn.Module]
    loss: Callable[[Any, Any], Tensor]
    steps: int = 300
    batch_size: int = 64
    metric: Any = None
    target: float | None = None
    evaluate_every: int | None = None
    card: str = ""
    objective: Callable[..., Tensor] | None = None
    experience: Callable[..., Iterator[Any]] | None = None
    predict: Callable[..., Tensor] | None = None
    clip_norm: float | None = None
    sparse: bool = False
    packages: tuple[Package, ...] = ()
    facts: Facts | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            allowed = "lower-case letters, digits, '.', '_' and '-', such as 'my-task'"
            raise TaskError(message("name of a task", got=self.name, allowed=allowed))
        for field in ("data", "model", "loss"):
            value = getattr(self, field)
            if not callable(value) or (isinstance(value, nn.Module) and field == "model"):
                do = f"Pass a function: {field}=lambda: ..." if field != "loss" else "Pass a function of two tensors."
                raise TaskError(message(f"{field} of task {self.name!r}", got=type(value).__name__, do=do))
        for field in ("objective", "experience", "predict"):
            value = getattr(self, field)
            if value is not None and not callable(value):
                allowed = "a function, None"
                raise TaskError(message(f"{field} of task {self.name!r}", got=type(value).__name__, allowed=allowed))
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise TaskError(message(f"clip_norm of task {self.name!r}", got=self.clip_norm, allowed="above 0, None"))
        for field in ("steps", "batch_size", "evaluate_every"):
            value = getattr(self, field)
            if value is None and field == "evaluate_every":
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise TaskError(message(f"{field} of task {self.name!r}", got=value, allowed="an integer from 1"))
        if self.target is not None and not math.isfinite(self.target):
            raise TaskError(message(f"target of task {self.name!r}", got=self.target, allowed="a finite number, None"))
        if self.metric is not None and not callable(self.metric) and not isinstance(self.metric, Metric):
            allowed = "a function of outputs and targets, a descend.tasks.Metric, None"
            raise TaskError(message(f"metric of task {self.name!r}", got=type(self.metric).__name__, allowed=allowed))

    @property
    def score(self) -> Metric:
        """The metric, whichever way it was given."""
        if isinstance(self.metric, Metric):
            return self.metric
        if self.metric is None:
            return Metric("loss", self.loss, higher_is_better=False)
        return Metric(getattr(self.metric, "__name__", "metric"), self.metric)

    @property
    def interval(self) -> int:
        """Updates between two looks at the validation part."""
        return self.evaluate_every or max(1, math.ceil(self.steps / EVALUATIONS))

    @property
    def missing(self) -> tuple[Package, ...]:
        """The packages of its data that are not here."""
        return tuple(package for package in self.packages if not package.present)

    def load(self) -> Data:
        """The data in three parts.

        Raises:
            DataError: they have not been fetched, or are damaged.
            TaskError: ``data()`` returned something else than the three forms that are understood.
        """
        if self.missing:
            names = ", ".join(f"{one.name} {one.version}, {one.megabytes:g} MB" for one in self.missing)
            do = f"Run: descend tasks get {self.name}"
            raise DataError(message(f"the data of task {self.name!r} are not here ({names})", do=do))
        return arrange(self.data(), self.name)

    def batches(self, part: Part, seed: int) -> Iterator[Part]:
        """Batches without end: every epoch in a new order, drawn from a generator of its own.

        The order depends on the seed and the number of examples alone, so all optimizers see the same one.
        The rest of an epoch that does not fill a batch is left out; all batches have one size.
        """
        generator = torch.Generator().manual_seed(seed)
        size = min(self.batch_size, len(part))
        while True:
            order = torch.randperm(len(part), generator=generator)
            for start in range(0, len(part) - size + 1, size):
                yield part.batch(order[start : start + size])

    def stream(self, model: nn.Module, part: Part, seed: int) -> Iterator[Any]:
        """What the updates of one run are made from: :meth:`batches`, or experience that the model gains."""
        return self.batches(part, seed) if self.experience is None else self.experience(model, part, seed)

    def batch_loss(self, model: nn.Module, batch: Any) -> Tensor:
        """Loss of one batch, to be differentiated."""
        if self.objective is not None:
            return self.objective(model, batch)
        return self.loss(model(batch.inputs), batch.targets)

    @torch.no_grad()
    def evaluate(self, model: nn.Module, part: Part) -> Evaluation:
        """Loss and metric on a whole part, in evaluation mode; the model's mode is put back afterwards."""
        training = model.training
        model.eval()
        outputs = self._outputs(model, part)
        model.train(training)
        return self.judge(outputs, part)

    def judge(self, outputs: Tensor, part: Part) -> Evaluation:
        """Loss and metric of a model's outputs on a whole part."""
        return Evaluation(float(self.loss(outputs, part.targets)), float(self.score.compute(outputs, part.targets)))

    def _outputs(self, model: nn.Module, part: Part) -> Tensor:
        if self.predict is not None:
            return self.predict(model, part)
        return torch.cat([model(piece.inputs) for piece in part.pieces(ROWS_AT_ONCE)])
