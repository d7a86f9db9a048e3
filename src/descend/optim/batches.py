"""Batches: the optimizer's tensors sorted by device, dtype and structure, each batch with the runner that steps it."""

from operator import attrgetter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from descend.backends.base import Batch, Runner, Totals
from descend.backends.cpu import runner as cpu
from descend.backends.eager import EagerRunner
from descend.errors import ParameterError, message
from descend.lang.program import Program
from descend.lang.rule import Rule
from descend.optim.memory import Spans, find_stretch
from descend.optim.rows import Read, Rows
from descend.optim.states import StateTable, allocate_state

_DTYPE, _BYTES = attrgetter("dtype"), attrgetter("nbytes")
_GRAD, _REQUIRES_GRAD = attrgetter("grad"), attrgetter("requires_grad")


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
        self.runner: Runner = EagerRunner(self.batch, differentiable=differentiable)
        if backend == "cpu":
            self.runner = cpu.CpuRunner(self.batch, rule.name)
            self.runner.set_params(list(map(Tensor.data_ptr, params)))
        self._groups = [m[1] for m in members]
        self.groups = dict(zip(indices, groups, strict=True))
        self._order = order
        self._home, self._spans, self._differentiable = home, spans, differentiable
        self._watched = home.handed_out
        self._counted = self._watched or self.rows.asks_fresh
        shaped = program.axes or program.step.graph.singletons
        self._find_place = Tensor.data_ptr if backend == "cpu" and not shaped else find_place
        self._places = list(map(self._find_place, params))
        self._sizes = list(map(Tensor.numel, params))
        self._bytes = list(map(_BYTES, params))
        self._kept: list[Tensor] = []
        self._kept_at: list[int] = []
        self._mask: list[bool] = []
        self._whole = False
        self._grads_at: list[int] = []
        self._apart: list[list[int]] = []
        self._contiguous = all(p.is_contiguous() for p in params)
        self._dtype = params[0].dtype
        self.active = False

    def take(self) -> bool:
        """Take over this step's gradients; notice new ones, moved parameters and missing states.

        Returns:
            Whether any tensor has one.

        Raises:
            Moved: if the plan no longer holds.
            ParameterError: for a gradient that the method cannot take.
        """
        params = self.params
        if list(map(self._find_place, params)) != self._places or (self._watched and self._states_moved()):
            raise Moved
        grads: list[Tensor | None] = list(map(_GRAD, params))
        if not all(map(_REQUIRES_GRAD, params)):
            grads = [g if p.requires_grad else None for p, g in zip(params, grads, strict=True)]
        if not isinstance(self.runner, cpu.CpuRunner):
            self._check_grads(grads)
            self.batch.grads = [None if g is None else self._free(g) for g in grads]
            self._take_mask([g is not None for g in grads])
        elif not self._take_usual(self.runner, grads):
            self._take_unusual(self.runner, grads)
        return self.active

    def _take_usual(self, runner: cpu.CpuRunner, grads: list[Any]) -> bool:
        """Take gradients that are all there, laid out as their parameters and apart from them; False if not.

        Layouts are checked in every step: the next gradient often takes the memory, and the object, of the last.
        Torch lets no integers be gradients, so only those of 2 bytes can be of another type with as many bytes.
        """
        try:
            addresses = list(map(Tensor.data_ptr, grads))
        except (TypeError, RuntimeError):  # one is absent, or has no memory of its own
            return False
        fits = self._contiguous and all(map(Tensor.is_contiguous, grads)) and list(map(_BYTES, grads)) == self._bytes
        if not fits or (self._dtype.itemsize == 2 and not {self._dtype}.issuperset(map(_DTYPE, grads))):
            return False
        if addresses != self._grads_at:
            if self._any_meets(addresses):
                return False
            self._grads_at = addresses
            runner.set_grads(addresses)
        self.batch.grads = grads
        if not self._whole:
            self._take_mask([True] * len(grads))
        return True

    def _take_unusual(self, runner: cpu.CpuRunner, grads: list[Tensor | None]) -> None:
        """Take gradients some of which are absent, or laid out otherwise, or lie in a parameter: those are copied."""
        if list(map(Tensor.numel, self.params)) != self._sizes:
            raise Moved
        self._check_grads(grads)
        with torch.no_grad():
            grads = [None if g is None else self._fit(p, g) for p, g in zip(self.params, grads, strict=True)]
        self._grads_at = [0 if g is None else g.data_ptr() for g in grads]
        runner.set_grads(self._grads_at)
        self.batch.grads = grads
        self._take_mask([g is not None for g in grads])

    def _take_mask(self, mask: list[bool]) -> None:
        """Take over which tensors have a gradient."""
        if mask != self._mask:
            self._activate(mask)
            self._mask, self._whole = mask, all(mask)

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
        if isinstance(self.runner, cpu.CpuRunner):
            self.runner.set_states()
            self._kept = [s for states in self.batch.states.values() for s in states if s is not None]
            self._kept_at = list(map(Tensor.data_ptr, self._kept))
        self.rows.assign(np.array(mask, bool))
        self.active = any(mask)
        self._hand_over_rows()

    def _hand_over_rows(self) -> None:
        self.batch.row_count = self.rows.count
        self.runner.set_rows()

    def _fit(self, p: Tensor, g: Tensor) -> Tensor:
        """A gradient laid out as its parameter, in memory of its own."""
        same = g.dtype == p.dtype and ((p.is_contiguous() and g.is_contiguous()) or g.stride() == p.stride())
        return self._free(g) if same else torch.empty_like(p).copy_(g)

    def _free(self, g: Tensor) -> Tensor:
        """A gradient in memory that no parameter has a part of."""
        start, end = find_stretch(g)
        return g.clone() if self._spans.meet(start, end - start) else g

    def _any_meets(self, addresses: list[int]) -> bool:
        """Whether any gradient shares memory with a parameter. Depends on addresses alone, so it is remembered."""
        if addresses not in self._apart:
            if self._spans.meet_any(addresses, np.array(self._bytes, np.int64)):
                return True
            self._apart = [addresses, *self._apart[:15]]
        return False

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
    """What must not change under a plan, unless the address says enough: shape, dtype and order in memory too."""
    return p.dtype, p.shape, p.stride(), find_stretch(p)[0]
