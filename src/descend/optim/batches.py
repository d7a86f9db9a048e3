"""Batches: the optimizer's tensors sorted by device, dtype and structure, each batch with the runner that steps it."""

from operator import attrgetter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from descend.backends.base import Batch, Runner
from descend.backends.cpu import runner as cpu
from descend.backends.eager import EagerRunner
from descend.errors import ParameterError, message
from descend.lang.program import Program
from descend.lang.rule import Rule
from descend.optim.rows import Read, Rows
from descend.optim.states import StateTable, allocate_state


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
        differentiable: bool,
    ) -> None:
        self.rule, self.program, self.backend, self.reason = rule, program, backend, reason
        self.params, self.labels, self.steps = params, [m[2] for m in members], steps
        self.group_numbers = [m[0] for m in members]
        indices = list(dict.fromkeys(m[0] for m in members))
        groups = [next(m[1] for m in members if m[0] == i) for i in indices]
        order = {g: i for i, g in enumerate(indices)}
        self.rows = Rows(program, groups, [order[m[0]] for m in members], steps.numpy(), read)
        self.batch = Batch(program, params, [], states, self.rows.of_tensor, self.rows.inputs)
        self._groups = [m[1] for m in members]
        self._home = home
        self._differentiable = differentiable
        self._mask: list[bool] = []
        self._param_addresses: list[int] = []
        self._grad_marks: tuple[list[int], list[int]] = ([], [])
        self._contiguous = all(p.is_contiguous() for p in params)
        self._dtypes = {params[0].dtype}
        self.runner: Runner = (
            cpu.CpuRunner(self.batch, rule.name)
            if backend == "cpu"
            else EagerRunner(self.batch, differentiable=differentiable)
        )

    @property
    def active(self) -> bool:
        """Whether any tensor has a gradient this step."""
        return self.rows.count > 0

    def take(self, grads: list[Tensor | None]) -> None:
        """Take over this step's gradients; notice new ones, moved parameters and missing states.

        Raises:
            ParameterError: for a gradient that the method cannot take.
        """
        mask = [g is not None for g in grads]
        changed = mask != self._mask
        if changed:
            self._mask = mask
            self._activate(grads)
        if isinstance(self.runner, cpu.CpuRunner):
            self._locate_params(self.runner)
            grads = self._locate_grads(self.runner, grads, changed)
        else:
            self._refuse_sparse(grads)
        self.batch.grads = grads

    def begin(self) -> None:
        """Fill the rows for this step and hand them to the runner."""
        self.rows.advance()
        self.batch.row_count = self.rows.count
        if self._differentiable:
            self.batch.live_inputs = self.rows.live()
        self.runner.begin()

    def commit(self) -> None:
        """The step has been taken: count it."""
        if all(self._mask):
            self.steps.add_(1)
        else:
            self.steps.add_(torch.tensor(self._mask, dtype=self.steps.dtype))
        if self.rows.fresh.any():
            self.rows.fresh[np.array(self._mask)] = False
        self.batch.grads = []

    def refresh_rows(self) -> None:
        """Give every active tensor its row again, after group values that decide rows have changed."""
        self.rows.assign(np.array(self._mask, bool))

    def count_nonfinite(self) -> list[tuple[str, int]]:
        """Tensors whose gradients were not finite in the pass that has just run, with the number of elements."""
        counts = self.runner.read(self.program.step.nonfinite)
        rows = self.rows.of_tensor.tolist()
        return [(label, int(n)) for label, n, row in zip(self.labels, counts, rows, strict=True) if row >= 0 and n]

    def _activate(self, grads: list[Tensor | None]) -> None:
        """Allocate the states of tensors that step for the first time, and give out rows anew."""
        self._refuse_sparse(grads)
        allocated = False
        for j, grad in enumerate(grads):
            if grad is None:
                continue
            p = self.params[j]
            self._home.adopt(p, "step", self.steps[j])
            for letter in self.program.states:
                if self.batch.states[letter][j] is None:
                    state = allocate_state(self.rule.states[letter], p, self._groups[j])
                    self._home.adopt(p, self.rule.states[letter].key, state)
                    self.batch.states[letter][j] = state
                    allocated = self.rows.fresh[j] = True
        if isinstance(self.runner, cpu.CpuRunner) and (allocated or not self._param_addresses):
            self.runner.set_states()
        self.refresh_rows()

    def _locate_params(self, runner: cpu.CpuRunner) -> None:
        addresses = list(map(Tensor.data_ptr, self.params))
        if addresses == self._param_addresses:
            return
        for p, label in zip(self.params, self.labels, strict=True):
            if cpu.serves(p) is not None or p.dtype not in self._dtypes:
                raise _Moved(label)
        self._param_addresses = addresses
        runner.set_params(addresses)
        self._grad_marks = ([], [])

    def _locate_grads(self, runner: cpu.CpuRunner, grads: list[Tensor | None], changed: bool) -> list[Tensor | None]:
        """Where the gradients lie. One that is laid out unlike its parameter or shares its memory is copied."""
        try:
            addresses = [0 if g is None else g.data_ptr() for g in grads]
        except (RuntimeError, NotImplementedError):
            self._refuse_sparse(grads)
            raise
        marks = (addresses, list(map(id, grads)))
        if not changed and marks == self._grad_marks:
            return grads
        present = [g for g in grads if g is not None]
        plain = (
            self._contiguous and all(map(Tensor.is_contiguous, present)) and set(map(_DTYPE, present)) <= self._dtypes
        )
        if not plain or self._overlaps(addresses):
            with torch.no_grad():
                clean = [
                    g if g is None or self._fits(p, g) else torch.empty_like(p).copy_(g)
                    for p, g in zip(self.params, grads, strict=True)
                ]
            addresses = [0 if g is None else g.data_ptr() for g in clean]
            # a copy must not be mistaken for an unchanged gradient in the next step
            self._grad_marks = marks if all(a is b for a, b in zip(clean, grads, strict=True)) else ([], [])
            grads = clean
        else:
            self._grad_marks = marks
        runner.set_grads(addresses)
        return grads

    def _fits(self, p: Tensor, g: Tensor) -> bool:
        same = g.layout is torch.strided and g.dtype == p.dtype and g.shape == p.shape
        return (
            same
            and ((p.is_contiguous() and g.is_contiguous()) or g.stride() == p.stride())
            and not self._overlaps([g.data_ptr()], [g])
        )

    def _overlaps(self, addresses: list[int], grads: list[Tensor] | None = None) -> bool:
        """Whether any gradient shares memory with a parameter of the batch."""
        starts = np.array(self._param_addresses, np.int64)
        order = np.argsort(starts)
        starts = starts[order]
        sizes = np.array([p.numel() * p.element_size() for p in self.params], np.int64)
        ends = starts + sizes[order]
        begin = np.array(addresses, np.int64)
        length = sizes if grads is None else np.array([g.numel() * g.element_size() for g in grads], np.int64)
        present = (begin > 0) & (length > 0)
        before = np.searchsorted(starts, begin, side="right") - 1
        inside = (before >= 0) & (begin < ends[np.maximum(before, 0)])
        after = np.minimum(before + 1, len(starts) - 1)
        reaches = (before + 1 < len(starts)) & (begin + length > starts[after])
        return bool((present & (inside | reaches)).any())

    def _refuse_sparse(self, grads: list[Tensor | None]) -> None:
        for grad, label in zip(grads, self.labels, strict=True):
            if grad is not None and grad.layout is not torch.strided:
                raise ParameterError(
                    message(
                        f"{self.rule.name}: the gradient of {label} has layout {grad.layout}",
                        allowed="torch.strided",
                        do="Build the embedding with sparse=False, or pass the gradient's .to_dense()",
                    )
                )


_DTYPE = attrgetter("dtype")


class _Moved(Exception):
    """A parameter changed its dtype, device or layout since the batches were made; they are made anew."""


Moved = _Moved
