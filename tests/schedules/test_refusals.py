"""What a schedule refuses, and in which words."""

import math
from collections.abc import Callable

import pytest

from descend.errors import OptionError, UnknownOptionError
from descend.schedules import Schedule, constant, cosine, from_data, warmup

NOT_COUNTS = [0, -3, True, 10.0, "10", None, math.nan, 10**400]
NOT_NUMBERS = [math.nan, math.inf, True, "0.1", None, 10**400]


@pytest.mark.parametrize("value", NOT_COUNTS, ids=repr)
@pytest.mark.parametrize("make", [warmup, cosine], ids=["warmup", "cosine"])
def test_horizons_are_counts(make: Callable[..., Schedule], value: object):
    with pytest.raises(OptionError, match=r"=\): .*a whole number of updates, at least 1"):
        make(value)


@pytest.mark.parametrize("value", NOT_COUNTS, ids=repr)
def test_then_starts_at_a_count(value: object):
    with pytest.raises(OptionError, match="number of updates before the change"):
        warmup(3).then(cosine(4), at=value)


@pytest.mark.parametrize("value", [math.nan, -0.1, 1.1, True, "0", None], ids=repr)
def test_floor_is_a_share(value: object):
    with pytest.raises(OptionError, match=r"cosine\(floor=\).*from 0 to 1"):
        cosine(10, floor=value)


@pytest.mark.parametrize("value", NOT_NUMBERS, ids=repr)
def test_constants_are_finite_numbers(value: object):
    with pytest.raises(OptionError, match="finite number"):
        constant(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, True], ids=repr)
def test_factors_are_finite_numbers(value: float):
    with pytest.raises(OptionError, match="finite number"):
        warmup(3) * value
    with pytest.raises(OptionError, match="finite number"):
        value * warmup(3)


def test_folded_factors_do_not_overflow():
    with pytest.raises(OptionError, match="inf"):
        warmup(3) * 1e300 * 1e300


@pytest.mark.parametrize("value", ["2", None, [2]], ids=repr)
def test_other_factors_are_type_errors(value: object):
    with pytest.raises(TypeError):
        warmup(3) * value


@pytest.mark.parametrize("k", [-1, 1.5, "0", math.nan], ids=repr)
def test_at_takes_a_count(k: object):
    with pytest.raises(OptionError, match="number of updates done"):
        warmup(3).at(k)


def test_then_takes_a_schedule():
    with pytest.raises(OptionError, match=r"Write a number x as constant\(x\)"):
        warmup(3).then(0.5, at=3)


def test_clamp_bounds_are_ordered_numbers():
    with pytest.raises(OptionError, match="lo <= hi"):
        warmup(3).clamp(1, 0.5)
    with pytest.raises(OptionError, match="finite"):
        warmup(3).clamp(0, math.nan)


def test_unknown_arguments_are_named():
    with pytest.raises(UnknownOptionError, match="no argument 'flor'. Did you mean 'floor'"):
        cosine(10, flor=0.1)
    with pytest.raises(UnknownOptionError, match=r"cosine\(T: int, floor: float = 0.0\): missing .*'T'"):
        cosine()
    with pytest.raises(UnknownOptionError, match="too many"):
        warmup(1, 2)


def test_unknown_names_in_data_are_named():
    with pytest.raises(OptionError, match="no schedule is named 'cosin'. Did you mean 'cosine'"):
        from_data(["cosin", 1000])


@pytest.mark.parametrize(
    "data",
    [
        3,
        "cosine",
        [],
        [["cosine", 3]],
        ["mul"],
        ["mul", 2, 3],
        ["mul", ["warmup", 3]],
        ["then", ["warmup", 3]],
    ],
    ids=repr,
)
def test_other_data_is_refused(data: object):
    with pytest.raises(OptionError, match="plain data"):
        from_data(data)


@pytest.mark.parametrize(
    "data",
    [
        ["cosine", 0],
        ["cosine"],
        ["mul", ["warmup", 3], "x"],
        ["mul", ["warmup", 3], math.nan],
        ["then", ["warmup", 3], ["cosine", 3], 0],
        ["clamp", ["warmup", 3], 1, 0],
    ],
    ids=repr,
)
def test_data_is_checked_like_source(data: object):
    with pytest.raises(OptionError):
        from_data(data)
