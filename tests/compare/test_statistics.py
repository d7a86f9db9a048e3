import math
import random

import pytest
from scipy import stats

from descend.compare.statistics import differences, estimate, p_value, t_quantile, t_tails


@pytest.mark.parametrize("degrees", [1, 2, 4, 9, 60])
@pytest.mark.parametrize("probability", [0.6, 0.9, 0.975, 0.9999])
def test_quantiles_equal_scipy(probability, degrees):
    assert t_quantile(probability, degrees) == pytest.approx(stats.t.ppf(probability, degrees), rel=1e-9)


@pytest.mark.parametrize("t", [0.0, 0.3, 2.0, 15.0, 300.0])
def test_tails_equal_scipy(t):
    assert t_tails(t, 4) == pytest.approx(2 * stats.t.sf(t, 4), rel=1e-9)


def test_interval_of_a_textbook_sample():
    found = estimate([4.0, 5.0, 6.0])
    assert (found.mean, found.count) == (5.0, 3)
    assert found.half_width == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)


def test_one_seed_says_nothing():
    assert estimate([0.9]).low == -math.inf and estimate([0.9]).high == math.inf


def test_intervals_over_three_seeds_cover_what_they_claim():
    draw = random.Random(0).gauss
    covered = sum(abs(e.mean) <= e.half_width for e in (estimate([draw(0, 1) for _ in range(3)]) for _ in range(2000)))
    assert 0.935 < covered / 2000 < 0.965


def test_p_value_equals_scipy():
    gaps = [0.1, 0.3, -0.05, 0.2, 0.15]
    assert p_value(gaps) == pytest.approx(stats.ttest_1samp(gaps, 0).pvalue, rel=1e-9)


def test_p_value_of_samples_without_spread():
    assert p_value([0.0, 0.0, 0.0]) == 1.0 and p_value([0.1, 0.1, 0.1]) == 0.25 and p_value([0.3]) == 1.0


def test_equal_gaps_of_two_seeds_are_no_proof():
    (gap,) = differences({"a": [0.9, 0.8], "b": [0.8, 0.7]}, "a")
    assert gap.p == 0.5 and not gap.separated


def test_pairing_finds_what_unpaired_intervals_hide():
    easy, hard = [0.90, 0.70, 0.80, 0.60, 0.95], [0.89, 0.688, 0.791, 0.589, 0.94]
    assert estimate(easy).low < estimate(hard).high
    (gap,) = differences({"a": easy, "b": hard}, "a")
    assert gap.separated and gap.interval.low > 0


def test_holm_asks_more_of_the_clearest_and_stops_at_the_first_failure():
    base = [0.5, 0.52, 0.48, 0.51, 0.49]
    noise = [0.01, -0.012, 0.004, 0.006, -0.008]
    rivals = {
        name: [b - d + n * s for b, n in zip(base, noise, strict=True)]
        for name, d, s in (("far", 0.2, 1), ("near", 0.013, 1), ("same", 0.0, 1))
    }
    found = differences({"lead": base, **rivals}, "lead")
    assert [gap.other for gap in found] == ["far", "near", "same"]
    assert [gap.separated for gap in found] == [True, False, False]
    near = found[1]
    assert 0.05 / 2 < near.p < 0.05, "alone it would have been called significant"
    assert near.interval.low < 0 < near.interval.high


def test_a_draw_of_two_at_the_top_is_called_a_win_in_one_case_of_twenty_at_most():
    draw = random.Random(1).gauss
    named = 0
    for _ in range(2000):
        scores = {
            "a": [draw(1, 1) for _ in range(5)],
            "b": [draw(1, 1) for _ in range(5)],
            "c": [draw(-50, 1) for _ in range(5)],
        }
        leader = max(scores, key=lambda name: sum(scores[name]))
        named += all(gap.separated for gap in differences(scores, leader))
    assert named / 2000 < 0.065
