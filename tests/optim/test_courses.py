"""Values computed ahead are those that the clock would write, and go where it would write them."""

from typing import Any

import pytest
import torch
from torch.nn import Parameter

import descend
from descend.optim import courses
from descend.optim.courses import AHEAD, Courses
from descend.schedules import cosine, warmup


def make(**options: object) -> tuple[descend.Optimizer, Courses]:
    """An optimizer after its first step, and the courses of its schedules."""
    p = Parameter(torch.ones(3))
    p.grad = torch.ones(3)
    optimizer = descend.AdamW([p], **options)
    optimizer.step()
    plan = optimizer._plan
    assert plan is not None
    groups, (_, values) = optimizer.param_groups, plan.contents
    return optimizer, Courses(optimizer.clock, groups, plan.batches, values, plan.numbers, optimizer.rule)


def test_values_of_many_updates_are_the_schedules_own():
    schedule = warmup(10) * cosine(300) * 0.1
    optimizer, following = make(lr=schedule)
    for k in range(1, 3 * AHEAD):
        assert following.write()
        assert optimizer.param_groups[0]["lr"] == schedule.at(k)
        following.settle()
        optimizer.clock.count.value += 1


def test_values_are_computed_for_twice_as_many_updates_each_time(monkeypatch: pytest.MonkeyPatch):
    optimizer, following = make(lr=cosine(300) * 0.1)
    made: list[int] = []
    make_course = Courses._make_course
    monkeypatch.setattr(
        courses.Courses,
        "_make_course",
        lambda self, i, group, name, numbers: (
            made.append(len(numbers["lr"])) or make_course(self, i, group, name, numbers)
        ),
    )
    for _ in range(200):
        assert following.write()
        following.settle()
        optimizer.clock.count.value += 1
    assert made == [1, 2, 4, 8, 16, 32, 64, 64, 64]
    following.forget()
    assert following.write()
    assert made[9:] == [1]


def test_what_is_taken_back_is_as_before():
    optimizer, following = make(lr=cosine(300) * 0.1, betas=(cosine(100) * 0.9, 0.99))
    unit = optimizer._plan.batches[0]
    group, inputs = dict(optimizer.param_groups[0]), unit.rows.inputs.copy()
    assert following.write()
    assert optimizer.param_groups[0] != group
    assert (unit.rows.inputs != inputs).any()
    following.take_back()
    assert optimizer.param_groups[0] == group
    assert (unit.rows.inputs == inputs).all()


@pytest.mark.parametrize("computed", [False, True])
def test_another_value_in_a_group_is_left_to_the_clock(computed: bool):
    optimizer, following = make(lr=cosine(300) * 0.1)
    if computed:
        assert following.write()
        following.take_back()
    optimizer.param_groups[0]["lr"] = 0.25
    assert not following.write()
    assert optimizer.param_groups[0]["lr"] == 0.25


def test_without_schedules_there_is_nothing_to_write():
    _, following = make(lr=0.1)
    assert not following.write()


@pytest.mark.parametrize(
    ("options", "last", "expected"),
    [
        ({"betas": (0.9, warmup(20) * 1.2)}, 15, (0.9, 0.96)),  # 17 / 20 * 1.2 is more than 1
        ({"lr": warmup(20) * 0.2, "weight_decay": 0.1}, 40, 0.2),
    ],
)
def test_values_that_are_not_allowed_are_left_to_their_step(options: dict[str, Any], last: int, expected: object):
    optimizer, following = make(**options)
    for _ in range(last):
        assert following.write()
        following.settle()
        optimizer.clock.count.value += 1
    assert optimizer.param_groups[0][next(iter(options))] == pytest.approx(expected)
    assert following.write() == ("lr" in options)
