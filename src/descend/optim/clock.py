"""The optimizer's clock: how many updates it has done, and the schedules that read it."""

import ctypes
from typing import Any

from descend.errors import OptionError, message
from descend.optim.arguments import check_word
from descend.optim.numbers import plain
from descend.optim.options import refuse_missing
from descend.schedules import Schedule, from_data


class Clock:
    """Counts updates and writes each schedule's value into its group before a step.

    A skipped step does not advance it. In a group, a schedule stands as plain data under ``schedules``, so that
    every way of saving carries it; ``group["lr"]`` is always the float of the last step.

    Attributes:
        count: how many updates have been done, where compiled code counts them too.
        written: the value written last for each schedule, by its group's number and its key there.
    """

    def __init__(self) -> None:
        self.count = ctypes.c_int64(0)
        self._parsed: dict[str, Schedule] = {}
        self.written: dict[tuple[int, str], float] = {}
        self._before: dict[tuple[int, str], tuple[dict[str, Any], float]] = {}

    @property
    def updates(self) -> int:
        """How many updates have been done."""
        return self.count.value

    @updates.setter
    def updates(self, done: int) -> None:
        self.count.value = done

    def adopt(self, group: dict[str, Any], start: str, owner: str) -> None:
        """Turn a new group's schedules into plain data and their present values.

        Args:
            group: with schedules among its options.
            start: ``"clock"`` to read the optimizer's clock, ``"now"`` to begin at 0.
            owner: for messages.

        Raises:
            OptionError: if ``start`` is neither.
        """
        check_word("start", start, owner, ("clock", "now"))
        found = {key: value for key, value in _entries(group) if isinstance(value, Schedule)}
        if found:
            group["schedule_start"] = self.updates if start == "now" else 0
            self._follow(group, found)
        if "lr" not in found:
            highest = plain(group.get("lr", 0.0))
            group.setdefault("lr_start", highest)
            group.setdefault("lr_max", highest)

    def take_over(self, index: int, group: dict[str, Any]) -> None:
        """Follow the schedules that were written into a group after it was made, in the place of a number.

        They read the same count as the group's others, and replace those of the same numbers.

        Args:
            index: the group's place.
            group: whose options, schedules among them, are allowed.
        """
        found = {key: value for key, value in _entries(group) if isinstance(value, Schedule)}
        if found:
            self._follow(group, found)
            for key in found:
                self.written.pop((index, key), None)
        followed = group.get("schedules")
        if group.get("decay") == "corrected" and isinstance(followed, dict) and "lr" in followed:
            lr = self.parse(followed["lr"])
            if group["lr_max"] == lr.base and lr.horizon is not None:  # not looked for while the decay was another
                group["lr_max"] = lr.maximum()

    def _follow(self, group: dict[str, Any], found: dict[str, Schedule]) -> None:
        """Write schedules into a group as plain data, and their present values."""
        group["schedules"] = {**group.get("schedules", {}), **{key: s.to_data() for key, s in found.items()}}
        k = self.updates - group.setdefault("schedule_start", 0)
        for key, schedule in found.items():
            write_value(group, key, schedule.at(k))
        lr = found.get("lr")
        if lr is not None:
            group["lr_start"] = lr.base
            if group.get("decay") != "corrected":  # which alone reads it, and a million values take seconds to look at
                group["lr_max"] = lr.base
            else:
                group["lr_max"] = lr.maximum() if lr.horizon is not None else lr.at(0)

    def write(self, groups: list[dict[str, Any]]) -> bool:
        """Write every schedule's value for this step.

        Returns:
            False if a learning rate of 0 was written over a schedule: such a step moves nothing (distributed
            checkpointing takes one to make an optimizer allocate its states).

        Raises:
            OptionError: if another value was written over a schedule, or torch's scheduler drives it too.
        """
        for i, group in enumerate(groups):
            if "schedules" not in group:
                continue
            if not isinstance(group["schedules"], dict):
                allowed, do = 'plain data, such as {"lr": ["cosine", 1000]}', "Or write group['lr'] = cosine(1000)"
                raise OptionError(message(f"Group {i}: schedules", got=group["schedules"], allowed=allowed, do=do))
            k = self.updates - int(plain(group.setdefault("schedule_start", 0)))
            for key in group["schedules"]:
                present = find_value(group, key, i)
                if type(present) is not float:  # quicker than asking for what it seldom is
                    if isinstance(present, Schedule):
                        self.take_over(i, group)
                    present = plain(find_value(group, key, i))
                schedule = self.parse(group["schedules"][key])
                if self._was_zeroed(i, group, key, schedule, k, present):
                    self.retract()
                    return False
                self._before.setdefault((i, key), (group, present))
                self.written[i, key] = schedule.at(k)
                write_value(group, key, self.written[i, key])
        return True

    def retract(self) -> None:
        """The step that values were written for is not taken: groups hold those of the last step again."""
        for (index, key), (group, value) in self._before.items():
            self.written[index, key] = value
            write_value(group, key, value)
        self._before = {}

    def advance(self) -> None:
        """An update has been done."""
        self.updates += 1
        self.settle()

    def settle(self) -> None:
        """The update that values were written for has been done and counted."""
        self._before = {}

    def resume(self, updates: int, groups: list[dict[str, Any]]) -> None:
        """Go on from a number of updates; groups have been loaded and no longer hold what was written."""
        self.updates = updates
        self.written, self._before = {}, {}
        for group in groups:
            if "schedules" in group:
                group.setdefault("schedule_start", 0)

    def _was_zeroed(
        self, index: int, group: dict[str, Any], key: str, schedule: Schedule, k: int, present: float
    ) -> bool:
        """Whether a learning rate of 0 was written over its schedule. Any other written value is refused.

        Raises:
            OptionError: if another value was written, or torch's scheduler drives it too.
        """
        if key == "lr" and "initial_lr" in group:
            raise OptionError(
                message(
                    f"Group {index}: its lr follows the schedule {schedule!r} and a torch LRScheduler as well (the "
                    "group has an 'initial_lr')",
                    do="Keep one of the two",
                )
            )
        # What a group holds right after loading was written by another run.
        expected = self.written.get((index, key), schedule.at(0) if k == 0 else None)
        if key == "lr" and present == 0.0 and schedule.at(k) != 0.0 and expected != 0.0:
            return True
        if expected is None or present == expected:
            return False
        raise OptionError(
            message(
                f"Group {index}: {key} was set to {present:g}, but it follows the schedule {schedule!r}",
                do=f"Delete group['schedules'][{key!r}] to take over by hand, or write another schedule there",
            )
        )

    def parse(self, data: Any) -> Schedule:
        """The schedule that a group holds as plain data."""
        text = repr(data)
        if text not in self._parsed:
            self._parsed[text] = from_data(data)
        return self._parsed[text]


def _entries(group: dict[str, Any]) -> list[tuple[str, Any]]:
    """A group's numbers by the name of their host input: ``lr``, ``betas[0]``."""
    entries: list[tuple[str, Any]] = []
    for key, value in group.items():
        if isinstance(value, tuple) and key != "params":
            entries += [(f"{key}[{i}]", v) for i, v in enumerate(value)]
        else:
            entries.append((key, value))
    return entries


def find_value(group: dict[str, Any], key: str, index: int) -> Any:
    """What a group holds under the name of a host input.

    Raises:
        OptionError: if it holds nothing there.
    """
    if key in group:
        return group[key]
    name = str(key).partition("[")[0]
    if name not in group:
        raise refuse_missing(f"Group {index}", name)
    numbers = {k: v for k, v in _entries({name: group[name]}) if k != name}
    if key not in numbers:
        allowed = f"{', '.join(numbers) or 'one number'}, to follow its schedule"
        raise OptionError(message(f"Group {index}: {name} has no {key}", got=group[name], allowed=allowed))
    return numbers[key]


def write_value(group: dict[str, Any], key: str, value: float) -> None:
    """Write a number under its host input's name: ``lr``, or ``betas[0]`` into a tuple of its own."""
    name, _, rest = key.partition("[")
    if not rest:
        group[key] = value
        return
    numbers = list(group[name])
    numbers[int(rest[:-1])] = value
    group[name] = tuple(numbers)
