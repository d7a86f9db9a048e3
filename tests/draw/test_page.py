import json
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from descend.compare import Comparison
from descend.compare.environment import describe_environment
from descend.draw import render_page
from descend.draw.results_table import show_bytes, show_seconds
from descend.errors import MissingExtraError


class Reader(HTMLParser):
    """Tags with their attributes, and the order in which elements open and close."""

    EMPTY = frozenset({"meta", "link", "br"})

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


def test_every_colour_is_defined_for_light_and_dark(page):
    defined = dict(re.findall(r"(--[a-z0-9]+):light-dark\((.*?)\)", page))
    used = set(re.findall(r"var\((--[a-z0-9]+)\)", page)) - {"--mono"}
    assert used <= set(defined) and all(len(set(pair.split(","))) == 2 for pair in defined.values())


def test_charts_can_be_heard(reader):
    pictures = [attrs for tag, attrs in reader.tags if tag == "svg" and "aria-hidden" not in attrs]
    assert len(pictures) == 2 * 4 and all(attrs.get("role") == "img" and attrs["aria-label"] for attrs in pictures)
    assert sum(tag == "table" for tag, _ in reader.tags) == 1 + 4 + 1, "the results, one a chart, the environment"


def test_cells_carry_what_they_are_sorted_by(reader):
    orders = [attrs["data-order"] for tag, attrs in reader.tags if tag == "td" and "data-order" in attrs]
    assert len(orders) == 2 * 8 and all(float(order) == float(order) for order in orders)


def test_every_chip_finds_its_curves(page, reader):
    indices = [attrs["data-index"] for _, attrs in reader.tags if "data-index" in attrs]
    assert indices == ["0", "1"]
    for index in indices:
        assert f'data-series="{index}" data-part="line"' in page


def test_every_picture_knows_its_points(reader):
    told = [json.loads(attrs["data-points"]) for _, attrs in reader.tags if "data-points" in attrs]
    places = [json.loads(attrs["data-places"]) for _, attrs in reader.tags if "data-places" in attrs]
    assert [len(own) for own in told for _ in range(2)] == [len(own) for own in places]


def test_small_numbers_keep_their_digits_in_labels(page):
    assert ">0.0003<" in page or ">0.003<" in page, "a tick of the map of trials"


def test_it_tells_formula_seeds_and_protocol(page, comparison):
    result = comparison["clouds"]
    assert page.count("<math") == 2 and "Adam: a method for stochastic optimization" in page
    assert all(f"seed {seed}: " in page for seed in result.protocol.final_seeds)
    assert result.protocol.digest in page and f"torch {result.protocol.versions[1]}" in page


def test_several_tasks_are_shown_side_by_side(comparison):
    result = comparison["clouds"]
    other = replace(result, task=replace(result.task, name="mist"))
    text = render_page(Comparison([result, other]))
    assert 'id="all-tasks"' in text and "Performance profiles" in text and Reader(text).wrong == []
    assert 'id="all-tasks"' not in render_page(comparison)


def test_it_tells_the_machine_of_the_runs_and_says_where_it_was_not_kept(page, comparison):
    result = comparison["clouds"]
    told = describe_environment(result.records[0]["environment"])
    assert told in page and "1 thread a run" in told
    untold = replace(result, records=[{**record, "environment": None} for record in result.records])
    assert "on what machine was not kept" in render_page(Comparison([untold]))


def test_a_sampled_search_is_told_with_what_was_sampled(sampled):
    text, result = render_page(sampled), sampled["clouds"]
    assert "12 trials by Optuna&#39;s TPE sampler × 2 seeds in the search; runs that are worse than most end" in text
    assert "lr 0.001 to 1, weight_decay 1e-05 to 0.1" in text and Reader(text).wrong == []
    assert all(row.settings in text and "weight_decay=" in row.settings for row in result.rows)
    pruned = max(row.pruned for row in result.rows)
    assert f"{pruned} of 12 trials pruned" in text


def test_many_optimizers_on_many_tasks_have_a_broad_table_and_hidden_bands(comparison):
    result = comparison["clouds"]
    many = [replace(result, task=replace(result.task, name=f"mist{i}")) for i in range(4)]
    text = render_page(Comparison(many))
    assert "<h1>2 optimizers on 4 tasks</h1>" in text and 'class="charts broad"' in text
    assert '<main class="crowded">' not in text


def test_an_unfinished_comparison_says_so():
    from compare.workloads import CLOUDS
    from descend.compare import Campaign, Settings

    with Campaign(CLOUDS, ["adam"], Settings(seeds=1, search_seeds=1, trials=1, workers=0)) as campaign:
        text = render_page(campaign.comparison())
    assert "This comparison is unfinished" in text and "0 of 2 runs" in text


def test_names_from_outside_are_escaped():
    from compare.workloads import CLOUDS
    from descend.compare import Campaign, Settings

    with Campaign(
        replace(CLOUDS, card="<script>x</script>"), ["adam"], Settings(seeds=1, search_seeds=1, trials=1)
    ) as campaign:
        assert "<script>x" not in render_page(campaign.comparison())


@pytest.mark.parametrize(("seconds", "text"), [(0.0068, "6.8 ms"), (0.0314, "31 ms"), (1.516, "1.52 s")])
def test_times_are_said_as_people_do(seconds, text):
    assert show_seconds(seconds) == text


def test_without_a_target_there_is_no_column_for_it(comparison):
    (result,) = comparison.results
    bare = replace(result, protocol=replace(result.protocol, target=None))
    assert "steps to target" in render_page(comparison)
    assert "steps to target" not in render_page(Comparison([bare]))


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (999, "999 B"), (71_800, "71.8 kB"), (1.5e9, "1.5 GB")])
def test_bytes_are_said_as_people_do(count, text):
    assert show_bytes(count) == text


def test_without_jinja_the_way_out_is_named(comparison, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"The report needs jinja2.*descend\[bench\]"):
        render_page(comparison)
