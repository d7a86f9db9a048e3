"""The numbers behind the charts, ready to be drawn or shown as a table."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from descend.compare import TaskResult
from descend.compare.protocol import Record
from descend.tasks import Metric

LEAST_ERROR = 1e-3
"""Errors below are drawn here: a logarithmic axis has no zero."""


@dataclass(frozen=True)
class Axis:
    """The vertical axis of a chart of metrics.

    A share of correct answers is drawn as an error rate on a logarithmic axis, on which 96 and 98 % are as
    far apart as 60 and 80 %; every other metric as it is.
    """

    metric: Metric
    target: float | None

    @property
    def as_error(self) -> bool:
        """Whether one minus the metric is drawn."""
        return self.metric.percent and self.metric.higher_is_better

    @property
    def log(self) -> bool:
        """Whether the axis is logarithmic."""
        return self.as_error

    @property
    def label(self) -> str:
        """Name and unit."""
        if self.as_error:
            return f"validation error (100 % − {self.metric.name})"
        return f"validation {self.metric.name}" + (" (%)" if self.metric.percent else "")

    def place(self, value: float) -> float:
        """Where a value of the metric is drawn."""
        return max(1 - value, LEAST_ERROR) if self.as_error else value

    def tick(self, value: float) -> str:
        """The text at a tick."""
        return f"{100 * value:g} %" if self.metric.percent else f"{value:g}"


@dataclass(frozen=True)
class Curve:
    """One contender in one chart; ``low`` and ``high`` are the least and greatest of its seeds."""

    name: str
    title: str
    index: int
    x: Sequence[float]
    mean: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    lost: Sequence[bool] = ()
    chosen: float | None = None


def learning_curves(result: TaskResult) -> tuple[Axis, list[Curve]]:
    """One curve a contender, over the final runs that did not diverge."""
    target = result.protocol.target
    axis = Axis(result.task.score, None)
    axis = Axis(result.task.score, None if target is None else axis.place(target))
    curves: list[Curve] = []
    for index, contender in enumerate(result.contenders):
        runs = [r for r in result.runs(contender.name, "final") if not r["diverged"]]
        if runs:
            steps = runs[0]["steps"]
            columns = [[axis.place(r["validation_metrics"][i]) for r in runs] for i in range(len(steps))]
            curves.append(_curve(contender.name, contender.title, index, steps, columns))
    return axis, curves


def sensitivity_curves(result: TaskResult) -> tuple[Axis, list[Curve]]:
    """One curve a contender, over the learning rates of its search; diverged runs count as untrained."""
    axis = Axis(result.task.score, None)
    chosen = {row.name: row.lr for row in result.rows}
    curves: list[Curve] = []
    for index, contender in enumerate(result.contenders):
        by_lr: dict[float, list[Record]] = {}
        for record in result.runs(contender.name, "search"):
            by_lr.setdefault(record["lr"], []).append(record)
        if by_lr:
            lrs = sorted(by_lr)
            columns = [[axis.place(r["validation_metric"]) for r in by_lr[lr]] for lr in lrs]
            lost = [any(r["diverged"] for r in by_lr[lr]) for lr in lrs]
            name = contender.name
            curves.append(_curve(name, contender.title, index, lrs, columns, lost, chosen.get(name)))
    return axis, curves


def _curve(
    name: str,
    title: str,
    index: int,
    x: Sequence[float],
    columns: Sequence[Sequence[float]],
    lost: Sequence[bool] = (),
    chosen: float | None = None,
) -> Curve:
    mean = [math.fsum(column) / len(column) for column in columns]
    return Curve(name, title, index, x, mean, [min(c) for c in columns], [max(c) for c in columns], lost, chosen)
