import pytest

from compare.workloads import CLOUDS
from descend.compare import compare
from descend.draw.charts import chart_sweeps
from descend.draw.figures import draw_chart
from descend.draw.sweeps import split_name, sweep_curves, sweep_values


@pytest.fixture(scope="module")
def result():
    vary = {"schedule": ["constant", "cosine"], "weight_decay": [0, 0.01]}
    return compare(CLOUDS, ["sgd", "adam"], seeds=2, search_seeds=1, trials=1, workers=0, vary=vary)["clouds"]


def test_names_are_split_at_settings_and_not_inside_values():
    assert split_name("adam@betas=(0.9, 0.99),clip=1") == ("adam", {"betas": "(0.9, 0.99)", "clip": "1"})
    assert split_name("adam") == ("adam", {})


def test_each_setting_has_a_chart_with_a_line_for_the_rest(result):
    assert sweep_values(result) == {"schedule": ["constant", "cosine"], "weight_decay": ["0", "0.01"]}
    curves = sweep_curves(result, "schedule")
    assert [curve.title for curve in curves] == [
        f"{name}, weight_decay {value}" for name in ("SGD", "Adam") for value in ("0", "0.01")
    ]
    row = next(row for row in result.rows if row.name == "adam@schedule=cosine,weight_decay=0.01")
    assert curves[-1].x == [0.0, 1.0] and curves[-1].mean[1] == pytest.approx(1 - row.score.mean)


def test_the_picture_names_the_values(result):
    chart = chart_sweeps(result)[0]
    (axes,) = draw_chart(chart).figure.axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["constant", "cosine"]
    assert axes.get_legend() is not None and axes.get_xlabel() == "schedule"


def test_without_variations_there_is_none(comparison):
    assert chart_sweeps(comparison["clouds"]) == []
