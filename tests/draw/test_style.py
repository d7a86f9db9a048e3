import itertools
import math
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


# What is left of linear red, green and blue without one kind of cone: Machado, Oliveira and Fernandes (2009).
VISIONS = {
    "all": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "no red": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "no green": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
}
TO_XYZ = ((0.4339, 0.3762, 0.1899), (0.2126, 0.7152, 0.0722), (0.0177, 0.1095, 0.8729))


def multiply(matrix, vector):
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def cielab(color, vision):
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    seen = [min(1.0, max(0.0, part)) for part in multiply(vision, linear)]
    x, y, z = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in multiply(TO_XYZ, seen))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("vision", VISIONS.values(), ids=VISIONS.keys())
def test_colours_with_one_dash_can_be_told_apart_with_any_vision(colors, vision):
    for a, b in itertools.combinations(range(10), 2):
        if look(a).pattern == look(b).pattern:
            assert math.dist(cielab(colors[a], vision), cielab(colors[b], vision)) > 15


def test_thirty_contenders_look_different():
    assert len({(look(i).color, look(i).pattern) for i in range(30)}) == 30


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
