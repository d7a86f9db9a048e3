"""Which charts a comparison has, and what each of them says: titles, units, points and tables."""

from collections.abc import Sequence
from dataclasses import dataclass

from descend.compare import Comparison, TaskResult
from descend.draw.series import Axis, Curve, find_axis, find_test_axis, learning_curves, sensitivity_curves, time_points
from descend.draw.sweeps import sweep_curves, sweep_values


@dataclass(frozen=True)
class Across:
    """The horizontal axis: its name, scale and unit, or the names of its places from 0 on."""

    label: str
    log: bool = False
    unit: str = ""
    names: Sequence[str] = ()

    def show(self, value: float) -> str:
        """A place for people."""
        return self.names[int(value)] if self.names else f"{value:.4g}{self.unit}"


@dataclass(frozen=True)
class Chart:
    """One chart of curves or points.

    Attributes:
        name: of its files.
        title: without the task, which stands before it in files.
        caption: what marks and bands mean.
        joined: whether lines join the points.
        markers: whether the points are marked.
        stepped: whether a curve stays where it is until its next point.
        legend: whether the chart needs a legend of its own, because its curves are not the contenders.
    """

    name: str
    task: str
    title: str
    caption: str
    across: Across
    axis: Axis
    curves: Sequence[Curve]
    joined: bool = True
    markers: bool = True
    legend: bool = False
    stepped: bool = False

    @property
    def heading(self) -> str:
        """The title with its task."""
        return f"{self.task}: {self.title}" if self.task else self.title

    def describe(self, curve: Curve, i: int) -> str:
        """What the pointer is told at one point, in lines: who, where, how much."""
        low, high = sorted((curve.low[i], curve.high[i]), reverse=self.axis.as_error)
        told = [curve.title, f"{self.across.label}: {self.across.show(curve.x[i])}"]
        name = self.axis.part if self.axis.metric is None else f"{self.axis.part} {self.axis.metric.name}"
        told.append(f"{name}: {self.axis.show(curve.mean[i])}")
        if low != high:
            told.append(f"{curve.band}: {self.axis.show(low)} to {self.axis.show(high)}")
        if curve.notes and curve.notes[i]:
            told.append(curve.notes[i])
        if curve.lost and curve.lost[i]:
            told.append("runs diverged")
        if curve.pruned and curve.pruned[i]:
            told.append("pruned: the value is the last before")
        if curve.x[i] == curve.chosen:
            told.append("chosen")
        return "\n".join(told)

    @staticmethod
    def _remark(curve: Curve, i: int) -> str:
        """What there is to say of a point beside its numbers."""
        flags = {"pruned": curve.pruned, "diverged": curve.lost}
        told = [word for word, flag in flags.items() if flag and flag[i]]
        if curve.x[i] == curve.chosen:
            told.append("chosen")
        return "; ".join([*curve.notes[i : i + 1], *told]).strip("; ")

    def tabulate(self) -> tuple[list[str], list[list[str]]]:
        """Head and rows of the same numbers as a table, for those who cannot see the chart."""
        if not self.joined:
            points = [(curve, i) for curve in self.curves for i in range(len(curve.x))]
            rows = [
                [c.title, self.across.show(c.x[i]), self.axis.show(c.mean[i]), self._remark(c, i)] for c, i in points
            ]
            kept = slice(None) if any(row[-1] for row in rows) else slice(-1)
            return ["optimizer", self.across.label, self.axis.part, "remark"][kept], [row[kept] for row in rows]
        at = [dict(zip(curve.x, curve.mean, strict=True)) for curve in self.curves]
        places = sorted({x for own in at for x in own})
        rows = [[self.across.show(x), *(self.axis.show(own[x]) if x in own else "–" for own in at)] for x in places]
        return [self.across.label, *(curve.title for curve in self.curves)], rows


def chart_curves(result: TaskResult) -> Chart:
    """Validation metric over the updates of the final runs."""
    caption = "Mean of the final runs at the chosen learning rate; the band reaches from the worst to the best seed."
    return Chart(
        "curves",
        result.task.name,
        "learning curves",
        caption,
        Across("updates"),
        find_axis(result),
        learning_curves(result),
        markers=False,
    )


def chart_sensitivity(result: TaskResult) -> Chart:
    """Validation metric over the learning rates of the search."""
    sampled = result.protocol.search != "grid"
    over = "a bar over its seeds. Small and hollow: pruned" if sampled else "the band over their seeds"
    caption = f"Mean of the search runs, with {over}. Ring: chosen. Cross: runs diverged."
    return Chart(
        "sensitivity",
        result.task.name,
        "sensitivity to the learning rate",
        caption,
        Across("learning rate", log=True),
        find_axis(result),
        sensitivity_curves(result),
        joined=not sampled,
    )


def chart_times(result: TaskResult) -> Chart:
    """Test metric over the seconds of a run."""
    axis = find_test_axis(result)
    low = axis.as_error or not result.task.score.higher_is_better
    caption = (
        "Each optimizer after the same number of updates: height, its 95 % interval over seeds; width, its fastest "
        f"and slowest run. Seconds are without evaluations. Best: {'bottom' if low else 'top'} left."
    )
    return Chart(
        "times",
        result.task.name,
        "time against quality",
        caption,
        Across("training time (s)", unit=" s"),
        axis,
        time_points(result),
        joined=False,
    )


def chart_sweeps(result: TaskResult) -> list[Chart]:
    """One chart for each setting that was varied."""
    caption = "Test metric with its 95 % interval over seeds; every point has had a search of its own."
    return [
        Chart(
            f"sweep-{key}",
            result.task.name,
            f"effect of {key}",
            caption,
            Across(key, names=values),
            find_test_axis(result),
            sweep_curves(result, key),
            legend=True,
        )
        for key, values in sweep_values(result).items()
    ]


def task_charts(result: TaskResult) -> list[Chart]:
    """All charts of one task but the heat map of its trials."""
    return [chart_curves(result), chart_sensitivity(result), chart_times(result), *chart_sweeps(result)]


def chart_profiles(comparison: Comparison) -> Chart | None:
    """Performance profiles over the tasks with targets; None for fewer than two."""
    curves: list[Curve] = []
    for profile in comparison.profiles():
        names = [entry.name for entry in comparison.results[0].contenders]
        index = names.index(profile.name)
        low, high = profile.low or profile.shares, profile.high or profile.shares
        title = comparison.results[0].contenders[index].title
        curves.append(
            Curve(
                profile.name, title, index, profile.ratios, profile.shares, low, high, band="95 % interval over tasks"
            )
        )
    if not curves:
        return None
    caption = (
        "Share of the tasks on which an optimizer reached the target within so many times the updates of the fastest "
        "(Dolan and Moré 2002). Higher is better; at 1 stands how often it was the fastest."
    )
    across = Across("updates, as a multiple of the fastest", log=True, unit="×")
    axis = Axis(None, "share of tasks")
    return Chart("profiles", "", "performance profiles", caption, across, axis, curves, stepped=True)
