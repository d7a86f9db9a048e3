import itertools

import numpy as np
import pytest

from descend.draw import draw_curves, draw_overview, draw_sensitivity
from descend.draw.figures import spread


def lines(axes):
    return {line.get_gid(): line for line in axes.get_lines() if line.get_gid()}


def test_curves_draw_the_numbers_with_axes_and_units(comparison):
    result = comparison["clouds"]
    (axes,) = draw_curves(result).axes
    found = lines(axes)
    finals = result.runs("adam", "final")
    last = sum(1 - r["validation_metrics"][-1] for r in finals) / len(finals)
    assert np.asarray(found["series-adam-line"].get_ydata())[-1] == pytest.approx(max(last, 1e-3))
    assert list(found["series-adam-line"].get_xdata()) == [0, 4, 8, 12]
    assert axes.get_xlabel() == "updates" and "accuracy" in axes.get_ylabel() and axes.get_yscale() == "log"
    assert {c.get_gid() for c in axes.collections} >= {"series-adam-band", "series-sgd-momentum-band"}


def test_sensitivity_marks_the_chosen_rate(comparison):
    result = comparison["clouds"]
    (axes,) = draw_sensitivity(result).axes
    found = lines(axes)
    chosen = {row.name: row.lr for row in result.rows}
    assert np.asarray(found["series-adam-best"].get_xdata())[0] == chosen["adam"]
    assert axes.get_xscale() == "log" and "learning rate" in axes.get_xlabel()
    assert len(found["series-adam-line"].get_xdata()) == 3


def test_overview_has_two_charts_a_task(comparison):
    assert len(draw_overview(comparison).axes) == 2


def test_labels_keep_their_order_and_their_distance():
    heights = [0.5, 0.1, 0.52, 0.51, 0.9]
    places = spread(heights, 0.05)
    ordered = sorted(range(5), key=lambda i: heights[i])
    assert sorted(range(5), key=lambda i: places[i]) == ordered
    assert all(b - a >= 0.05 - 1e-9 for a, b in itertools.pairwise(sorted(places)))
    assert places[1] == 0.1 and places[4] == 0.9
    assert spread([], 0.05) == []
