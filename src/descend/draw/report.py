"""All files that a comparison leaves for people."""

import json
from pathlib import Path

from descend.compare import Comparison
from descend.compare.records import write_atomically
from descend.draw.figures import draw_curves, draw_overview, draw_sensitivity
from descend.draw.page import render_page
from descend.draw.pictures import save


def write_report(comparison: Comparison, folder: Path) -> list[Path]:
    """Write the page, the pictures and the table; whatever stood there before is replaced.

    Args:
        comparison: complete or not.
        folder: where they go: ``report.html``, ``overview.png`` and ``.svg``, ``summary.json``, and for
            each task ``curves`` and ``sensitivity`` in its own folder.

    Returns:
        the files, the page first.

    Raises:
        MissingExtraError: matplotlib or jinja2 is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page, summary = folder / "report.html", folder / "summary.json"
    pictures = {r.task.name: (draw_curves(r), draw_sensitivity(r)) for r in comparison.results}
    write_atomically(page, render_page(comparison, pictures))
    write_atomically(summary, json.dumps(comparison.to_data(), indent=2, allow_nan=False) + "\n")
    written = [page, summary, *save(draw_overview(comparison), folder / "overview")]
    for result in comparison.results:
        own = folder / result.task.name
        own.mkdir(exist_ok=True)
        for picture, name in zip(pictures[result.task.name], ("curves", "sensitivity"), strict=True):
            written += save(picture, own / name)
    return written
