"""One self-contained HTML page: verdicts, tables, curves, settings; no network."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from descend.compare import Comparison, Row, TaskResult
from descend.draw.figures import draw_curves, draw_sensitivity
from descend.draw.pictures import inline
from descend.draw.series import Curve, learning_curves, sensitivity_curves
from descend.draw.style import DARK, DARK_GRID, DARK_INK, DARK_MUTED, GRID, INK, LIGHT, MUTED, look
from descend.errors import missing_extra

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Pictures = Mapping[str, "tuple[Figure, Figure]"]


@dataclass(frozen=True)
class Cell:
    """A cell of the results: what is shown, what it is sorted by, a remark in small print."""

    text: str
    order: float | str
    remark: str = ""


LAST = 1e300
"""Sorts what is missing after everything else."""


def render_page(comparison: Comparison, pictures: Pictures | None = None) -> str:
    """The page as text, complete or not.

    Args:
        comparison: what it tells.
        pictures: curves and sensitivity of each task by its name, where they are drawn already.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
    """
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError as error:
        raise missing_extra("jinja2", "bench", "The report") from error
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    drawn = pictures or {r.task.name: (draw_curves(r), draw_sensitivity(r)) for r in comparison.results}
    folder = files("descend.draw")
    template = environment.from_string((folder / "page.html.jinja").read_text(encoding="utf-8"))
    return template.render(
        style=(folder / "page.css").read_text(encoding="utf-8"),
        script=(folder / "page.js").read_text(encoding="utf-8"),
        light=_colors(LIGHT, INK, MUTED, GRID),
        dark=_colors(DARK, DARK_INK, DARK_MUTED, DARK_GRID),
        sections=[
            _section(result, number, drawn[result.task.name]) for number, result in enumerate(comparison.results)
        ],
        complete=comparison.complete,
        environment=_environment(comparison),
    )


def _colors(series: Sequence[str], ink: str, muted: str, grid: str) -> str:
    named = {"ink": ink, "muted": muted, "grid": grid, **{f"s{i}": color for i, color in enumerate(series)}}
    return "".join(f"--{name}:{value};" for name, value in named.items())


def _environment(comparison: Comparison) -> list[tuple[str, str]]:
    versions = comparison.results[0].protocol.versions
    return [
        ("descend", versions[0]),
        ("torch", versions[1]),
        ("Python", platform.python_version()),
        ("machine", f"{platform.system()} {platform.machine()}, one thread a run"),
    ]


def _section(result: TaskResult, number: int, pictures: "tuple[Figure, Figure]") -> dict[str, Any]:
    metric, protocol = result.task.score, result.protocol
    place = {contender.name: look(i).index for i, contender in enumerate(result.contenders)}
    curves_alt = f"{result.task.name}: validation {metric.name} over updates. {result.verdict}"
    rates_alt = f"{result.task.name}: validation {metric.name} at each learning rate that was tried."
    direction = "higher" if metric.higher_is_better else "lower"
    return {
        "id": result.task.name,
        "card": result.task.card,
        "verdict": result.verdict,
        "columns": _columns(result),
        "rows": [{"name": r.name, "color": place[r.name], "cells": _cells(result, r)} for r in result.rows],
        "settings": [(r.title, r.settings) for r in result.rows if r.settings],
        "chips": [(c.name, c.title, place[c.name]) for c in result.contenders],
        "curves": inline(pictures[0], f"c{number}", curves_alt),
        "curves_table": _table(result, learning_curves(result)[1], "update"),
        "rates": inline(pictures[1], f"r{number}", rates_alt),
        "rates_table": _table(result, sensitivity_curves(result)[1], "learning rate"),
        "protocol": (
            f"{protocol.trials} learning rates × {len(protocol.search_seeds)} seeds in the search, then "
            f"{len(protocol.final_seeds)} fresh seeds at the chosen one; {protocol.steps} updates of "
            f"{protocol.batch_size} examples, the same data order for all; "
            f"{metric.name}: {direction} is better"
            + ("" if protocol.target is None else f", target {metric.show(protocol.target)} on the validation part")
        ),
    }


def _columns(result: TaskResult) -> list[tuple[str, str]]:
    return [
        ("optimizer", "sort by name"),
        (f"test {result.task.score.name}", "mean over seeds ± half of the 95 % interval (Student's t)"),
        (
            "behind the best",
            "paired difference to the best, its interval after Holm's correction; a draw if not separated",
        ),
        ("learning rate", "chosen on the validation part"),
        ("steps to target", "median over seeds; in brackets how many reached it"),
        ("training time", "seconds of one run, without evaluations"),
        ("optimizer step", "microseconds of one step, and its share of the training time"),
        ("state", "memory that the optimizer keeps beside the parameters"),
        ("diverged", "runs that were given up, search and final runs together"),
    ]


def _cells(result: TaskResult, row: Row) -> list[Cell]:
    metric = result.task.score
    score, gap = row.score, row.gap
    sign = -1.0 if metric.higher_is_better else 1.0
    if score is None:
        accuracy = Cell("–", LAST)
    else:
        spread = f"± {metric.show(score.half_width)}" if score.count > 1 else "one seed"
        accuracy = Cell(metric.show(score.mean), sign * score.mean, spread)
    if gap is None:
        behind = Cell("–", -LAST if row is result.rows[0] else LAST)
    else:
        bounds = f"{metric.show_gap(gap.interval.low)} to {metric.show_gap(gap.interval.high)}"
        mark = "" if gap.separated else " (a draw)"
        behind = Cell(metric.show_gap(gap.interval.mean) + mark, gap.interval.mean, bounds)
    runs, lost = row.searched + row.final, row.diverged_search + row.diverged_final
    reached = f"{row.reached} of {row.final}" if row.final else ""
    share = "" if row.optimizer_share is None else f"{100 * row.optimizer_share:.0f} % of the time"
    edge = "at the edge of its grid" if row.at_edge else ""
    return [
        accuracy,
        behind,
        _number(row.lr, "g", remark=edge),
        _number(row.steps_to_target, "g", remark=reached),
        _number(row.seconds, ".2f", " s"),
        _number(row.microseconds_per_step, ".0f", " µs", remark=share),
        Cell("–", LAST) if row.state_bytes is None else Cell(show_bytes(row.state_bytes), row.state_bytes),
        Cell(f"{lost} of {runs}", lost),
    ]


def _number(value: float | None, form: str, unit: str = "", remark: str = "") -> Cell:
    return Cell("–", LAST, remark) if value is None else Cell(f"{value:{form}}{unit}", value, remark)


def show_bytes(count: int) -> str:
    """A number of bytes as people say it: ``70.1 kB``."""
    size, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def _table(result: TaskResult, curves: Sequence[Curve], first: str) -> dict[str, Any]:
    """A chart's means as a table, for those who cannot see it."""
    metric = result.task.score
    places = sorted({x for curve in curves for x in curve.x})
    rows: list[list[str]] = []
    for place in places:
        cells = [f"{place:g}"]
        for curve in curves:
            at = {x: y for x, y in zip(curve.x, curve.mean, strict=True)}
            value = at.get(place)
            percent = metric.percent and metric.higher_is_better
            cells.append("" if value is None else metric.show(1 - value if percent else value))
        rows.append(cells)
    return {"head": [first, *(curve.title for curve in curves)], "rows": rows}
