"""The next values of schedules, computed ahead of the steps that they are for.

One step's values, found and written after a backward pass has emptied the caches, take as long as many found together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from descend.backends.cpu.inspection.contents import Contents, Place
from descend.errors import OptionError
from descend.lang.rule import Rule
from descend.optim.clock import Clock, find_value, write_value
from descend.optim.numbers import Numbers, plain
from descend.optim.options import check_changed
from descend.schedules import Schedule

if TYPE_CHECKING:
    from descend.optim.batches import Unit

AHEAD = 64
"""Updates, at most, whose values are computed together; after what could change a schedule one, then twice as many."""


@dataclass(slots=True)
class Course:
    """One option of one group through the next updates.

    Args:
        group: whose option.
        name: the option's key.
        place: of its value among the contents of groups.
        values: what the group holds: now, and at each of these updates.
        written: for each of its schedules, under which key the clock notes it, and its values.
        inputs: memory of an input table, a place in it, and what stands there: now, and at each of these updates.
    """

    group: dict[str, Any]
    name: str
    place: Place
    values: list[Any]
    written: list[tuple[tuple[int, str], list[float]]]
    inputs: "list[tuple[memoryview[float], int, list[float]]]"


class Courses:
    """Writes the values that schedules have at an update, as the clock and the plan would.

    Args:
        clock: of the optimizer.
        groups: its parameter groups.
        units: its batches.
        contents: of the groups.
        numbers: reads the groups.
        rule: the method, which says what they may hold.
    """

    def __init__(
        self,
        clock: Clock,
        groups: Sequence[dict[str, Any]],
        units: Sequence["Unit"],
        contents: Contents,
        numbers: Numbers,
        rule: Rule,
    ) -> None:
        self._rule = rule
        self._clock, self._groups, self._units = clock, groups, units
        self._contents, self._numbers = contents, numbers
        self._courses: list[Course] = []
        self._from = self._at = 0
        self._ahead = 1

    def forget(self) -> None:
        """Something may have been written that the next values depend on, or where they belong."""
        self._courses, self._ahead = [], 1

    def write(self) -> bool:
        """Write the values of the update that comes; whether that was possible.

        It is not where a group holds another value than the last update's, which the clock must see.
        """
        at = self._clock.count.value - self._from + 1  # where the lists hold this update's values
        if not self._courses or not 0 < at < len(self._courses[0].values):
            if not self._foresee():
                return False
            at = 1
        for course in self._courses:
            if course.group.get(course.name) != course.values[at - 1]:
                return False
        self._put(at)
        return True

    def settle(self) -> None:
        """The update was taken: the clock notes what was written for it."""
        for course in self._courses:
            for key, values in course.written:
                self._clock.written[key] = values[self._at - 1]

    def take_back(self) -> None:
        """The update was not taken: write the last one's values again."""
        self._put(self._at - 1)

    def _put(self, at: int) -> None:
        self._at = at
        for course in self._courses:
            value = course.values[at]
            course.group[course.name] = value
            self._contents.put(course.place, value)
            for memory, place, values in course.inputs:
                memory[place] = values[at]

    def _foresee(self) -> bool:
        """Compute the next values; whether there are some that can be written without looking further."""
        if not self._contents.are_same():
            return False
        self._from = self._clock.updates
        for ahead in dict.fromkeys((self._ahead, 1)):
            self._courses = []
            if all(self._foresee_group(i, group, ahead) for i, group in enumerate(self._groups)):
                self._ahead = min(2 * ahead, AHEAD)
                return bool(self._courses)
        return False

    def _foresee_group(self, index: int, group: dict[str, Any], ahead: int) -> bool:
        """Compute one group's next values; whether none of them is one that the clock or the plan must see."""
        followed: dict[str, dict[str, Schedule]] = {}
        for key, data in group.get("schedules", {}).items():
            if find_value(group, key, index) != self._clock.written.get((index, key)):
                return False
            followed.setdefault(key.partition("[")[0], {})[key] = self._clock.parse(data)
        start = self._from - int(plain(group.get("schedule_start", 0)))
        for name, schedules in followed.items():
            numbers = {key: [s.at(start + j) for j in range(ahead)] for key, s in schedules.items()}
            if max(numbers.get("lr", [0.0])) > plain(group["lr_max"]):  # which would have to be raised
                return False
            course = self._make_course(index, group, name, numbers)
            if not self._are_allowed(course):
                return False
            self._courses.append(course)
        return len(followed) < 2 or not self._rule.check  # which may forbid two values beside each other

    def _are_allowed(self, course: Course) -> bool:
        """Whether a group may hold all values."""
        group, name, values = course.group, course.name, course.values[1:]
        if not all(isfinite(number) for _, numbers in course.written for number in numbers):
            return False
        if not self._rule.check:  # then what is allowed is a range
            columns = list(zip(*values, strict=True)) if isinstance(values[0], tuple) else []
            ends = [tuple(None if None in c else end(c) for c in columns) for end in (min, max)]
            values = ends if columns else [min(values), max(values)]
        try:
            for value in values:
                check_changed(self._rule, {name: value}, {**group, name: value}, self._rule.name)
        except OptionError:
            return False
        return True

    def _make_course(self, index: int, group: dict[str, Any], name: str, numbers: dict[str, list[float]]) -> Course:
        values, scratch = [group[name]], {name: group[name]}
        for row in zip(*numbers.values(), strict=True):
            for key, value in zip(numbers, row, strict=True):
                write_value(scratch, key, value)
            values.append(scratch[name])
        inputs = dict(numbers)
        if name == "lr":
            shares = [self._numbers.relate(lr, group) for lr in numbers["lr"]]
            inputs |= {key: [share[key] for share in shares] for key in shares[0]}
        return Course(
            group=group,
            name=name,
            place=self._contents.find(index, name),
            values=values,
            written=[((index, key), v) for key, v in numbers.items()],
            inputs=[
                (memory, place, [memory[place], *inputs[key]])
                for unit in self._units
                for key in inputs
                for memory, place in unit.rows.locate(group, key)
            ],
        )
