"""The page in a real browser, where one is installed."""

import re
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest

from descend.compare import Comparison
from descend.draw import render_page

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
LAPTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def address(comparison, tmp_path_factory):
    page = tmp_path_factory.mktemp("page") / "page.html"
    page.write_text(render_page(comparison))
    return page.as_uri()


@pytest.fixture
def visit(browser, address):
    """Opens the page; afterwards nothing may have been said to the console or asked of the network."""
    opened, said, asked = [], [], []

    def visit(viewport=LAPTOP, color_scheme="light"):
        context = browser.new_context(viewport=viewport, color_scheme=color_scheme)
        opened.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(address)
        return tab

    yield visit
    for context in opened:
        context.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def names(tab):
    return tab.eval_on_selector_all("#clouds .results tbody th", "heads => heads.map(h => h.textContent.trim())")


def paper(tab):
    return tab.evaluate("getComputedStyle(document.body).backgroundColor")


def test_column_heads_sort_both_ways(visit):
    tab = visit()
    head = tab.locator("#clouds .results thead th").first
    head.locator("button").click()
    assert names(tab) == ["Adam", "SGD + momentum"] and head.get_attribute("aria-sort") == "ascending"
    head.locator("button").click()
    assert names(tab) == ["SGD + momentum", "Adam"] and head.get_attribute("aria-sort") == "descending"


def test_numbers_are_sorted_as_numbers(visit):
    tab = visit()
    tab.locator("#clouds .results thead button", has_text="state").click()
    orders = tab.eval_on_selector_all("#clouds .results tbody tr", "rows => rows.map(r => +r.cells[7].dataset.order)")
    assert orders == sorted(orders) and orders[0] < orders[1]


def test_a_chip_hides_an_optimizer_and_shows_it_again(visit):
    tab = visit()
    chip, line = (
        tab.locator("#clouds .chips button", has_text="Adam"),
        '#clouds .wide [data-series="1"][data-part=line]',
    )
    assert tab.locator(line).first.is_visible()
    chip.click()
    assert not tab.locator(line).first.is_visible() and chip.get_attribute("aria-pressed") == "false"
    assert tab.locator('#clouds .wide [data-series="0"][data-part=line]').first.is_visible()
    chip.click()
    assert tab.locator(line).first.is_visible() and tab.locator(".hidden").count() == 0


def read_marks(tab, title):
    """Where the marks of a chart stand in the window, and what each should tell."""
    chart = tab.locator("#clouds figure").filter(has=tab.locator("h3", has_text=title))
    chart.scroll_into_view_if_needed()
    script = """chart => {
        const view = [...chart.querySelectorAll("[data-places]")].find(v => v.offsetParent);
        const svg = view.querySelector("svg"), box = svg.getBoundingClientRect();
        const scale = box.width / svg.viewBox.baseVal.width;
        return JSON.parse(view.dataset.places).map(([i, x, y]) => [box.left + x * scale, box.top + y * scale]);
    }"""
    return SimpleNamespace(places=chart.evaluate(script), told=chart.evaluate("c => JSON.parse(c.dataset.points)"))


@pytest.mark.parametrize("title", ["Learning curves", "Sensitivity", "Time against quality", "All trials"])
@pytest.mark.parametrize("viewport", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_the_pointer_is_told_the_point_under_it(visit, title, viewport):
    tab = visit(viewport)
    marks = read_marks(tab, title)
    assert len(marks.places) == len(marks.told) > 1
    (x, y), told = marks.places[-1], marks.told
    here = {words for place, words in zip(marks.places, told, strict=True) if abs(place[0] - x) + abs(place[1] - y) < 3}
    tab.mouse.move(x, y)
    tip = tab.locator("#tip")
    assert tip.is_visible() and tip.text_content() in here
    box = tip.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= viewport["width"]
    tab.mouse.move(2, 2)
    assert not tip.is_visible() and tab.locator(".lit").count() == 0


def test_marks_stand_on_the_drawn_lines(visit):
    tab = visit()
    marks = read_marks(tab, "Learning curves")
    end = tab.locator('#clouds figure .wide [data-series="1"][data-part=line] path').first.bounding_box()
    assert end["x"] + end["width"] == pytest.approx(marks.places[-1][0], abs=4)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_system_until_the_button_is_pressed(visit, scheme):
    tab = visit(color_scheme=scheme)
    button, first = tab.locator("#theme"), paper(tab)
    button.click()
    light = paper(tab)
    button.click()
    dark = paper(tab)
    assert button.get_attribute("aria-label") == "Colours: dark"
    assert light != dark and first == {"light": light, "dark": dark}[scheme]
    tab.reload()
    assert paper(tab) == dark, "the choice is kept"


@pytest.mark.parametrize("viewport", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_nothing_is_wider_than_the_window(visit, viewport):
    tab = visit(viewport)
    tab.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert tab.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    shown = "narrow" if viewport is PHONE else "wide"
    forms = tab.eval_on_selector_all(".wide, .narrow", "all => all.filter(f => f.offsetParent).map(f => f.className)")
    assert set(forms) == {shown}


def test_a_name_in_the_table_opens_its_formula(visit):
    tab = visit()
    tab.locator("#clouds .results tbody a", has_text="Adam").click()
    formula = tab.locator("#optimizer-1 math")
    formula.wait_for()  # It opens once the browser has told of the new address.
    assert formula.bounding_box()["height"] > 60
    assert re.fullmatch(
        r"descend\.Adam\(model\.parameters\(\), lr=[\d.e-]+\)", tab.locator("#optimizer-1 pre").text_content()
    )


@pytest.fixture(scope="module")
def crowded(comparison, tmp_path_factory):
    """The page of twelve optimizers."""
    result = comparison["clouds"]
    old = {contender.name: contender for contender in result.contenders}
    names = [(f"{name}-{i}", name) for i in range(6) for name in old]
    entries = [replace(old[name], name=new, title=new) for new, name in names]
    rows = [replace(row, name=new, title=new) for new, name in names for row in result.rows if row.name == name]
    records = [{**r, "contender": new} for new, name in names for r in result.records if r["contender"] == name]
    page = tmp_path_factory.mktemp("crowded") / "page.html"
    page.write_text(render_page(Comparison([replace(result, contenders=entries, rows=rows, records=records)])))
    return page.as_uri()


def test_in_a_crowd_a_band_is_shown_only_of_the_optimizer_that_is_pointed_at(visit, crowded):
    tab = visit()
    tab.goto(crowded)
    bands = tab.locator("#clouds .wide [data-part=band]:visible")
    assert bands.count() == 0
    chip = tab.locator("#clouds .chips button", has_text="adam-3")
    chip.scroll_into_view_if_needed()
    # Scrolling ends what is pointed at: wait until its event has come, which is before the second frame.
    tab.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    chip.hover()
    lit = bands.evaluate_all("marks => marks.map(m => m.dataset.series)")
    assert len(lit) == 2 and set(lit) == {"7"}, "in the learning curves and the sensitivity"
    tab.mouse.move(2, 2)
    assert bands.count() == 0


def test_a_hidden_optimizer_is_not_told_of(visit):
    tab = visit()
    tab.locator("#clouds .chips button", has_text="Adam").click()
    marks = read_marks(tab, "Learning curves")
    others = [words for words in marks.told if not words.startswith("Adam")]
    for x, y in marks.places[-3:]:
        tab.mouse.move(x, y)
        tip = tab.locator("#tip")
        assert not tip.is_visible() or tip.text_content() in others
