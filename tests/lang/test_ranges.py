"""Intervals: what they admit and how they read."""

import math
from typing import Annotated, get_args

import pytest

from descend.lang.ranges import (
    DecoupledDecay,
    Fraction,
    Keep,
    L2Decay,
    NonNegative,
    OwnDecay,
    Positive,
    Range,
    Real,
    find_marks,
)


@pytest.mark.parametrize(
    "kind,inside,outside,text",
    [
        (Real, [-1e300, 0.0, 5], [], "any finite number"),
        (NonNegative, [0.0, -0.0, 1e300], [-1e-300], "0 <= x"),
        (Positive, [1e-320, 7], [0.0, -1.0], "0 < x"),
        (Keep, [0.0, 0.999999], [1.0, -0.1, 1.5], "0 <= x < 1"),
        (Fraction, [0.0, 1.0], [1.0000001, -1e-9], "0 <= x <= 1"),
    ],
)
def test_ranges(kind, inside, outside, text):
    limits = next(m for m in get_args(kind) if isinstance(m, Range))
    assert all(limits.admits(x) for x in inside)
    assert not any(limits.admits(x) for x in [*outside, math.nan, math.inf, -math.inf])
    assert str(limits) == text


@pytest.mark.parametrize(
    "limits,text",
    [
        (Range(low=-2, high=3), "-2 <= x <= 3"),
        (Range(low=-2, high=3, open_low=True, open_high=True), "-2 < x < 3"),
        (Range(high=0.25), "x <= 0.25"),
    ],
)
def test_words_of_a_range(limits, text):
    assert str(limits) == text


@pytest.mark.parametrize("kind,means", [(L2Decay, "l2"), (DecoupledDecay, "decoupled"), (OwnDecay, "own")])
def test_decay_marks_carry_their_meaning_and_a_range(kind, means):
    limits, mark = find_marks(kind)
    assert mark.kind == means
    assert limits.admits(0.0) and not limits.admits(-0.1)


def test_marks_of_others_are_left_alone():
    assert find_marks(Annotated[float, "metres"]) == ()
    assert find_marks(float) == ()
