"""One compiled call takes a step where all is as it was, and changes nothing where anything is otherwise."""

import ctypes
from typing import Any

import pytest
import torch
from torch.nn import Parameter

import descend
from descend.backends.cpu import repetition, team
from descend.backends.cpu.inspection.contents import Contents
from descend.backends.cpu.inspection.gradients import find_torch
from descend.backends.cpu.repetition_template import Outcome

pytestmark = [
    pytest.mark.skipif(find_torch() is None, reason="compiled code cannot ask this torch for gradients"),
    pytest.mark.skipif(team.describe() is None, reason="torch's threads are not OpenMP's"),
]
SMALL, BIG = (4, 3), (300, 200)
"""The second is stepped by several threads, if there are any."""


class Repeated:
    """SGD's second step, as a call.

    Args:
        shape: of the only parameter.
        changed: arguments of ``make`` that are otherwise than a plan would give them.
    """

    def __init__(self, shape: tuple[int, ...] = SMALL, **changed: Any) -> None:
        self.p = Parameter(torch.zeros(shape))
        self.p.grad = torch.ones(shape)
        self.optimizer = descend.SGD([self.p], lr=1.0)
        self.optimizer.step()
        plan = self.optimizer._plan
        assert plan is not None
        (self.unit,) = plan.batches
        self.known: list[Any] = [1.5, "a"]
        self.updates = ctypes.c_int64(7)
        given: dict[str, Any] = {
            "contents": [Contents([self.known], compiled=True), Contents([], compiled=True)],
            "batches": [self.unit.describe()],
            "totals": plan.totals,
            "guarded": False,
            "threads": team.describe(),
            "updates": self.updates,
            "until": -1,
        }
        self.call = repetition.make(**{**given, **changed})

    def step(self) -> int:
        assert self.call is not None
        return self.call()

    def assert_left_alone(self) -> None:
        assert self.p.eq(-1.0).all()
        assert self.updates.value == 7
        assert self.unit.steps.tolist() == [1.0]


@pytest.mark.parametrize("shape", [SMALL, BIG])
def test_a_step_is_taken_and_counted(shape):
    repeated = Repeated(shape)
    for k in range(3):
        repeated.p.grad = torch.full(shape, float(k))
        assert repeated.step() == Outcome.DONE
    assert repeated.p.eq(-1.0 - 0.0 - 1.0 - 2.0).all()
    assert repeated.updates.value == 10
    assert repeated.unit.steps.tolist() == [4.0]


def test_other_contents():
    repeated = Repeated()
    repeated.known[1] = "b"
    assert repeated.step() == Outcome.NOTHING
    repeated.assert_left_alone()
    repeated.known[1] = "a"
    assert repeated.step() == Outcome.DONE


def test_a_step_that_python_wants():
    repeated = Repeated(until=8)
    assert repeated.step() == Outcome.DONE
    assert repeated.step() == Outcome.NOTHING
    assert repeated.updates.value == 8


@pytest.mark.parametrize("word", ["forked", "thread", "threads"])
def test_other_threads(word):
    known = team.describe()
    assert known is not None
    other = {**known, word: known[word] + 1}
    repeated = Repeated(BIG, threads=other)
    assert repeated.step() == Outcome.NOTHING
    repeated.assert_left_alone()
    assert Repeated(SMALL, threads=other).step() == Outcome.DONE  # one thread steps it, whichever others there are


def test_threads_that_cannot_be_asked_for():
    assert Repeated(BIG, threads=None).call is None
    assert Repeated(SMALL, threads=None).step() == Outcome.DONE


def test_a_gradient_that_is_missing_is_told_to_who_takes_the_step_instead():
    repeated = Repeated()
    repeated.p.grad = None
    assert repeated.step() == Outcome.NOTHING
    repeated.assert_left_alone()
    assert not repeated.unit.take()


def test_gradients_are_let_go():
    repeated = Repeated()
    gradient = torch.ones(SMALL)
    repeated.p.grad = gradient
    before = gradient._use_count()
    assert repeated.step() == Outcome.DONE
    assert gradient._use_count() == before


@pytest.mark.parametrize("guarded", [False, True])
def test_gradients_that_are_not_finite(guarded):
    """Guarded, the first pass only looks; here it steps, which shows that nothing followed it."""
    repeated = Repeated(guarded=guarded)
    repeated.p.grad = torch.full(SMALL, float("inf"))
    assert repeated.step() == (Outcome.NOTHING if guarded else Outcome.NOT_FINITE)
    assert repeated.updates.value == (7 if guarded else 8)
    repeated.p.grad = torch.ones(SMALL)
    assert repeated.step() == Outcome.DONE
