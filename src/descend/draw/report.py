"""All files that a comparison leaves for people."""

import json
from pathlib import Path

from descend.compare import Comparison
from descend.compare.records import write_atomically
from descend.draw.charts import chart_profiles, task_charts
from descend.draw.figures import draw_chart, draw_overview
from descend.draw.page import render_page
from descend.draw.pictures import save
from descend.draw.trials import draw_trials, map_trials


def write_report(comparison: Comparison, folder: Path) -> list[Path]:
    """Write the page, the pictures and the table; whatever stood there before is replaced.

    Args:
        comparison: complete or not.
        folder: where they go: ``report.html``, ``summary.json``, ``overview`` and, over several tasks with targets,
            ``profiles``; in a folder for each task ``curves``, ``sensitivity``, ``times``, ``trials``, and for each
            setting that was varied ``sweep-NAME``. Pictures are written as .png and .svg.

    Returns:
        the files, the page first.

    Raises:
        MissingExtraError: matplotlib, jinja2 or latex2mathml is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page, summary = folder / "report.html", folder / "summary.json"
    write_atomically(page, render_page(comparison))
    write_atomically(summary, json.dumps(comparison.to_data(), indent=2, allow_nan=False) + "\n")
    written = [page, summary, *save(draw_overview(comparison), folder / "overview")]
    profiles = chart_profiles(comparison)
    if profiles is not None:
        written += save(draw_chart(profiles).figure, folder / profiles.name)
    for result in comparison.results:
        own = folder / result.task.name
        own.mkdir(exist_ok=True)
        for chart in task_charts(result):
            written += save(draw_chart(chart).figure, own / chart.name)
        trials = map_trials(result)
        written += save(draw_trials(trials).figure, own / trials.name)
    return written
