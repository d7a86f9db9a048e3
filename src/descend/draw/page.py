"""One self-contained HTML page: verdicts, tables, charts, formulas, settings; no network."""

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from descend.compare import Comparison, TaskResult
from descend.compare.environment import describe_environment
from descend.draw.charts import Chart, chart_profiles, task_charts
from descend.draw.figures import CROWD, draw_chart, list_points
from descend.draw.formulas import find_formula
from descend.draw.pictures import find_places, inline
from descend.draw.results_table import LAST, Cell, fill_cells, list_columns, show_half
from descend.draw.style import (
    DARK,
    DARK_GRID,
    DARK_INK,
    DARK_MUTED,
    GRID,
    INK,
    LIGHT,
    MUTED,
    NARROW,
    WIDE,
    look,
)
from descend.draw.trials import TrialMap, draw_trials, map_trials
from descend.errors import missing_extra

SWATCH_DASHES = ("", "6 2", "2 2")
"""Of the short lines in the page's legend: the same patterns as in the pictures."""
SEARCH_WORDS = {
    "grid": "learning rates",
    "tpe": "trials by Optuna's TPE sampler",
    "random": "trials by Optuna's random sampler",
}
"""Of what there are so many, for each kind of search."""


def render_page(comparison: Comparison) -> str:
    """The page as text, complete or not.

    Args:
        comparison: what it tells.

    Raises:
        MissingExtraError: jinja2, matplotlib or latex2mathml is not installed.
    """
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError as error:
        raise missing_extra("jinja2", "bench", "The report") from error
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    folder = files("descend.draw")
    template = environment.from_string((folder / "page.html.jinja").read_text(encoding="utf-8"))
    results, profiles = comparison.results, chart_profiles(comparison)
    return template.render(
        style=(folder / "page.css").read_text(encoding="utf-8"),
        script=(folder / "page.js").read_text(encoding="utf-8"),
        colors=_colors(),
        sections=[_section(result, number) for number, result in enumerate(results)],
        across=_across(results) if len(results) > 1 else None,
        profiles=None if profiles is None else _figure(profiles, "profiles"),
        legend=_legend(results[0]),
        crowded=len(results[0].contenders) > CROWD,
        optimizers=_optimizers(results),
        complete=comparison.complete,
        environment=_environment(results),
    )


def _colors() -> str:
    named = {"ink": (INK, DARK_INK), "muted": (MUTED, DARK_MUTED), "grid": (GRID, DARK_GRID)}
    named |= {f"s{i}": pair for i, pair in enumerate(zip(LIGHT, DARK, strict=True))}
    return "".join(f"--{name}:light-dark({light},{dark});" for name, (light, dark) in named.items())


def _legend(result: TaskResult) -> list[dict[str, Any]]:
    """The contenders as they are drawn in every chart."""
    return [
        {"index": i, "title": c.title, "color": look(i).index, "dash": SWATCH_DASHES[look(i).pattern]}
        for i, c in enumerate(result.contenders)
    ]


def _section(result: TaskResult, number: int) -> dict[str, Any]:
    place = {contender.name: i for i, contender in enumerate(result.contenders)}
    charts: list[Chart | TrialMap] = [*task_charts(result)]
    charts.insert(3, map_trials(result))
    rows = [
        {"index": place[r.name], "color": look(place[r.name]).index, "title": r.title, "cells": fill_cells(result, r)}
        for r in result.rows
    ]
    return {
        "id": result.task.name,
        "card": result.task.card,
        "verdict": result.verdict,
        "columns": list_columns(result),
        "rows": rows,
        "figures": [_figure(chart, f"t{number}-{chart.name}") for chart in charts],
        "protocol": _tell_protocol(result),
    }


def _figure(chart: Chart | TrialMap, key: str) -> dict[str, Any]:
    """A chart in both sizes, with the words of its points and its table."""
    pictures: list[dict[str, str]] = []
    for form in (WIDE, NARROW):
        picture = draw_trials(chart, form) if isinstance(chart, TrialMap) else draw_chart(chart, form)
        svg = inline(picture.figure, f"{key}-{form.name}", f"{chart.heading}. {chart.caption}")
        pictures.append({"form": form.name, "svg": svg, "places": json.dumps(find_places(picture))})
    told = [chart.describe(cell) for cell in chart.cells] if isinstance(chart, TrialMap) else list_points(chart)
    head, rows = chart.tabulate()
    return {
        "title": chart.title[0].upper() + chart.title[1:],
        "caption": chart.caption,
        "pictures": pictures,
        "points": json.dumps(told, ensure_ascii=False),
        "head": head,
        "rows": rows,
    }


def _across(results: Sequence[TaskResult]) -> list[dict[str, Any]]:
    """For each contender its test metric on every task; whoever may be the best is marked."""
    rows = [{row.name: (place, row) for place, row in enumerate(result.rows)} for result in results]
    told: list[dict[str, Any]] = []
    for index, entry in enumerate(results[0].contenders):
        cells: list[tuple[Cell, bool]] = []
        for result, own in zip(results, rows, strict=True):
            place, row = own[entry.name]
            metric = result.task.score
            if row.score is None:
                cells.append((Cell("–", LAST), False))
                continue
            order = -row.score.mean if metric.higher_is_better else row.score.mean
            ahead = place == 0 or (row.gap is not None and not row.gap.separated)
            cells.append((Cell(metric.show(row.score.mean), order, show_half(metric, row.score)), ahead))
        told.append({"index": index, "color": look(index).index, "title": entry.title, "cells": cells})
    return told


def _optimizers(results: Sequence[TaskResult]) -> list[dict[str, Any]]:
    """For each contender its formula and sources, and on each task the settings and what every seed reached."""
    told: list[dict[str, Any]] = []
    for index, entry in enumerate(results[0].contenders):
        tasks: list[dict[str, Any]] = []
        for result in results:
            row = next(row for row in result.rows if row.name == entry.name)
            show = result.task.score.show
            seeds = [
                f"seed {r['seed']}: " + ("diverged" if r["diverged"] else show(r["test_metric"]))
                for r in result.runs(entry.name, "final", row.lr)
            ]
            own = next(one for one in result.contenders if one.name == entry.name)
            facts = [("sampled", own.space)] if own.space else []
            facts.append(("test " + result.task.score.name + " of each seed", ", ".join(seeds) or "not yet"))
            if row.validation is not None:
                facts.append(("validation, mean", show(row.validation.mean)))
            if row.area is not None:
                facts.append(("mean of the validation metric over the run", show(row.area.mean)))
            if row.tolerance is not None:
                low, high = f"{row.tolerance.low:.2g}", f"{row.tolerance.high:.2g}"
                facts.append(
                    ("learning rates that do nearly as well", f"{low} to {high} ({row.tolerance.show()} decades)")
                )
            if row.seconds_to_target is not None:
                facts.append(("time to the target", f"{row.seconds_to_target:.3g} s"))
            tasks.append({"task": result.task.name, "settings": row.settings, "facts": facts})
        formula = find_formula(entry.settings[0]) if entry.settings else None
        told.append({"index": index, "color": look(index).index, "title": entry.title, "formula": formula,
                     "tasks": tasks})  # fmt: skip
    return told


def _tell_protocol(result: TaskResult) -> str:
    metric, protocol = result.task.score, result.protocol
    direction = "higher" if metric.higher_is_better else "lower"
    target = "" if protocol.target is None else f", target {metric.show(protocol.target)} on the validation part"
    pruning = "; runs that are worse than most end early" if protocol.pruning else ""
    count, final = len(protocol.search_seeds), len(protocol.final_seeds)
    search = f"{protocol.trials} {SEARCH_WORDS[protocol.search]} × {count} seed{'s' if count > 1 else ''}"
    return (
        f"{search} in the search{pruning}; then "
        f"{final} fresh seed{'s' if final > 1 else ''} at the chosen one; {protocol.steps} updates of "
        f"{protocol.batch_size} examples, the same data order for all; {metric.name}: {direction} is better{target}."
    )


def _environment(results: Sequence[TaskResult]) -> dict[str, Any]:
    versions = results[0].protocol.versions
    rows: list[list[str]] = []
    for result in results:
        protocol = result.protocol
        seeds = [", ".join(map(str, own)) for own in (protocol.search_seeds, protocol.final_seeds)]
        together = "together where it can be" if protocol.together else "alone"
        rows.append([result.task.name, *seeds, str(protocol.steps), str(protocol.batch_size), together,
                     protocol.fingerprint[:12], protocol.digest])  # fmt: skip
    found = {describe_environment(r["environment"]) for result in results for r in result.records if r["environment"]}
    head = ["task", "search seeds", "final seeds", "updates", "batch", "search trained", "data and model", "protocol"]
    told = sorted(found) or [
        f"descend {versions[0]} · torch {versions[1]} · one thread a run; on what machine was not kept"
    ]
    return {"machines": told, "head": head, "rows": rows}
