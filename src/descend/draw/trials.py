"""All trials of a search as a heat map: optimizer times learning rate, or trial where a sampler gave the rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from descend.compare import TaskResult
from descend.compare.protocol import Record, group_by_trial
from descend.draw.figures import Picture
from descend.draw.series import Axis, find_axis, tell_values
from descend.draw.style import ALONE, GRID, INK, Form, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCALE = "cividis"
"""A scale of colours that reads the same with every kind of colour vision."""


@dataclass(frozen=True)
class Cell:
    """One trial of one optimizer: mean validation metric over its seeds, and what became of its runs."""

    row: int
    column: int
    place: float
    text: str
    runs: int
    diverged: int
    chosen: bool
    lr: float
    pruned: bool = False
    note: str = ""


@dataclass(frozen=True)
class TrialMap:
    """The heat map of one task; it has the words of a chart.

    Attributes:
        columns: what is written under them: learning rates, or numbers of trials where a sampler chose the rates.
    """

    task: str
    titles: Sequence[str]
    columns: Sequence[str]
    sampled: bool
    cells: Sequence[Cell]
    axis: Axis
    name: str = "trials"
    title: str = "all trials of the search"
    legend: bool = False

    @property
    def heading(self) -> str:
        """The title with its task."""
        return f"{self.task}: {self.title}"

    @property
    def label(self) -> str:
        """What the numbers are."""
        metric = self.axis.metric
        assert metric is not None
        return f"validation {metric.name}" + (" in %" if metric.percent else "")

    @property
    def caption(self) -> str:
        """What colours and marks mean."""
        last = "Small: pruned" if self.sampled else "Blank: not tried"
        return f"Number: mean {self.label}; brighter is better. Cross: runs diverged. Frame: chosen. {last}."

    @property
    def across(self) -> str:
        """What the columns are."""
        return "trial" if self.sampled else "learning rate"

    def describe(self, cell: Cell) -> str:
        """What the pointer is told at a cell."""
        told = [self.titles[cell.row], f"learning rate: {cell.lr:g}", *([cell.note] if cell.note else [])]
        told.append(f"{self.label.removesuffix(' in %')}: {self.axis.show(cell.place)}")
        if cell.diverged:
            told.append(f"{cell.diverged} of {cell.runs} runs diverged")
        if cell.pruned:
            told.append("pruned: the value is the last before")
        return "\n".join([*told, "chosen"] if cell.chosen else told)

    def tabulate(self) -> tuple[list[str], list[list[str]]]:
        """Head and rows of the map as a table."""
        at = {(cell.row, cell.column): cell for cell in self.cells}
        rows: list[list[str]] = []
        for row, title in enumerate(self.titles):
            own = [at.get((row, column)) for column in range(len(self.columns))]
            rows.append([title, *("–" if cell is None else self._tell(cell) for cell in own)])
        return ["optimizer", *self.columns], rows

    def _tell(self, cell: Cell) -> str:
        lost = f" ({cell.diverged} of {cell.runs} diverged)" if cell.diverged else ""
        rate = f" at {cell.lr:g}" if self.sampled else ""
        return self.axis.show(cell.place) + rate + lost + (" (pruned)" if cell.pruned else "")


def map_trials(result: TaskResult) -> TrialMap:
    """The heat map of one task's search."""
    axis, metric = find_axis(result), result.task.score
    sampled = result.protocol.search != "grid"
    found = [group_by_trial(result.runs(contender.name, "search")) for contender in result.contenders]
    places: list[float] = sorted({_find_place(runs, sampled) for own in found for runs in own})
    chosen = {row.name: row.lr for row in result.rows}
    cells: list[Cell] = []
    for row, (contender, own) in enumerate(zip(result.contenders, found, strict=True)):
        for runs in own:
            value = math.fsum(r["validation_metric"] for r in runs) / len(runs)
            text = f"{100 * value:.0f}" if metric.percent else f"{value:.2g}"
            lost, lr = sum(r["diverged"] for r in runs), runs[0]["lr"]
            pruned, column = any(r["pruned"] for r in runs), places.index(_find_place(runs, sampled))
            best = chosen[contender.name] == lr and not pruned
            cell = Cell(row, column, axis.place(value), text, len(runs), lost, best, lr, pruned, tell_values(runs[0]))
            cells.append(cell)
    columns = [f"{place:g}" for place in places]
    return TrialMap(result.task.name, [c.title for c in result.contenders], columns, sampled, cells, axis)


def _find_place(runs: Sequence[Record], sampled: bool) -> float:
    return runs[0]["trial"] + 1 if sampled else runs[0]["lr"]


def draw_trials(trials: TrialMap, form: Form = ALONE) -> Picture:
    """The heat map in one form; it grows with the number of optimizers."""
    with styled(form.text):
        from matplotlib.figure import Figure

        height = max(form.height * 0.6, 0.9 + 0.27 * len(trials.titles) + (0.4 if form.alone else 0))
        figure = Figure(figsize=(form.width, height), layout="constrained")
        axes = figure.subplots()
        shades = _shade(trials)
        fits = _count_letters(trials, form)
        for cell, shade in zip(trials.cells, shades, strict=True):
            _draw_cell(axes, cell, shade, form, room=len(cell.text) <= fits)
        _label(axes, trials, form, fits)
        return Picture(figure, [(cell.row, cell.column, cell.row) for cell in trials.cells])


def _count_letters(trials: TrialMap, form: Form) -> float:
    """How many letters fit into the width of a cell, as wide as digits are on average, beside the names."""
    letter = 0.62 * form.text / 72
    names = max(map(len, trials.titles), default=0) * letter
    return max(0.5, (form.width - names) / max(1, len(trials.columns)) / letter)


def _shade(trials: TrialMap) -> list[float]:
    """How good each cell is, from 0 (the untrained model, or worse) to 1 (the best)."""
    axis = trials.axis
    measure = (lambda place: math.log(max(place, axis.least))) if axis.log else (lambda place: place)
    falls = axis.log or (axis.metric is not None and not axis.metric.higher_is_better)
    values = [measure(cell.place) for cell in trials.cells]
    if not values:
        return []
    best = min(values) if falls else max(values)
    worst = max(values) if falls else min(values)
    if axis.untrained is not None and abs(measure(axis.untrained) - best) > 1e-12:
        worst = measure(axis.untrained)
    span = worst - best
    return [0.5 if span == 0 else min(1.0, max(0.0, (worst - value) / span)) for value in values]


def _draw_cell(axes: Axes, cell: Cell, shade: float, form: Form, room: bool) -> None:
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    gid, corner, size = f"series-{cell.row}", (cell.column - 0.47, cell.row - 0.46), (0.94, 0.92)
    color = colormaps[SCALE](shade) if cell.diverged < cell.runs else GRID
    if cell.pruned:
        corner, size = (cell.column - 0.2, cell.row - 0.2), (0.4, 0.4)
    axes.add_patch(Rectangle(corner, *size, facecolor=color, linewidth=0, gid=f"{gid}-cell"))
    if cell.chosen:
        frame = Rectangle(corner, *size, fill=False, edgecolor=INK, linewidth=1.8, zorder=3, gid=f"{gid}-best")
        axes.add_patch(frame)
    all_lost = cell.diverged == cell.runs
    ink = "#111111" if shade > 0.5 else "#ffffff"
    if cell.diverged:
        at = (cell.column, cell.row) if all_lost else (cell.column + 0.36, cell.row - 0.3)
        large, mark = (6, INK) if all_lost else (3, ink)
        axes.plot(*([v] for v in at), "x", color=mark, markersize=large, markeredgewidth=1.3, gid=f"{gid}-lost")
    if not all_lost and not cell.pruned and room:
        axes.text(
            cell.column, cell.row, cell.text, ha="center", va="center_baseline", color=ink, fontsize=form.text - 1.5,
            gid=f"{gid}-label",
        )  # fmt: skip


def _label(axes: Axes, trials: TrialMap, form: Form, fits: float) -> None:
    axes.set_xlim(-0.5, max(len(trials.columns), 1) - 0.5)
    axes.set_ylim(max(len(trials.titles), 1) - 0.5, -0.5)
    widest = max(map(len, trials.columns), default=0)
    every = math.ceil((widest + 0.5) / fits) if trials.sampled else 1
    shown = range(0, len(trials.columns), every)
    turned = not trials.sampled and widest > fits
    axes.set_xticks(shown, [trials.columns[i] for i in shown], rotation=90 if turned else 0)
    axes.set_yticks(range(len(trials.titles)), trials.titles)
    axes.tick_params(length=0)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel(trials.across)
    if form.alone:
        axes.set_title(f"{trials.heading}, mean {trials.label}")
