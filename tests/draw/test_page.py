import re
import sys
from html.parser import HTMLParser

import pytest

from descend.draw import render_page
from descend.draw.page import show_bytes
from descend.errors import MissingExtraError


class Reader(HTMLParser):
    """Tags with their attributes, and the order in which elements open and close."""

    EMPTY = frozenset({"meta", "link", "br", "use", "path", "rect", "line"})

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.wrong = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in self.EMPTY and (not self.open or self.open.pop() != tag):
            self.wrong.append(tag)


@pytest.fixture(scope="module")
def page(comparison):
    return render_page(comparison)


@pytest.fixture(scope="module")
def reader(page):
    return Reader(page)


def test_elements_are_nested_and_ids_are_unique(reader):
    ids = [attrs["id"] for _, attrs in reader.tags if "id" in attrs]
    assert not reader.wrong and not reader.open
    assert len(ids) == len(set(ids))


def test_nothing_is_fetched(page, reader):
    fetched = [a for _, attrs in reader.tags for k, a in attrs.items() if k in ("src", "href", "xlink:href")]
    assert [a for a in fetched if not a.startswith(("#", "data:"))] == []
    assert "@import" not in page and not re.search(r"url\((?!#)", page)
    assert len(page.encode()) < 2_000_000


def test_it_tells_the_verdict_the_table_and_the_settings(page, comparison):
    result = comparison["clouds"]
    assert result.verdict in page.replace("&#39;", "'")
    for row in result.rows:
        assert row.settings in page and result.task.score.show(row.score.mean) in page


def test_light_and_dark_define_the_same_colours(page):
    light, dark = re.findall(r":root\{ (--ink.*?) \}", page)
    names = [set(re.findall(r"(--[a-z0-9]+):", block)) for block in (light, dark)]
    used = set(re.findall(r"var\((--[a-z0-9]+)\)", page)) - {"--paper", "--panel", "--accent", "--warn"}
    assert names[0] == names[1] >= used and light != dark


def test_charts_can_be_heard(reader):
    assert all(attrs.get("aria-label") for tag, attrs in reader.tags if tag == "svg")
    assert sum(tag == "table" for tag, _ in reader.tags) == 3, "the results and one table a chart"
    assert sum(tag == "th" and attrs.get("scope") == "row" for tag, attrs in reader.tags) == 2


def test_cells_carry_what_they_are_sorted_by(reader):
    orders = [attrs["data-order"] for tag, attrs in reader.tags if tag == "td" and "data-order" in attrs]
    assert len(orders) == 2 * 8 and all(float(order) == float(order) for order in orders)


def test_every_chip_finds_its_curves(page, reader):
    for _, attrs in reader.tags:
        if "data-series" in attrs:
            assert f'-series-{attrs["data-series"]}-line"' in page


def test_an_unfinished_comparison_says_so():
    from compare.workloads import CLOUDS
    from descend.compare import Campaign, Settings

    with Campaign(CLOUDS, ["adam"], Settings(seeds=1, search_seeds=1, trials=1, workers=0)) as campaign:
        text = render_page(campaign.comparison())
    assert "This comparison is unfinished" in text and "0 of 2 runs" in text


def test_names_from_outside_are_escaped():
    from dataclasses import replace

    from compare.workloads import CLOUDS
    from descend.compare import Campaign, Settings

    with Campaign(
        replace(CLOUDS, card="<script>x</script>"), ["adam"], Settings(seeds=1, search_seeds=1, trials=1)
    ) as campaign:
        assert "<script>x" not in render_page(campaign.comparison())


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (999, "999 B"), (71_800, "71.8 kB"), (1.5e9, "1.5 GB")])
def test_bytes_are_said_as_people_do(count, text):
    assert show_bytes(count) == text


def test_without_jinja_the_way_out_is_named(comparison, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"The report needs jinja2.*descend\[bench\]"):
        render_page(comparison)
