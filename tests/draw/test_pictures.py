import re

import pytest

from descend.draw import draw_curves
from descend.draw.pictures import inline, save
from descend.draw.style import LIGHT


def test_png_and_svg_are_written_and_the_svg_is_the_same_every_time(comparison, tmp_path):
    for name in "ab":
        png, svg = save(draw_curves(comparison["clouds"]), tmp_path / name)
        assert png.read_bytes().startswith(b"\x89PNG") and "<svg" in svg.read_text()
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


@pytest.fixture(scope="module")
def element(comparison):
    return inline(draw_curves(comparison["clouds"]), "k7", 'curves "of" <clouds>')


def test_inline_colours_are_variables_and_the_text_stays_text(element):
    assert not any(color in element for color in LIGHT)
    assert "var(--s0)" in element and "var(--ink)" in element
    assert ">updates</text>" in element


def test_inline_has_a_description_and_no_fixed_size(element):
    assert 'role="img" aria-label="curves &quot;of&quot; &lt;clouds&gt;"' in element
    head = element[: element.index(">") + 1]
    assert "viewBox" in head and " width=" not in head and " height=" not in head


def test_inline_ids_are_prefixed_wherever_they_are_used(element):
    ids = set(re.findall(r'\bid="([^"]*)"', element))
    used = set(re.findall(r'href="#([^"]*)"', element)) | set(re.findall(r"url\(#([^)]*)\)", element))
    assert ids and used <= ids and all(name.startswith("k7-") for name in ids)
