from types import SimpleNamespace

import pytest

from compare.workloads import CLOUDS, record
from descend.compare.contender import Contender
from descend.draw.series import LEAST_ERROR, Axis, find_axis, learning_curves, sensitivity_curves
from descend.tasks import Metric, accuracy

A = Contender("a", "A", "Adam", (0.1, 0.3))


def result(records, lr=0.1):
    def runs(name, stage):
        return [r for r in records if r["stage"] == stage and r["contender"] == name]

    protocol = SimpleNamespace(target=0.95, steps=12, search="grid")
    return SimpleNamespace(
        task=CLOUDS,
        protocol=protocol,
        contenders=[A],
        records=records,
        runs=runs,
        rows=[SimpleNamespace(name="a", lr=lr)],
    )


def test_an_accuracy_is_drawn_as_an_error_and_never_as_zero():
    axis = Axis(accuracy)
    assert axis.log and axis.place(0.9) == pytest.approx(0.1) and axis.clip([0.0, 0.5]) == [LEAST_ERROR, 0.5]
    assert axis.tick(0.05) == "5 %" and "accuracy" in axis.label


def test_other_metrics_are_drawn_as_they_are():
    axis = Axis(Metric("loss", lambda o, t: 0.0, higher_is_better=False))
    assert not axis.log and axis.place(0.9) == 0.9 and axis.label == "validation loss" and axis.tick(0.5) == "0.5"


def test_curves_are_means_with_the_extremes_of_the_seeds():
    records = [record("a", "final", seed=s, metric=m) for s, m in ((0, 0.8), (1, 0.9), (2, 1.0))]
    axis, (curve,) = find_axis(result(records)), learning_curves(result(records))
    assert list(curve.x) == [0, 4, 8, 12] and axis.target == pytest.approx(0.05)
    assert curve.mean[-1] == pytest.approx((0.2 + 0.1) / 3)
    assert (curve.low[-1], curve.high[-1]) == (0.0, pytest.approx(0.2))


def test_diverged_runs_have_no_learning_curve_but_a_place_in_the_sensitivity():
    lost = record("a", "final", metric=0.3, diverged=True)
    assert learning_curves(result([lost])) == []
    records = [record("a", lr=0.3, metric=0.3, diverged=True), record("a", lr=0.1, metric=0.9)]
    (curve,) = sensitivity_curves(result(records))
    assert list(curve.x) == [0.1, 0.3] and list(curve.lost) == [False, True] and curve.chosen == 0.1
    assert curve.mean == pytest.approx([0.1, 0.7])


def test_a_zero_is_drawn_half_as_high_as_the_finest_error_seen():
    axis = find_axis(result([record("a", metric=0.9), record("a", seed=1, metric=1.0)]))
    assert axis.least == pytest.approx(0.05) and axis.untrained is not None
