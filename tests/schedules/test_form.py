"""Schedules of one's own: one function, one decorator."""

import inspect

import pytest

from descend.errors import OptionError
from descend.lang import Value, minimum
from descend.schedules import constant, cosine, from_data, schedule
from descend.schedules.arguments import Number, Steps


@schedule(horizon=lambda T, power: T)
def own_polynomial(k: Value, T: Steps, power: Number = 1.0) -> Value:
    return (1 - minimum(k, T) / T) ** power


@schedule(horizon=None)
def own_inverse_root(k: Value) -> Value:
    return (k + 1) ** -0.5


def test_a_formula_becomes_a_schedule():
    made = own_polynomial(4, power=2) * 0.1
    assert made.table(6) == pytest.approx([0.1, 0.05625, 0.025, 0.00625, 0, 0])
    assert made == from_data(["mul", ["own_polynomial", 4, 2.0], 0.1])
    assert repr(made) == "own_polynomial(4, power=2.0) * 0.1"


def test_one_that_never_settles_needs_a_horizon():
    made = own_inverse_root() * cosine(5)
    assert made.horizon is None
    assert constant(2).then(own_inverse_root(), at=3).horizon is None
    assert own_inverse_root().minimum(3) == 0.5
    with pytest.raises(OptionError, match=r"Name the last k"):
        made.maximum()


def test_signature_and_docstring_are_those_of_the_source():
    assert list(inspect.signature(cosine).parameters) == ["T", "floor"]
    assert inspect.signature(cosine).parameters["floor"].default == 0.0
    assert (cosine.__doc__ or "").startswith("Falls from 1")


def test_a_parameter_needs_a_range():
    with pytest.raises(OptionError, match="parameter 'T' has no range"):

        @schedule(horizon=None)
        def unmarked(k: Value, T: int) -> Value:
            return k / T


@pytest.mark.parametrize("name", ["cosine", "mul"])
def test_names_that_are_taken_are_refused(name: str):
    def formula(k: Value) -> Value:
        return k

    formula.__name__ = name
    with pytest.raises(OptionError, match=f"named '{name}' exists"):
        schedule(horizon=None)(formula)
    assert cosine(2).at(2) == 0.0
