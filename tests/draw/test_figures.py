from dataclasses import replace

import numpy as np
import pytest

from descend.draw import draw_curves, draw_overview, draw_sensitivity
from descend.draw.charts import Across, Chart, chart_curves, chart_sensitivity, chart_times, task_charts
from descend.draw.figures import CROWD, draw_chart, list_points
from descend.draw.pictures import find_places, inline
from descend.draw.series import ROOM, Axis, Curve, find_axis, find_test_axis
from descend.draw.style import ALONE, NARROW, WIDE
from descend.tasks import Metric


def lines(axes):
    return {line.get_gid(): line for line in axes.get_lines() if line.get_gid()}


def test_curves_draw_the_numbers_with_axes_and_units(comparison):
    result = comparison["clouds"]
    (axes,) = draw_curves(result).axes
    found = lines(axes)
    finals = result.runs("adam", "final")
    last = sum(1 - r["validation_metrics"][-1] for r in finals) / len(finals)
    assert np.asarray(found["series-1-line"].get_ydata())[-1] == pytest.approx(max(last, find_axis(result).least))
    assert list(found["series-1-line"].get_xdata()) == [0, 4, 8, 12]
    assert axes.get_xlabel() == "updates" and "accuracy" in axes.get_ylabel() and axes.get_yscale() == "log"
    assert {c.get_gid() for c in axes.collections} >= {"series-0-band", "series-1-band"}


def test_sensitivity_marks_the_chosen_rate(comparison):
    result = comparison["clouds"]
    (axes,) = draw_sensitivity(result).axes
    found = lines(axes)
    chosen = {row.name: row.lr for row in result.rows}
    assert np.asarray(found["series-1-best"].get_xdata())[0] == chosen["adam"]
    assert axes.get_xscale() == "log" and "learning rate" in axes.get_xlabel()
    assert len(found["series-1-line"].get_xdata()) == 3


def test_overview_has_two_charts_a_task(comparison):
    assert len(draw_overview(comparison).axes) == 2


def test_every_mark_has_words_and_a_place_inside_the_picture(comparison):
    for chart in task_charts(comparison["clouds"]):
        for form in (ALONE, WIDE, NARROW):
            picture = draw_chart(chart, form)
            inline(picture.figure, "k", "words")
            places = find_places(picture)
            assert len(places) == len(list_points(chart)) > 0
            assert all(0 <= x <= 72 * form.width and 0 <= y <= 72 * form.height for _, x, y in places)


def test_one_bad_learning_rate_does_not_hide_the_others():
    lower = Metric("loss", lambda o, t: 0.0, higher_is_better=False)
    curve = Curve("a", "A", 0, [0.1, 1.0], [0.5, 1e6], [0.5, 1e6], [0.5, 1e6])
    chart = Chart("sensitivity", "t", "s", "c", Across("lr", log=True), Axis(lower, untrained=2.5), [curve])
    (axes,) = draw_chart(chart).figure.axes
    assert axes.get_ylim()[1] == pytest.approx(2.5 + ROOM * 2.0)


def test_times_are_points_with_two_intervals(comparison):
    result = comparison["clouds"]
    (axes,) = draw_chart(chart_times(result)).figure.axes
    found = {gid: (np.asarray(line.get_xdata()), np.asarray(line.get_ydata())) for gid, line in lines(axes).items()}
    row = next(row for row in result.rows if row.name == "adam")
    assert found["series-1-line"][0][0] == row.seconds and "(s)" in axes.get_xlabel()
    assert found["series-1-bar"][1][0] == pytest.approx(max(1 - row.score.high, find_test_axis(result).least))
    assert found["series-1-width"][0][0] <= row.seconds <= found["series-1-width"][0][1]


def test_scattered_trials_are_points_and_pruned_ones_hollow(sampled):
    result = sampled["clouds"]
    (axes,) = draw_sensitivity(result).axes
    found = lines(axes)
    search = result.runs("adam", "search")
    gone = {r["lr"] for r in search if r["pruned"]}
    whole, few = found["series-1-line"], found["series-1-pruned"]
    assert set(few.get_xdata()) == gone and set(whole.get_xdata()) == {r["lr"] for r in search} - gone
    assert whole.get_linestyle() == few.get_linestyle() == "None" and few.get_fillstyle() == "none"
    assert np.isnan(found["series-1-bar"].get_ydata()).sum() == 12, "a bar over the seeds for each trial"
    head, rows = chart_sensitivity(result).tabulate()
    assert head[-1] == "remark" and len(rows) == 24 and sum("chosen" in row[-1] for row in rows) == 2


def test_many_curves_are_drawn_without_their_bands(comparison):
    chart = chart_curves(comparison["clouds"])
    few, many = (replace(chart, curves=[*chart.curves] * count) for count in (CROWD // 2, CROWD))
    assert len(draw_chart(few).figure.axes[0].collections) == CROWD
    assert len(draw_chart(many).figure.axes[0].collections) == 0
    assert len(draw_chart(many, WIDE).figure.axes[0].collections) == 2 * CROWD, "the page shows one at a time"


def test_a_long_legend_makes_the_picture_higher_not_the_chart_lower(comparison):
    chart = chart_curves(comparison["clouds"])
    curves = [replace(chart.curves[0], title=f"SGD + momentum (schedule cosine, clip {i})") for i in range(36)]
    heights = []
    for own in (chart, replace(chart, curves=curves)):
        figure = draw_chart(own).figure
        figure.draw_without_rendering()
        heights.append(figure.axes[0].get_position().height * figure.get_figheight())
    assert heights[1] == pytest.approx(heights[0], rel=0.15)
