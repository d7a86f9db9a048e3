from dataclasses import replace

from descend.compare import Comparison
from descend.draw.charts import Across, Chart, chart_profiles, chart_sensitivity
from descend.draw.series import Axis, Curve
from descend.tasks import accuracy


def test_a_point_tells_who_where_how_much_and_what_happened():
    curve = Curve("a", "A", 0, [0.1], [0.05], [0.02], [0.08], lost=[True], chosen=0.1)
    chart = Chart("sensitivity", "t", "s", "c", Across("learning rate"), Axis(accuracy), [curve])
    assert chart.describe(curve, 0).splitlines() == [
        "A",
        "learning rate: 0.1",
        "validation accuracy: 95.0 %",
        "seeds: 92.0 % to 98.0 %",
        "runs diverged",
        "chosen",
    ]


def test_the_table_has_the_numbers_and_dashes_where_there_are_none():
    curves = [Curve("a", "A", 0, [1, 2], [0.1, 0.2], [0, 0], [1, 1]), Curve("b", "B", 1, [2], [0.3], [0], [1])]
    chart = Chart("curves", "t", "s", "c", Across("updates"), Axis(accuracy), curves)
    assert chart.tabulate() == (["updates", "A", "B"], [["1", "90.0 %", "–"], ["2", "80.0 %", "70.0 %"]])


def test_profiles_need_two_tasks(comparison):
    result = comparison["clouds"]
    assert chart_profiles(comparison) is None
    chart = chart_profiles(Comparison([result, replace(result, task=replace(result.task, name="mist"))]))
    assert [list(curve.mean) for curve in chart.curves] == [list(p.shares) for p in Comparison([result] * 2).profiles()]
    assert chart.stepped and chart.axis.show(0.5) == "50 %"


def test_a_sensitivity_chart_says_what_its_marks_mean(comparison):
    assert "Ring: chosen. Cross: runs diverged." in chart_sensitivity(comparison["clouds"]).caption
