"""Batches: the optimizer's tensors sorted by device, dtype and structure, each batch with the runner that steps it."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from descend.backends.base import Batch, Runner, Totals
from descend.backends.cpu import runner as cpu
from descend.backends.cpu.inspection.gradients import Answer, Gradients, find_torch
from descend.backends.cpu.inspection.places import Places
from descend.backends.cpu.repetition import Repeated
from descend.backends.eager import EagerRunner
from descend.errors import ParameterError, message
from descend.lang.program import Program
from descend.lang.rule import Rule
from descend.optim.memory import Spans, find_stretch
from descend.optim.rows import Read, Rows
from descend.optim.states import StateTable, allocate_state


class Moved(Exception):
    """A parameter or a state has another place, shape or dtype than the plan knows; the plan is made anew."""


class Unit:
    """One batch in the step loop: gathers gradients, notices what moved, allocates states, keeps its rows.

    Args:
        rule: the method.
        program: the step.
        members: for each tensor its group's index, its group and its label.
        params: the tensors.
        steps: number of steps done by each tensor, one float32 vector.
        states: existing states of each tensor by letter.
        backend: ``"cpu"`` or ``"eager"``.
        reason: why, in words.
        read: a group's numbers by the name of their host input.
        home: where states are entered when a tensor steps for the first time.
        spans: the memory of all the optimizer's parameters.
        differentiable: whether gradients flow through the step.

    Attributes:
        active: whether any tensor took the last step.
        repeats: whether compiled code alone can take a step that is like the last one.
        places: of the states, where compiled code must ask whether somebody has moved one; else None.
    """

    def __init__(
        self,
        rule: Rule,
        program: Program,
        members: list[tuple[int, dict[str, Any], str]],
        params: list[Tensor],
        steps: Tensor,
        states: dict[str, list[Tensor | None]],
        backend: str,
        reason: str,
        read: Read,
        home: StateTable,
        spans: Spans,
        differentiable: bool,
    ) -> None:
        self.rule, self.program, self.backend, self.reason = rule, program, backend, reason
        self.params, self.labels, self.steps = params, [m[2] for m in members], steps
        self.group_numbers = [m[0] for m in members]
        indices = list(dict.fromkeys(self.group_numbers))
        groups = [next(m[1] for m in members if m[0] == i) for i in indices]
        order = {g: i for i, g in enumerate(indices)}
        self.rows = Rows(program, groups, [order[m[0]] for m in members], steps.numpy(), read)
        self.batch = Batch(program, params, [], states, steps.numpy(), self.rows.of_tensor, self.rows.inputs)
        self._compiled = cpu.CpuRunner(self.batch, rule.name) if backend == "cpu" else None
        self.runner: Runner = self._compiled or EagerRunner(self.batch, differentiable=differentiable)
        self._groups = [m[1] for m in members]
        self.groups = dict(zip(indices, groups, strict=True))
        self._order = order
        self._home, self._spans, self._differentiable = home, spans, differentiable
        self._watched = home.handed_out
        self._counted = self._watched or self.rows.asks_fresh
        self._places = list(map(find_place, params))
        self._gradients: Gradients | None = None
        if self._compiled is not None:
            self._compiled.set_params(list(map(Tensor.data_ptr, params)))
            found = find_torch()
            if found is not None:
                self._gradients = Gradients(found, params, self._compiled.grads_at, *spans.tables)
                self._compiled.set_gradients(self._gradients)
        self.repeats = self._gradients is not None and not differentiable
        self._kept: list[Tensor] = []
        self._kept_at: list[int] = []
        self.places: Places | None = None
        self._mask: list[bool] = []
        self.active = False

    def describe(self) -> Repeated:
        """What compiled code steps and asks, where the unit ``repeats``."""
        assert self._compiled is not None and self._gradients is not None
        counts = (self.steps.numpy(), self.rows.counted) if self._watched else None
        return Repeated(self._compiled, self._gradients, self.active, self.places, counts)

    def take(self) -> bool:
        """Take over this step's gradients; notice new ones, moved parameters and missing states.

        Returns:
            Whether any tensor has one.

        Raises:
            Moved: if the plan no longer holds.
            ParameterError: for a gradient that the method cannot take.
        """
        if self._watched and self._states_moved():
            raise Moved
        gradients = self._gradients
        if gradients is None:
            self._take_one_by_one()
            return self.active
        answer = gradients.take()
        if answer == Answer.OTHERS:
            self._take_mask((gradients.present == 1).tolist())
        elif answer == Answer.UNUSUAL:
            gradients.forget()
            self._take_one_by_one()
        elif answer == Answer.MOVED:
            raise Moved
        return self.active

    def _take_one_by_one(self) -> None:
        """Take the gradients as Python sees them; copies of those that are laid out otherwise or lie in a parameter."""
        if list(map(find_place, self.params)) != self._places:
            raise Moved
        grads = [p.grad if p.requires_grad else None for p in self.params]
        self._check_grads(grads)
        suit = self._free if self._compiled is None else self._fit
        pairs = zip(self.params, grads, strict=True)
        self.batch.grads = [None if g is None else suit(p, g) for p, g in pairs]
        if self._compiled is not None:
            self._compiled.grads_at[:] = [0 if g is None else g.data_ptr() for g in self.batch.grads]
        self._take_mask([g is not None for g in grads])

    def _take_mask(self, mask: list[bool]) -> None:
        """Take over which tensors have a gradient."""
        if mask != self._mask:
            self._activate(mask)
            self._mask = mask

    def _states_moved(self) -> bool:
        """Whether somebody has moved a state in place, as ``share_memory_()`` does."""
        return list(map(Tensor.data_ptr, self._kept)) != self._kept_at

    def begin(self, totals: Totals) -> None:
        """Hand this step's rows to the runner."""
        if self._watched and self.rows.notice_edits():
            self._hand_over_rows()
        if self._differentiable:
            self.batch.live_inputs = self.rows.live()
        self.runner.begin(totals)

    def put(self, group: int, name: str, value: Any) -> None:
        """Write an input that a group's tensors share into its rows, if it has any here."""
        self.rows.put(self._order[group], name, value, self.batch.live_inputs)

    def find_row(self, group: int) -> int | None:
        """A row of a group, by its number; None if none of its tensors is in this step."""
        return self.rows.find(self._order[group])

    def look_up(self, group: int, name: str) -> float:
        """An input of a group that has rows in this step; 0 where the program does not read it."""
        row, names = self.find_row(group), self.program.inputs
        return float(self.batch.inputs[row, names.index(name)]) if name in names else 0.0

    def commit(self) -> None:
        """The step has been taken: count it."""
        self.runner.commit()
        if self._counted:
            self.rows.take_over_count()
        self.batch.grads = []

    def release(self) -> None:
        """Let go of the gradients: the step is not taken."""
        if self._gradients is not None:
            self._gradients.release()
        self.batch.grads = []

    def count_nonfinite(self) -> list[tuple[str, int]]:
        """Tensors whose gradients were not finite in the pass that has just run, with the number of elements."""
        counts = self.runner.read(self.program.step.nonfinite)
        rows = self.rows.of_tensor.tolist()
        return [(label, int(n)) for label, n, row in zip(self.labels, counts, rows, strict=True) if row >= 0 and n]

    def _activate(self, mask: list[bool]) -> None:
        """Allocate the states of tensors that step for the first time, and give out rows anew."""
        for j, p in enumerate(self.params):
            if not mask[j]:
                continue
            self._home.adopt(p, "step", self.steps[j])
            for letter, declared in self.program.declared.items():
                if self.batch.states[letter][j] is None:
                    state = allocate_state(declared, p, self._groups[j], self.labels[j])
                    self._home.adopt(p, declared.key, state)
                    self.batch.states[letter][j] = state
                    self.rows.note_fresh(letter, j)
        if self._compiled is not None:
            self._compiled.set_states()
            self._kept = [s for states in self.batch.states.values() for s in states if s is not None]
            self._kept_at = list(map(Tensor.data_ptr, self._kept))
            found = find_torch() if self._watched and self.repeats else None
            self.places = None if found is None else Places(found, self._kept)
        self.rows.assign(np.array(mask, bool))
        self.active = any(mask)
        self._hand_over_rows()

    def _hand_over_rows(self) -> None:
        self.batch.row_count = self.rows.count
        self.runner.set_rows()

    def _fit(self, p: Tensor, g: Tensor) -> Tensor:
        """A gradient laid out as its parameter, in memory of its own."""
        g = self._free(p, g)
        with torch.no_grad():
            same = g.dtype == p.dtype and ((p.is_contiguous() and g.is_contiguous()) or g.stride() == p.stride())
            return g if same else torch.empty_like(p).copy_(g)

    def _free(self, p: Tensor, g: Tensor) -> Tensor:
        """A gradient that stands in its memory as it is, and has no part of it in a parameter's."""
        g = g.resolve_conj().resolve_neg()
        start, end = find_stretch(g)
        return g.clone() if self._spans.meet(start, end - start) else g

    def _check_grads(self, grads: list[Tensor | None]) -> None:
        """Refuse gradients that are sparse or shaped unlike their parameter.

        Raises:
            Moved: for a sparse one, which a unit of its own serves.
            ParameterError: for such a gradient, by name.
        """
        for grad, p, label in zip(grads, self.params, self.labels, strict=True):
            if grad is not None and grad.layout is not torch.strided:
                raise Moved
            if grad is not None and grad.shape != p.shape:
                raise ParameterError(
                    message(
                        f"{self.rule.name}: the gradient of {label} has shape {tuple(grad.shape)}",
                        allowed=f"{tuple(p.shape)}, the parameter's",
                        do="Call zero_grad() after giving a parameter another shape",
                    )
                )


def find_place(p: Tensor) -> tuple[Any, ...]:
    """What must not change under a plan: dtype, shape, order in memory and the first address."""
    return p.dtype, p.shape, p.stride(), find_stretch(p)[0]
