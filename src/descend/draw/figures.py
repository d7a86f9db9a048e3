"""Learning curves with bands, and how much a method minds its learning rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from descend.compare import Comparison, TaskResult
from descend.draw.series import Axis, Curve, learning_curves, sensitivity_curves
from descend.draw.style import INK, MUTED, look, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = (6.4, 4.1)
"""Inches of one chart."""
LABEL_GAP = 0.05
"""Least distance between two labels, in heights of the chart."""


def draw_curves(result: TaskResult) -> Figure:
    """Validation metric over the updates of the final runs: mean, and band over seeds."""
    with styled():
        figure, axes = _new_figure(1, 1)
        _fill_curves(axes[0], result)
        return figure


def draw_sensitivity(result: TaskResult) -> Figure:
    """Validation metric over the learning rate in the search: the mean, and a band over its seeds."""
    with styled():
        figure, axes = _new_figure(1, 1)
        _fill_sensitivity(axes[0], result)
        return figure


def draw_overview(comparison: Comparison) -> Figure:
    """Everything in one picture: a row for each task, curves on the left, sensitivity on the right."""
    with styled():
        figure, axes = _new_figure(len(comparison.results), 2)
        for row, result in enumerate(comparison.results):
            _fill_curves(axes[2 * row], result)
            _fill_sensitivity(axes[2 * row + 1], result)
        return figure


def _new_figure(rows: int, columns: int) -> tuple[Figure, Sequence[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(SIZE[0] * columns, SIZE[1] * rows), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)  # type: ignore[union-attr]
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, list(axes.flat)


def _fill_curves(axes: Axes, result: TaskResult) -> None:
    axis, curves = learning_curves(result)
    axes.set_title(f"{result.task.name}: learning curves at the chosen learning rate")
    _fill(axes, axis, curves)
    axes.set_xlabel("updates")
    axes.set_xlim(0, result.protocol.steps)
    if axis.target is not None:
        axes.axhline(axis.target, color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)), zorder=1)
        axes.annotate("target", (0, axis.target), xytext=(3, 3), textcoords="offset points", color=MUTED, fontsize=8.5)
    _label_ends(axes, curves)


def _fill_sensitivity(axes: Axes, result: TaskResult) -> None:
    axis, curves = sensitivity_curves(result)
    axes.set_title(f"{result.task.name}: sensitivity to the learning rate")
    axes.set_xscale("log")
    _fill(axes, axis, curves, markers=True)
    for curve in curves:
        style = look(curve.index)
        for x, y, lost in zip(curve.x, curve.mean, curve.lost, strict=True):
            if lost:
                axes.plot([x], [y], marker="x", color=style.color, markersize=7, gid=f"series-{curve.name}-lost")
            if x == curve.chosen:
                axes.plot(
                    [x],
                    [y],
                    "o",
                    color=style.color,
                    fillstyle="none",
                    markersize=11,
                    gid=f"series-{curve.name}-best",
                )
    axes.set_xlabel("learning rate (ring: chosen, cross: runs diverged)")
    if curves:
        axes.legend(fontsize=8.5, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.16), handlelength=2.6)


def _fill(axes: Axes, axis: Axis, curves: Sequence[Curve], markers: bool = False) -> None:
    for curve in curves:
        style = look(curve.index)
        gid = f"series-{curve.name}"
        axes.fill_between(
            curve.x,
            curve.low,
            curve.high,
            color=style.color,
            alpha=0.1,
            linewidth=0,
            gid=f"{gid}-band",
            zorder=1.5,
        )
        axes.plot(
            curve.x,
            curve.mean,
            color=style.color,
            linestyle=style.dash,
            marker=style.marker if markers else None,
            markersize=4,
            label=curve.title,
            gid=f"{gid}-line",
        )
    if not curves:
        axes.text(0.5, 0.5, "no finished runs yet", transform=axes.transAxes, ha="center", color=MUTED)
    elif axis.log:
        _use_log_scale(axes, axis, curves)
    axes.set_ylabel(axis.label)


def _use_log_scale(axes: Axes, axis: Axis, curves: Sequence[Curve]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_yscale("log")
    values = [value for curve in curves for value in (*curve.low, *curve.high)]
    axes.set_ylim(min(values) * 0.85, max(values) * 1.1)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: axis.tick(value)))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _label_ends(axes: Axes, curves: Sequence[Curve]) -> None:
    """Write each name at the end of its line, moved apart where lines end together."""
    drawn = [curve for curve in curves if len(curve.x)]
    if not drawn:
        return
    to_height: Any = axes.transData + axes.transAxes.inverted()
    heights = [float(to_height.transform((curve.x[-1], curve.mean[-1]))[1]) for curve in drawn]
    for curve, height, place in zip(drawn, heights, spread(heights, LABEL_GAP), strict=True):
        style = look(curve.index)
        axes.annotate(
            curve.title,
            xy=(1.0, height),
            xytext=(1.06, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            color=INK,
            fontsize=9,
            va="center",
            annotation_clip=False,
            gid=f"series-{curve.name}-label",
            arrowprops={
                "arrowstyle": "-",
                "color": style.color,
                "linewidth": 1.2,
                "shrinkA": 2,
                "shrinkB": 0,
                "relpos": (0, 0.5),
            },
        )


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Places at least ``gap`` apart, in the same order, as close to ``heights`` as that allows."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    blocks: list[tuple[float, list[int]]] = []  # (place of the middle, members from below)
    for i in order:
        blocks.append((heights[i], [i]))
        while len(blocks) > 1 and _overlap(blocks[-2], blocks[-1], gap):
            (_, above), (_, below) = blocks.pop(), blocks.pop()
            members = below + above
            blocks.append((math.fsum(heights[m] for m in members) / len(members), members))
    places = [0.0] * len(heights)
    for middle, members in blocks:
        for rank, i in enumerate(members):
            places[i] = middle + (rank - (len(members) - 1) / 2) * gap
    return places


def _overlap(below: tuple[float, list[int]], above: tuple[float, list[int]], gap: float) -> bool:
    top = below[0] + len(below[1]) * gap / 2
    bottom = above[0] - len(above[1]) * gap / 2
    return bottom < top - 1e-12
