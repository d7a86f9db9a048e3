"""Colours, dashes and markers: one look for every picture.

The first eight colours derive from Okabe and Ito (2008). Two colours that people with a common colour blindness may
confuse have different dash patterns, and a marker says the same once more. Each colour has a twin for dark
backgrounds.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from descend.errors import missing_extra

INK, MUTED, GRID = "#1f2430", "#5b6472", "#d9dee5"
DARK_INK, DARK_MUTED, DARK_GRID = "#e8eaf0", "#a2abba", "#363d49"

LIGHT = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#c2549a",
    "#b58900",
    "#3aa0dc",
    "#6a4fb3",
    "#3d3d3d",
    "#8a3b12",
    "#7d8b00",
)
DARK = (
    "#58aef0",
    "#ff8f4d",
    "#2fcf9f",
    "#f09acb",
    "#f2c336",
    "#9ad8ff",
    "#b9a1ff",
    "#e4e4e4",
    "#b8604f",
    "#c8d64b",
)
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.4, 1.2)))
PATTERNS = (0, 1, 2, 1, 2, 1, 2, 0, 2, 0)
"""Which dash goes with each colour at first: colours that someone may confuse have different ones."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p")

SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "descend",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Form:
    """How large a picture is, in inches, and whether it stands alone, with title and legend.

    Text has the same size in every form, so that a picture on a phone is read as easily as on a laptop.
    """

    name: str
    width: float
    height: float
    alone: bool = False
    text: float = 8.5


ALONE = Form("alone", 6.4, 4.6, alone=True, text=10)
WIDE = Form("wide", 6.0, 3.5)
NARROW = Form("narrow", 3.8, 3.1)


@dataclass(frozen=True)
class Look:
    """How one contender is drawn in every picture."""

    index: int
    color: str
    pattern: int
    marker: str

    @property
    def dash(self) -> Any:
        """The dash pattern as matplotlib takes it."""
        return DASHES[self.pattern]


def look(index: int) -> Look:
    """The look of the contender at this place of the comparison; the first thirty are all different."""
    again, color = divmod(index, len(LIGHT))
    pattern = (PATTERNS[color] + again) % len(DASHES)
    return Look(color, LIGHT[color], pattern, MARKERS[(color + again) % len(MARKERS)])


@contextmanager
def styled(text: float = 10) -> Iterator[None]:
    """Our settings of matplotlib, and the caller's again afterwards.

    Args:
        text: size of letters, in points.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise missing_extra("matplotlib", "bench", "Drawing") from error
    with matplotlib.rc_context(cast(Any, {**SETTINGS, "font.size": text, "axes.titlesize": text + 1})):
        yield
