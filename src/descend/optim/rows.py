"""The uniform table's input side: one row for each distinct pair of group values and step count."""

from collections.abc import Callable
from typing import Any

import numpy as np

from descend.lang.program import Program
from descend.optim.numbers import plain

Read = Callable[[dict[str, Any]], dict[str, Any]]


class Rows:
    """Keeps the input table of one batch up to date.

    Tensors that missed steps, and groups that differ only in their values, share one kernel call: they have
    different rows.

    Args:
        program: the step.
        groups: the parameter groups that the batch's tensors belong to.
        group_of: for each tensor the index of its group.
        steps: for each tensor the number of steps done; the optimizer's own memory.
        read: a group's numbers by the name of their host input.

    Attributes:
        asks_fresh: whether the formula asks which states have just been made.
        counted: for each tensor the number of steps when they were last counted, to notice edits of it.
    """

    def __init__(
        self,
        program: Program,
        groups: list[dict[str, Any]],
        group_of: list[int],
        steps: np.ndarray,
        read: Read,
    ) -> None:
        count = len(group_of)
        self.of_tensor = np.full(count, -1, np.int64)
        self.inputs = np.zeros((count, len(program.inputs)))
        self.count = 0
        self.groups = groups
        self._names = program.inputs
        self._group_of = np.array(group_of, np.int64)
        self._steps = steps
        self.counted = steps.copy()
        self._read = read
        self._rows_of: dict[int, np.ndarray] = {}
        self._first = np.zeros(0, np.int64)
        self._at_t = program.inputs.index("t") if "t" in program.inputs else None
        # for each state that the formula asks about, where its input stands, and whose state has just been made
        self._fresh = {
            name[len("fresh[") : -1]: (at, np.zeros(count, bool))
            for at, name in enumerate(program.inputs)
            if name.startswith("fresh[")
        }
        self.asks_fresh = bool(self._fresh)
        self._any_fresh = False
        self._own = {"t", *(f"fresh[{letter}]" for letter in self._fresh)}

    def assign(self, active: np.ndarray) -> None:
        """Give each active tensor its row, after the set of tensors with gradients has changed."""
        self.counted[:] = self._steps
        self.of_tensor[:] = -1
        at = np.flatnonzero(active)
        if self._at_t is None and not self._fresh:
            keys = self._group_of[at, None].astype(float)
        else:
            fresh = [made[at] for _, made in self._fresh.values()]
            keys = np.stack([self._group_of[at], self._steps[at], *fresh], axis=1).astype(float)
        distinct, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        self.of_tensor[at] = inverse.reshape(-1)
        self.count = len(distinct)
        self._first = at[first]
        if self._at_t is not None:
            self.inputs[: self.count, self._at_t] = self._steps[self._first] + 1
        owners = self._group_of[self._first]
        self._rows_of = {id(g): np.flatnonzero(owners == i) for i, g in enumerate(self.groups)}
        for group in self.groups:
            self.refresh(group)
        self._write_fresh()

    def refresh(self, group: dict[str, Any]) -> None:
        """Write a group's numbers into its rows, if it has any here."""
        rows = self._rows_of.get(id(group))
        if rows is not None and len(rows):
            numbers = self._read(group)
            for at, name in enumerate(self._names):
                if name in numbers and name not in self._own:
                    self.inputs[rows, at] = plain(numbers[name])

    def locate(self, group: dict[str, Any], name: str) -> "list[tuple[memoryview[float], int]]":
        """Where an input stands in each row of a group: the table's memory, and a place in it."""
        rows = self._rows_of.get(id(group), ())
        if name not in self._names or not len(rows):
            return []
        memory, width, at = self.inputs.data.cast("B").cast("d"), len(self._names), self._names.index(name)
        return [(memory, int(row) * width + at) for row in rows]

    def find(self, index: int) -> int | None:
        """A row of the group with this place among the batch's groups; None if it has none in this step."""
        rows = self._rows_of.get(id(self.groups[index]))
        return int(rows[0]) if rows is not None and len(rows) else None

    def put(self, index: int, name: str, value: Any, live: list[list[Any]] | None) -> None:
        """Write an input of a group's rows that is not its own number: a sum or a state that its tensors share.

        Args:
            index: the group's place among the batch's groups.
            name: of the input.
            value: a number, or a 0-d tensor that carries its graph.
            live: the rows of a step that is differentiated.
        """
        rows, at = self._rows_of.get(id(self.groups[index]), ()), self._names.index(name)
        for r in rows:
            self.inputs[r, at] = plain(value)
            if live is not None:
                live[r][at] = value

    def notice_edits(self) -> bool:
        """Give out rows anew if a step count was edited in place; returns whether it was."""
        edited = self._steps.tobytes() != self.counted.tobytes()
        if edited:
            self.assign(self.of_tensor >= 0)
        return edited

    def note_fresh(self, letter: str, tensor: int) -> None:
        """A tensor's state has just been made; rows given out afterwards tell the formula."""
        if letter in self._fresh:
            self._fresh[letter][1][tensor] = self._any_fresh = True

    def take_over_count(self) -> None:
        """The runner has counted a step: no state of a tensor that took it is fresh any longer."""
        self.counted[:] = self._steps
        if self._any_fresh:
            for _, made in self._fresh.values():
                made[self.of_tensor >= 0] = False
            self._any_fresh = any(made.any() for _, made in self._fresh.values())
            self._write_fresh()

    def _write_fresh(self) -> None:
        for at, made in self._fresh.values():
            self.inputs[: self.count, at] = made[self._first]

    def live(self) -> list[list[Any]]:
        """The rows as the user gave them, tensors that require gradients included."""
        rows = []
        for r in range(self.count):
            numbers = self._read(self.groups[self._group_of[self._first[r]]])
            own = dict(zip(self._names, self.inputs[r].tolist(), strict=True))
            rows.append([numbers.get(n, own[n]) if n not in self._own else own[n] for n in self._names])
        return rows
