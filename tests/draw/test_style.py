import itertools
import subprocess
import sys

import matplotlib
import pytest

from descend.draw.style import DARK, DASHES, LIGHT, MARKERS, look, styled
from descend.errors import MissingExtraError


def luminance(color):
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("colors", "paper"), [(LIGHT, "#ffffff"), (DARK, "#14181f")], ids=["light", "dark"])
def test_every_colour_stands_out_from_its_paper(colors, paper):
    assert all(contrast(color, paper) >= 2.8 for color in colors)


def test_ten_contenders_look_different_in_more_than_colour():
    looks = [look(i) for i in range(10)]
    assert len({x.color for x in looks}) == len({x.marker for x in looks}) == 10
    assert all(a.dash != b.dash for a, b in itertools.pairwise(looks))
    assert len(LIGHT) == len(DARK) == len(MARKERS) and len(DASHES) == 3


def test_settings_of_the_caller_come_back():
    before = matplotlib.rcParams["font.size"]
    with styled():
        assert matplotlib.rcParams["svg.fonttype"] == "none"
        matplotlib.rcParams["font.size"] = before + 5
    assert matplotlib.rcParams["font.size"] == before


def test_without_matplotlib_the_way_out_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"Drawing needs matplotlib.*descend\[bench\]"), styled():
        pass


def test_importing_the_package_imports_no_matplotlib():
    code = "import sys, descend.draw; assert 'matplotlib' not in sys.modules and 'jinja2' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
