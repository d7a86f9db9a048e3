"""Figures as PNG and SVG files, and as SVG that lives inside a page."""

from __future__ import annotations

import io
import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from descend.draw.figures import Picture
from descend.draw.style import GRID, INK, LIGHT, MUTED, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 160
VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--grid)",
    **{color: f"var(--s{index})" for index, color in enumerate(LIGHT)},
}
"""What the colours of the pictures become in a page, where light and dark have their own values."""


def save(figure: Figure, path: Path) -> list[Path]:
    """Write ``path`` with the endings .png and .svg; the same figure always gives the same bytes of SVG."""
    with styled():
        figure.savefig(path.with_suffix(".png"), dpi=DPI, facecolor="white")
        _freeze(figure)
        figure.savefig(path.with_suffix(".svg"), facecolor="white", metadata={"Date": None, "Creator": "descend"})
    return [path.with_suffix(".png"), path.with_suffix(".svg")]


def _freeze(figure: Figure) -> None:
    """Keep the layout of the first drawing: finding it again costs as much as drawing."""
    figure.set_layout_engine("none")


def inline(figure: Figure, key: str, alt: str) -> str:
    """The figure as an ``<svg>`` element for a page.

    Args:
        figure: with a transparent background; its text stays text.
        key: put before every id, so that several pictures can share a page.
        alt: what a screen reader says.
    """
    buffer = io.StringIO()
    with styled():
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": "descend"})
        _freeze(figure)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # Parts that the page hides and lights up: many may belong to one contender, so they are no ids.
    text = re.sub(r'\bid="(series|group)-(\d+)-(\w+)"', r'data-\1="\2" data-part="\3"', text)
    text = re.sub(r'\bid="', f'id="{key}-', text)
    text = re.sub(r'href="#', f'href="#{key}-', text)
    text = re.sub(r"url\(#", f"url(#{key}-", text)
    # Hundredths of a point are finer than any screen; labels are text, not attributes, and keep their digits.
    text = re.sub(r'"[^"<>]*"', lambda found: re.sub(r"(\d\.\d{2})\d+", r"\1", found[0]), text)
    for color, variable in VARIABLES.items():
        text = text.replace(color, variable)
    # The size comes from the page; the view box keeps the proportions.
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(alt, quote=True)}"', 1).strip()


def find_places(picture: Picture) -> list[list[float]]:
    """Contender, x and y of each mark in the view box of the picture's SVG; call it after the picture was drawn."""
    figure = picture.figure
    (axes,) = figure.axes
    scale, height = 72 / figure.dpi, 72 * figure.get_figheight()
    places: list[list[float]] = []
    for index, x, y in picture.marks:
        across, up = axes.transData.transform((x, y))
        places.append([index, round(across * scale, 1), round(height - up * scale, 1)])
    return places
