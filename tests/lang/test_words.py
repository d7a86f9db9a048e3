"""Each word's meaning on plain numbers: IEEE, without exceptions, equal to NumPy's."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from descend.lang.words import WORDS, evaluate

NUMPY = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "neg": np.negative, "pow": np.power,
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal, "ne": np.not_equal,
    "sqrt": np.sqrt, "abs": np.abs, "sign": np.sign, "exp": np.exp, "log": np.log, "tanh": np.tanh,
    "minimum": np.minimum, "maximum": np.maximum, "cos": np.cos, "floor": np.floor,
}  # fmt: skip
UNARY = [w for w in NUMPY if WORDS[w].text.count("{") == 1]
BINARY = [w for w in NUMPY if w not in UNARY]
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 1e-320, 1e308, -1e308, math.inf, -math.inf, math.nan, 1000.0]


def assert_agrees(op, *args):
    with np.errstate(all="ignore"):
        expected = float(NUMPY[op](*(np.full(2, a, float) for a in args))[0])
    got = float(evaluate(op, *args))
    np.testing.assert_allclose(got, expected, rtol=4e-16 if op in ("exp", "log", "tanh", "pow", "cos") else 0)
    if expected == 0 and op not in ("minimum", "maximum", "sign"):  # IEEE leaves min(0, -0) open
        assert math.copysign(1, got) == math.copysign(1, expected)


@pytest.mark.parametrize("a", SPECIAL)
@pytest.mark.parametrize("op", UNARY)
def test_one_argument(op, a):
    assert_agrees(op, a)


@pytest.mark.parametrize("op", BINARY)
def test_two_arguments(op):
    for a in SPECIAL:
        for b in SPECIAL:
            assert_agrees(op, a, b)


@given(st.floats(), st.floats())
def test_any_two_numbers(a, b):
    for op in BINARY:
        assert_agrees(op, a, b)


@pytest.mark.parametrize("a,expected", [(4.0, 0.5), (0.0, math.inf), (math.inf, 0.0)])
def test_rsqrt(a, expected):
    assert evaluate("rsqrt", a) == expected
    assert math.isnan(evaluate("rsqrt", -1.0))


@pytest.mark.parametrize("a", [False, True])
@pytest.mark.parametrize("b", [False, True])
def test_logic(a, b):
    assert evaluate("and", a, b) == (a and b)
    assert evaluate("or", a, b) == (a or b)
    assert evaluate("not", a) == (not a)
    assert evaluate("where", a, 3.0, 4.0) == (3.0 if a else 4.0)


def test_every_word_is_covered_here():
    assert set(WORDS) == {*NUMPY, "rsqrt", "and", "or", "not", "where"}
