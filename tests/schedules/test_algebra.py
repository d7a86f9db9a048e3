"""Composition: what holds for every schedule that can be built."""

import copy
import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from descend import schedules
from descend.schedules import Schedule, constant, cosine, from_data, warmup
from descend.schedules.form import FORMS
from schedules.built import FACTORS, VALUES, built, factors, numbers, steps

counts = st.integers(0, 300)


@given(built)
def test_every_copy_is_equal(schedule: Schedule):
    through_json = from_data(json.loads(json.dumps(schedule.to_data())))
    read_again = eval(repr(schedule), vars(schedules))
    copies = [through_json, read_again, pickle.loads(pickle.dumps(schedule)), copy.deepcopy(schedule)]
    assert all(other == schedule and hash(other) == hash(schedule) for other in copies)
    assert all(other.table(20) == schedule.table(20) for other in copies)


def test_every_form_of_the_catalogue_is_tried():
    ours = {name for name, form in FORMS.items() if form.formula.__module__.startswith("descend.")}
    assert ours == {*FACTORS, *VALUES} <= set(schedules.__all__)


@given(factors, counts)
def test_factors_stay_between_0_and_1(schedule: Schedule, k: int):
    assert -1e-15 <= schedule.at(k) <= 1 + 1e-15
    assert -1e-15 <= schedule.at(10**9 + k) <= 1 + 1e-15


@given(factors)
def test_a_factor_is_a_share_of_1(schedule: Schedule):
    """Its base is its largest value, which the first 400 updates reach but where the peak shrinks or falls between."""
    highest = max(schedule.table(400))
    assert highest <= schedule.base + 1e-15 and schedule.base == pytest.approx(1.0, abs=1e-15)
    if schedule.to_data()[0] not in ("exp_range", "one_cycle"):
        assert schedule.base == pytest.approx(highest, abs=1e-15)


def test_the_base_is_what_shares_are_of():
    assert (warmup(3) * cosine(5) * 3e-3).base == 3e-3
    assert (constant(0.5) * warmup(3) * 2.0).base == 1.0
    assert constant(0.1).then(cosine(9) * 0.3, at=5).base == 0.3
    assert schedules.linear(9, end=0.2, start=0.1).base == 0.2
    assert (schedules.inverse_sqrt(4) * 0.5).clamp(0.0, 0.2).base == 0.2
    assert schedules.one_cycle_momentum(9).base == 0.95


@given(built, built, counts)
def test_product_multiplies_values(a: Schedule, b: Schedule, k: int):
    assert (a * b).at(k) == pytest.approx(a.at(k) * b.at(k), rel=1e-12, abs=1e-300)


@given(built, built, steps, counts)
def test_then_restarts_the_count(a: Schedule, b: Schedule, at: int, k: int):
    assert a.then(b, at=at).at(k) == (a.at(k) if k < at else b.at(k - at))


@given(built, numbers, numbers, counts)
def test_clamp_bounds_values(a: Schedule, x: float, y: float, k: int):
    lo, hi = min(x, y), max(x, y)
    value = a.clamp(lo, hi).at(k)
    assert lo <= value <= hi
    assert value == a.at(k) or value in (lo, hi)


@given(built, counts)
def test_nothing_changes_after_the_horizon(schedule: Schedule, k: int):
    if schedule.horizon is not None:
        assert schedule.at(schedule.horizon + k) == schedule.at(schedule.horizon)


@given(built, counts)
def test_extremes_are_those_of_the_table(schedule: Schedule, horizon: int):
    table = schedule.table(horizon + 1)
    assert (schedule.minimum(horizon), schedule.maximum(horizon)) == (min(table), max(table))
    if schedule.horizon is not None and schedule.horizon < 5000:
        whole = schedule.table(schedule.horizon + 1)
        assert (schedule.minimum(), schedule.maximum()) == (min(whole), max(whole))


@given(built)
def test_table_lists_at(schedule: Schedule):
    assert schedule.table(70) == [schedule.at(k) for k in range(70)]


@given(steps, st.floats(0, 1), counts)
def test_cosine_falls_and_warmup_rises(n: int, floor: float, k: int):
    assert cosine(n, floor).at(k) >= cosine(n, floor).at(k + 1) >= floor - 1e-15
    assert 0 < warmup(n).at(k) <= warmup(n).at(k + 1) <= 1


def test_horizon_is_the_last_change():
    assert [s.horizon for s in (constant(3), warmup(1), warmup(5), cosine(9))] == [0, 0, 4, 9]
    assert (warmup(5) * cosine(9) * 2).horizon == 9
    assert warmup(5).then(cosine(9), at=20).horizon == 29
    assert warmup(5).at(3) != warmup(5).at(4)
    assert cosine(9).at(8) != cosine(9).at(9)


def test_plain_data_is_short_and_plain():
    schedule = warmup(100) * cosine(1000) * 3e-3
    assert schedule.to_data() == ["mul", ["warmup", 100], ["cosine", 1000], 0.003]
    assert cosine(9, floor=0.1).to_data() == ["cosine", 9, 0.1]
    assert constant().to_data() == ["constant"]
    assert warmup(3).then(constant(0.5), at=3).to_data() == ["then", ["warmup", 3], ["constant", 0.5], 3]
    assert cosine(3).clamp(0, 0.5).to_data() == ["clamp", ["cosine", 3], 0.0, 0.5]


def test_repr_reads_like_the_source():
    assert repr(warmup(100) * cosine(1000) * 3e-3) == "warmup(100) * cosine(1000) * 0.003"
    source = "(2.0 * warmup(3)).then(cosine(4, floor=0.1), at=3).clamp(0.1, 1.5)"
    assert repr(eval(source, vars(schedules))) == source


def test_neighbouring_numbers_fold_and_order_stays():
    a, b = warmup(3), cosine(4)
    assert a * 2 * 3 == a * 6
    assert (a * b) * 2 == a * (b * 2)
    assert a * b != b * a


def test_numpy_numbers_multiply_from_both_sides():
    expected = 2.0 * warmup(3)
    assert np.float64(2) * warmup(3) == expected
    assert type((warmup(3) * np.float32(0.5)).to_data()[2]) is float
    assert cosine(np.int64(4)).to_data() == ["cosine", 4]


def test_schedules_are_immutable():
    schedule = warmup(3) * 2
    with pytest.raises((AttributeError, TypeError)):
        schedule.parts = ()
    with pytest.raises((AttributeError, TypeError)):
        warmup(3).name = "cosine"
    assert schedule == warmup(3) * 2


def test_large_horizons_are_looked_at_once():
    schedule = warmup(10) * cosine(20_000)
    assert schedule.maximum() is schedule.maximum()
    assert math.isclose(schedule.maximum(), 1.0, rel_tol=1e-5)
