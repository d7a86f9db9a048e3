"""A list or dict that holds another object is noticed, and nothing else is."""

from collections.abc import Callable
from typing import Any

import pytest

from descend.backends.cpu.inspection.contents import Contents


class Unequal:
    """Equal to nothing, not even to itself; nobody asks."""

    def __eq__(self, other: object) -> bool:
        raise AssertionError("objects are compared by identity")


@pytest.fixture(params=[True, False], ids=["compiled", "python"])
def compiled(request: pytest.FixtureRequest) -> bool:
    return request.param


def make() -> list[Any]:
    return [{"lr": 0.5, "betas": (0.9, 0.99)}, [], [Unequal(), 3.5, None], {}, ["a"]]


CHANGES: dict[str, Callable[[list[Any]], object]] = {
    "another value": lambda c: c[0].__setitem__("lr", 0.25),
    "an equal value that is another object": lambda c: c[0].__setitem__("lr", float("0.5")),
    "another value, the last": lambda c: c[4].__setitem__(0, "b"),
    "one more": lambda c: c[1].append(1),
    "one more in an empty dict": lambda c: c[3].update(x=1),
    "one less": lambda c: c[2].pop(),
    "another order": lambda c: c[2].reverse(),
    "one moved to a neighbour": lambda c: c[1].append(c[2].pop(0)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_noticed_until_it_is_taken_over(change, compiled):
    containers = make()
    contents = Contents(containers, compiled)
    assert contents.are_same()
    CHANGES[change](containers)
    assert not contents.are_same()
    assert not contents.are_same()
    contents.renew()
    assert contents.are_same()


def test_objects_are_kept_so_that_no_other_can_take_their_place_in_memory(compiled):
    containers = [{"lr": float("0.125")}]
    contents = Contents(containers, compiled)
    for k in range(1000):
        containers[0]["lr"] = float(k)
        assert not contents.are_same()


def test_writing_the_same_object_again_is_no_change(compiled):
    containers = make()
    contents = Contents(containers, compiled)
    containers[0].update(dict(containers[0]))
    containers[2].append(containers[2].pop())
    assert contents.are_same()


def test_no_containers_at_all(compiled):
    assert Contents([], compiled).are_same()
