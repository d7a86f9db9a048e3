"""Charts as figures of matplotlib: alone with title and legend, or wide and narrow for the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from descend.compare import Comparison, TaskResult
from descend.draw.charts import Chart, chart_curves, chart_sensitivity
from descend.draw.series import ROOM, Axis, Curve
from descend.draw.style import ALONE, MUTED, Form, look, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CROWD = 8
"""Curves from which on bands would only cover one another: pictures leave them out, the page shows one at a time."""

Mark = tuple[int, float, float]
"""A point that the pointer finds: index of its contender, and its place in the axes' data."""


@dataclass(frozen=True)
class Picture:
    """A drawn chart, and where its points are, in the order of :func:`list_points`."""

    figure: Figure
    marks: Sequence[Mark]


def draw_curves(result: TaskResult) -> Figure:
    """Validation metric over the updates of the final runs: mean, and band over seeds."""
    return draw_chart(chart_curves(result)).figure


def draw_sensitivity(result: TaskResult) -> Figure:
    """Validation metric over the learning rate in the search: the mean, and a band over its seeds."""
    return draw_chart(chart_sensitivity(result)).figure


def draw_overview(comparison: Comparison) -> Figure:
    """Everything in one picture: a row for each task, curves on the left, sensitivity on the right."""
    with styled():
        from matplotlib.figure import Figure

        rows = len(comparison.results)
        height = ALONE.height + max(_arrange_legend(chart_curves(result), ALONE)[1] for result in comparison.results)
        figure = Figure(figsize=(ALONE.width * 2, height * rows), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)  # type: ignore[union-attr]
        axes = figure.subplots(rows, 2, squeeze=False)
        for (left, right), result in zip(axes, comparison.results, strict=True):
            _fill(left, chart_curves(result), ALONE)
            _fill(right, chart_sensitivity(result), ALONE)
        return figure


def draw_chart(chart: Chart, form: Form = ALONE) -> Picture:
    """A chart in one form."""
    with styled(form.text):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(form.width, form.height + _arrange_legend(chart, form)[1]), layout="constrained")
        _fill(figure.subplots(), chart, form)
        marks = [
            (-1 if chart.legend else curve.index, curve.x[i], height)
            for curve in chart.curves
            for i, height in enumerate(chart.axis.clip(curve.mean))
        ]
        return Picture(figure, marks)


def list_points(chart: Chart) -> list[str]:
    """What the pointer is told at each mark."""
    return [chart.describe(curve, i) for curve in chart.curves for i in range(len(curve.x))]


def _fill(axes: Axes, chart: Chart, form: Form) -> None:
    for curve in chart.curves:
        _draw_curve(axes, chart, curve, band=len(chart.curves) <= CROWD or not (form.alone or chart.legend))
    if not chart.curves:
        axes.text(0.5, 0.5, "no finished runs yet", transform=axes.transAxes, ha="center", color=MUTED)
    _scale_across(axes, chart, form)
    _scale_up(axes, chart)
    if chart.axis.target is not None and chart.curves:
        axes.axhline(chart.axis.target, color=MUTED, linewidth=1, linestyle=(0, (1, 2)), zorder=1)
        axes.annotate(
            "target",
            (0, chart.axis.target),  # On the left, where hardly a run is as good.
            xycoords=("axes fraction", "data"),
            xytext=(3, 3),
            textcoords="offset points",
            ha="left",
            color=MUTED,
            fontsize=form.text - 0.5,
            annotation_clip=True,
        )
    if form.alone:
        axes.set_title(chart.heading)
    columns, _ = _arrange_legend(chart, form)
    if columns:
        axes.legend(
            fontsize=form.text - 1,
            ncols=columns,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.5 / form.height),
            handlelength=2.8,
        )


def _arrange_legend(chart: Chart, form: Form) -> tuple[int, float]:
    """Columns of a chart's legend, 0 where it has none, and the inches that it needs for more than two rows."""
    if not chart.curves or not (form.alone or chart.legend):
        return 0, 0.0
    line = (form.text - 1) / 72
    entry = line * (5 + 0.5 * max(len(curve.title) for curve in chart.curves))
    columns = max(1, min(4, int(form.width / entry)))
    rows = math.ceil(len(chart.curves) / columns)
    return columns, 1.5 * line * max(0, rows - 2)


def _draw_curve(axes: Axes, chart: Chart, curve: Curve, band: bool) -> None:
    style, kind = look(curve.index), "group" if chart.legend else "series"
    gid = f"{kind}-{curve.index}"
    mean, low, high = chart.axis.clip(curve.mean), chart.axis.clip(curve.low), chart.axis.clip(curve.high)
    pruned = curve.pruned or [False] * len(mean)
    if chart.joined and band:
        axes.fill_between(
            curve.x,
            low,
            high,
            step="post" if chart.stepped else None,
            color=style.color,
            alpha=0.1,
            linewidth=0,
            gid=f"{gid}-band",
            zorder=1.5,
        )
    elif not chart.joined:
        bars = [(x, y) for x, *ends in zip(curve.x, low, high, strict=True) for y in (*ends, math.nan)]
        axes.plot(*_columns(bars), color=style.color, linewidth=1.2, alpha=0.6, gid=f"{gid}-bar")
        if curve.x_low:
            ends = [curve.x_low[0], curve.x_high[0]]
            axes.plot(ends, mean * 2, color=style.color, linewidth=1.2, alpha=0.6, gid=f"{gid}-width")
        few = [(x, y) for x, y, gone in zip(curve.x, mean, pruned, strict=True) if gone]
        faint: dict[str, Any] = {"linestyle": "none", "fillstyle": "none", "markersize": 3.5, "alpha": 0.7}
        axes.plot(*_columns(few), color=style.color, marker=style.marker, gid=f"{gid}-pruned", **faint)
    shown = [(x, y) for x, y, gone in zip(curve.x, mean, pruned, strict=True) if chart.joined or not gone]
    axes.plot(
        *_columns(shown),
        color=style.color,
        drawstyle="steps-post" if chart.stepped else "default",
        linestyle=style.dash if chart.joined else "none",
        marker=style.marker if chart.markers else None,
        markersize=8 if curve.x_low else 4.5,
        label=curve.title,
        gid=f"{gid}-line",
    )
    if curve.lost:
        gone = [(x, y) for x, y, lost in zip(curve.x, mean, curve.lost, strict=True) if lost]
        axes.plot(*_columns(gone), "x", color=style.color, markersize=9, markeredgewidth=1.8, gid=f"{gid}-lost")
    if curve.chosen is not None:
        best = [(x, y) for x, y in zip(curve.x, mean, strict=True) if x == curve.chosen]
        axes.plot(*_columns(best), "o", color=style.color, fillstyle="none", markersize=12, gid=f"{gid}-best")


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _scale_across(axes: Axes, chart: Chart, form: Form) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

    across = chart.across
    axes.set_xlabel(across.label)
    if across.names:
        axes.set_xticks(range(len(across.names)), across.names)
        axes.set_xlim(-0.3, len(across.names) - 0.7)
    elif chart.name == "curves" and chart.curves:
        axes.set_xlim(0, max(curve.x[-1] for curve in chart.curves))
    elif across.log:
        axes.set_xscale("log")
        if across.unit and chart.curves:
            axes.set_xticks([x for x in chart.curves[0].x if x == int(x)])
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}{across.unit}"))
            axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5 if form.width < 5 else 8))


def _scale_up(axes: Axes, chart: Chart) -> None:
    from matplotlib.ticker import FuncFormatter

    axis = chart.axis
    axes.set_ylabel(axis.label)
    if axis.log and chart.curves:
        _use_log_scale(axes, axis, chart.curves)
    elif axis.metric is None:
        axes.set_ylim(-0.04, 1.04)
    elif axis.untrained is not None and chart.curves:
        _cut_off(axes, axis, chart.curves)
    if not axis.log and (axis.metric is None or axis.metric.percent):
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g} %"))


def _cut_off(axes: Axes, axis: Axis, curves: Sequence[Curve]) -> None:
    """Show little of what is worse than the untrained model: one bad learning rate would hide all others."""
    assert axis.metric is not None and axis.untrained is not None
    values = [value for curve in curves for value in curve.mean]
    best = max(values) if axis.metric.higher_is_better else min(values)
    beyond = axis.untrained + ROOM * (axis.untrained - best)
    low, high = axes.get_ylim()
    if axis.metric.higher_is_better and low < beyond < best:
        axes.set_ylim(bottom=beyond)
    elif not axis.metric.higher_is_better and high > beyond > best:
        axes.set_ylim(top=beyond)


def _use_log_scale(axes: Axes, axis: Axis, curves: Sequence[Curve]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_yscale("log")
    values = axis.clip([value for curve in curves for value in (*curve.mean, *curve.low, *curve.high)])
    low, high = min(values) * 0.85, min(max(values) * 1.1, 1.05)
    axes.set_ylim(low, high)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low > 4 else (1, 1.5, 2, 3, 4, 5, 6, 8)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: axis.tick(round(value, 6))))
    axes.yaxis.set_minor_formatter(NullFormatter())
