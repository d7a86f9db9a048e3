"""The numbers behind the charts, ready to be drawn, told at the pointer or shown as a table."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from descend.compare import TaskResult
from descend.compare.protocol import Record, group_by_trial
from descend.tasks import Metric

LEAST_ERROR = 1e-3
"""Errors below are drawn here where nothing finer was seen: a logarithmic axis has no zero."""
ROOM = 0.15
"""How far beyond the untrained model an axis reaches, as a share of what training gains."""


@dataclass(frozen=True)
class Axis:
    """The vertical axis of a chart.

    A share of correct answers is drawn as an error rate on a logarithmic axis, on which 96 and 98 % are as
    far apart as 60 and 80 %; every other metric as it is.

    Attributes:
        metric: what is drawn; None for plain shares, from 0 to 1.
        part: of the data, or another word before the metric's name.
        target: what counts as trained, as it is drawn.
        least: where an error of zero is drawn.
        untrained: the mean of the untrained models as it is drawn; what is much worse is cut off.
    """

    metric: Metric | None
    part: str = "validation"
    target: float | None = None
    least: float = LEAST_ERROR
    untrained: float | None = None

    @property
    def as_error(self) -> bool:
        """Whether one minus the metric is drawn."""
        return self.metric is not None and self.metric.percent and self.metric.higher_is_better

    @property
    def log(self) -> bool:
        """Whether the axis is logarithmic."""
        return self.as_error

    @property
    def label(self) -> str:
        """Name and unit."""
        if self.metric is None:
            return self.part
        if self.as_error:
            return f"{self.part} error (100 % − {self.metric.name})"
        return f"{self.part} {self.metric.name}" + (" (%)" if self.metric.percent else "")

    def place(self, value: float) -> float:
        """A value of the metric as it is drawn."""
        return 1 - value if self.as_error else value

    def tick(self, value: float) -> str:
        """The text at a tick."""
        return f"{100 * value:g} %" if self.metric is None or self.metric.percent else f"{value:g}"

    def show(self, place: float) -> str:
        """The metric's value at a place, for people."""
        if self.metric is None:
            return f"{100 * place:.0f} %"
        return self.metric.show(1 - place if self.as_error else place)

    def clip(self, places: Sequence[float]) -> list[float]:
        """The places with every zero of a logarithmic axis at its least value."""
        return [max(place, self.least) for place in places] if self.log else list(places)


@dataclass(frozen=True)
class Curve:
    """One contender in one chart; ``low`` and ``high`` bound its band, ``band`` says what that is.

    ``index`` is the contender's place in the comparison, which decides how it looks. ``x_low`` and ``x_high`` are
    the ends of horizontal bars, where a chart has them. ``pruned`` says which points were given up early, and
    ``notes`` what else there is to tell of each.
    """

    name: str
    title: str
    index: int
    x: Sequence[float]
    mean: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    lost: Sequence[bool] = ()
    chosen: float | None = None
    band: str = "seeds"
    x_low: Sequence[float] = ()
    x_high: Sequence[float] = ()
    pruned: Sequence[bool] = ()
    notes: Sequence[str] = ()


def find_axis(result: TaskResult) -> Axis:
    """The axis of the validation metric of a task."""
    plain, target = Axis(result.task.score), result.protocol.target
    own = [r for r in result.records if r["validation_metrics"]]
    first = [plain.place(r["validation_metrics"][0]) for r in own]
    errors = [e for r in own for v in r["validation_metrics"] if (e := plain.place(v)) > 1e-12]
    return Axis(
        result.task.score,
        target=None if target is None else plain.place(target),
        least=max(LEAST_ERROR, min(errors, default=0.0) / 2) if plain.log else LEAST_ERROR,
        untrained=math.fsum(first) / len(first) if first else None,
    )


def find_test_axis(result: TaskResult) -> Axis:
    """The axis of the test metric of a task's final runs."""
    axis = Axis(result.task.score, "test")
    errors = [axis.place(row.score.mean) for row in result.rows if row.score is not None]
    least = min((e for e in errors if e > 1e-12), default=0.0) / 4
    return Axis(result.task.score, "test", least=max(LEAST_ERROR, least))


def learning_curves(result: TaskResult) -> list[Curve]:
    """One curve a contender, over the final runs that did not diverge."""
    axis = find_axis(result)
    curves: list[Curve] = []
    for index, contender in enumerate(result.contenders):
        runs = [r for r in result.runs(contender.name, "final") if not r["diverged"]]
        if runs:
            steps = runs[0]["steps"]
            columns = [[axis.place(r["validation_metrics"][i]) for r in runs] for i in range(len(steps))]
            curves.append(_curve(contender.name, contender.title, index, steps, columns))
    return curves


def sensitivity_curves(result: TaskResult) -> list[Curve]:
    """One curve a contender, over the learning rates of its search; diverged runs count as untrained."""
    axis = find_axis(result)
    chosen = {row.name: row.lr for row in result.rows}
    curves: list[Curve] = []
    for index, contender in enumerate(result.contenders):
        trials = group_by_trial(result.runs(contender.name, "search"))
        if trials:
            columns = [[axis.place(r["validation_metric"]) for r in runs] for runs in trials]
            lost = [any(r["diverged"] for r in runs) for runs in trials]
            rates, name = [runs[0]["lr"] for runs in trials], contender.name
            curve = _curve(name, contender.title, index, rates, columns, lost, chosen.get(name))
            pruned = [any(r["pruned"] for r in runs) for runs in trials]
            curves.append(replace(curve, pruned=pruned, notes=[tell_values(runs[0]) for runs in trials]))
    return curves


def tell_values(record: Record) -> str:
    """What a sampler chose beside the learning rate: ``weight_decay=0.01, schedule=cosine``."""
    return ", ".join(f"{name}={value}" for name, value in record["values"].items())


def time_points(result: TaskResult) -> list[Curve]:
    """One point a contender: seconds of a final run and the test metric, with the interval over seeds."""
    axis = find_test_axis(result)
    rows = {row.name: row for row in result.rows}
    points: list[Curve] = []
    for index, contender in enumerate(result.contenders):
        row = rows[contender.name]
        seconds = [r["seconds"] for r in result.runs(contender.name, "final") if not r["diverged"]]
        if row.score is None or row.seconds is None:
            continue
        bounds = [row.score.mean] if row.score.count == 1 else [row.score.low, row.score.high]
        ends = sorted(map(axis.place, bounds))
        points.append(
            Curve(
                contender.name,
                contender.title,
                index,
                [row.seconds],
                [axis.place(row.score.mean)],
                [ends[0]],
                [ends[-1]],
                band="95 % interval",
                x_low=[min(seconds)],
                x_high=[max(seconds)],
            )
        )
    return points


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
