"""All trials of a search as a heat map: optimizer times learning rate, diverged ones marked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from descend.compare import TaskResult
from descend.draw.figures import Picture
from descend.draw.series import Axis, find_axis, search_by_rate
from descend.draw.style import ALONE, GRID, INK, Form, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCALE = "cividis"
"""A scale of colours that reads the same with every kind of colour vision."""


@dataclass(frozen=True)
class Cell:
    """The trials of one optimizer at one learning rate: mean validation metric, and how many runs diverged."""

    row: int
    column: int
    place: float
    text: str
    runs: int
    diverged: int
    chosen: bool


@dataclass(frozen=True)
class TrialMap:
    """The heat map of one task; it has the words of a chart."""

    task: str
    titles: Sequence[str]
    rates: Sequence[float]
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
        return f"Number: mean {self.label}; brighter is better. Cross: runs diverged. Frame: chosen. Blank: not tried."

    def describe(self, cell: Cell) -> str:
        """What the pointer is told at a cell."""
        told = [self.titles[cell.row], f"learning rate: {self.rates[cell.column]:g}"]
        told.append(f"{self.label.removesuffix(' in %')}: {self.axis.show(cell.place)}")
        if cell.diverged:
            told.append(f"{cell.diverged} of {cell.runs} runs diverged")
        return "\n".join([*told, "chosen"] if cell.chosen else told)

    def tabulate(self) -> tuple[list[str], list[list[str]]]:
        """Head and rows of the map as a table."""
        at = {(cell.row, cell.column): cell for cell in self.cells}
        rows: list[list[str]] = []
        for row, title in enumerate(self.titles):
            own = [at.get((row, column)) for column in range(len(self.rates))]
            rows.append([title, *("–" if cell is None else self._tell(cell) for cell in own)])
        return ["optimizer", *(f"{rate:g}" for rate in self.rates)], rows

    def _tell(self, cell: Cell) -> str:
        lost = f" ({cell.diverged} of {cell.runs} diverged)" if cell.diverged else ""
        return self.axis.show(cell.place) + lost


def map_trials(result: TaskResult) -> TrialMap:
    """The heat map of one task's search."""
    axis, metric = find_axis(result), result.task.score
    found = [search_by_rate(result, contender.name) for contender in result.contenders]
    rates = sorted({lr for own in found for lr in own})
    chosen = {row.name: row.lr for row in result.rows}
    cells: list[Cell] = []
    for row, (contender, own) in enumerate(zip(result.contenders, found, strict=True)):
        for lr, runs in own.items():
            value = math.fsum(r["validation_metric"] for r in runs) / len(runs)
            text = f"{100 * value:.0f}" if metric.percent else f"{value:.2g}"
            lost = sum(r["diverged"] for r in runs)
            best = chosen[contender.name] == lr
            cells.append(Cell(row, rates.index(lr), axis.place(value), text, len(runs), lost, best))
    return TrialMap(result.task.name, [c.title for c in result.contenders], rates, cells, axis)


def draw_trials(trials: TrialMap, form: Form = ALONE) -> Picture:
    """The heat map in one form; it grows with the number of optimizers."""
    with styled(form.text):
        from matplotlib.figure import Figure

        height = max(form.height * 0.6, 0.9 + 0.27 * len(trials.titles) + (0.4 if form.alone else 0))
        figure = Figure(figsize=(form.width, height), layout="constrained")
        axes = figure.subplots()
        shades = _shade(trials)
        for cell, shade in zip(trials.cells, shades, strict=True):
            _draw_cell(axes, cell, shade, form)
        _label(axes, trials, form)
        return Picture(figure, [(cell.row, cell.column, cell.row) for cell in trials.cells])


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


def _draw_cell(axes: Axes, cell: Cell, shade: float, form: Form) -> None:
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    gid, corner = f"series-{cell.row}", (cell.column - 0.47, cell.row - 0.46)
    color = colormaps[SCALE](shade) if cell.diverged < cell.runs else GRID
    axes.add_patch(Rectangle(corner, 0.94, 0.92, facecolor=color, linewidth=0, gid=f"{gid}-cell"))
    if cell.chosen:
        frame = Rectangle(corner, 0.94, 0.92, fill=False, edgecolor=INK, linewidth=1.8, zorder=3, gid=f"{gid}-best")
        axes.add_patch(frame)
    all_lost = cell.diverged == cell.runs
    ink = "#111111" if shade > 0.5 else "#ffffff"
    if cell.diverged:
        at = (cell.column, cell.row) if all_lost else (cell.column + 0.36, cell.row - 0.3)
        size, mark = (6, INK) if all_lost else (3, ink)
        axes.plot(*([v] for v in at), "x", color=mark, markersize=size, markeredgewidth=1.3, gid=f"{gid}-lost")
    if not all_lost and (form.width > 5 or len(cell.text) < 4):
        axes.text(
            cell.column, cell.row, cell.text, ha="center", va="center_baseline", color=ink, fontsize=form.text - 1.5,
            gid=f"{gid}-label",
        )  # fmt: skip


def _label(axes: Axes, trials: TrialMap, form: Form) -> None:
    axes.set_xlim(-0.5, max(len(trials.rates), 1) - 0.5)
    axes.set_ylim(max(len(trials.titles), 1) - 0.5, -0.5)
    crowded = form.width < 5 and len(trials.rates) > 5
    axes.set_xticks(range(len(trials.rates)), [f"{rate:g}" for rate in trials.rates], rotation=90 if crowded else 0)
    axes.set_yticks(range(len(trials.titles)), trials.titles)
    axes.tick_params(length=0)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel("learning rate")
    if form.alone:
        axes.set_title(f"{trials.heading}, mean {trials.label}")
