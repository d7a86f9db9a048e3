"""Sparse gradients: a step of the rows that they name, gathered into one small tensor that the same program steps."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from descend.backends.base import Batch, Runner, Totals
from descend.backends.cpu.runner import CpuRunner
from descend.backends.eager import EagerRunner
from descend.errors import ParameterError, message
from descend.lang.fold import build_program
from descend.lang.idle import find_idle_map
from descend.lang.program import Program
from descend.lang.rule import Rule
from descend.lang.trace import Structure
from descend.optim.batches import Moved
from descend.optim.missed_rows import MissedRows
from descend.optim.numbers import plain
from descend.optim.rows import Read, Rows
from descend.optim.states import StateTable, allocate_state

REASON = "its gradient is sparse: a step moves the rows that it names"


def is_sparse(p: Tensor) -> bool:
    """Whether a parameter has a sparse gradient now."""
    return p.requires_grad and p.grad is not None and p.grad.layout is not torch.strided


def find_obstacle(rule: Rule, program: Program, structure: Structure) -> str | None:
    """Why the rows of a parameter cannot be stepped without the others; None if they can.

    Args:
        rule: the method.
        program: its step.
        structure: what that was made for.
    """
    step = program.step
    harmless = {step.nonfinite, step.squares, *step.watched.values()}
    if structure.woven or structure.ema:
        options = ", ".join(f"{name}=" for name in sorted(structure.woven | ({"ema"} if structure.ema else set())))
        return f"{options} needs all rows in every step"
    if structure.rounding in ("stochastic", "compensated"):
        return f'rounding="{structure.rounding}" serves dense gradients'
    if any(n not in harmless for one in program.passes for n in one.reductions):
        return "the method takes sums over whole tensors"
    if step.tensor_states or step.slice_states or step.shared:
        return "the method remembers values that rows share"
    return "the method is used at another point than it trains at" if rule.evaluation else None


def find_idle_structure(structure: Structure, group: Mapping[str, Any]) -> Structure:
    """The structure of a step that a row misses.

    Args:
        structure: of the steps that it takes.
        group: the parameter's; a weight decay of 0 leaves no trace, or Adam's idle step would read ``p``.
    """
    decayed = "weight_decay" in group.get("schedules", {}) or plain(group["weight_decay"]) != 0.0
    return replace(
        structure,
        idle=True,
        decay=structure.decay if decayed else None,
        **dict.fromkeys(("maximize", "unscale", "clip_norm", "clip_value", "guard", "watch", "count_lost"), False),
    )


class RowUnit:
    """One parameter with sparse gradients in the step loop; the counterpart of ``Unit``.

    Args:
        rule: the method.
        structure: of its steps.
        member: its group's index, its group and its label.
        p: the parameter.
        steps: number of steps done, a float32 vector of one.
        backend: ``"cpu"`` or ``"eager"``.
        read: a group's numbers by the name of their host input.
        home: where states are entered.
        missed: records of steps that rows have missed, by parameter; of all the optimizer's parameters.

    Raises:
        ParameterError: if the method cannot step single rows.
    """

    reason = REASON

    def __init__(
        self,
        rule: Rule,
        structure: Structure,
        member: tuple[int, dict[str, Any], str],
        p: Tensor,
        steps: Tensor,
        backend: str,
        read: Read,
        home: StateTable,
        missed: dict[Tensor, MissedRows],
    ) -> None:
        index, self._group, label = member
        self.program = build_program(rule, structure)
        obstacle = (
            "differentiable=True" if self._group["differentiable"] else find_obstacle(rule, self.program, structure)
        )
        if obstacle:
            raise ParameterError(
                message(
                    f"{rule.name}: the gradient of {label} is sparse, and {obstacle}",
                    do="Build the embedding with sparse=False, or use a method that the column 'sparse' of "
                    "docs/methods.md names, such as AdamW, Adagrad or SGD",
                )
            )
        self.params, self.labels, self.group_numbers = [p], [label], [index]
        self.backend, self.active = backend, False
        self.rows = Rows(self.program, [self._group], [0], steps.numpy(), read)
        self._batch = Batch(self.program, [], [], {}, steps.numpy(), self.rows.of_tensor, self.rows.inputs)
        self.runner: Runner = EagerRunner(self._batch)
        self._rule, self._structure, self._steps, self._read = rule, structure, steps, read
        self._home, self._known = home, missed
        self._index = torch.zeros(0, dtype=torch.int64)
        self._idle = build_program(rule, find_idle_structure(structure, self._group))
        self._missed = self._find_missed()

    def _find_missed(self) -> MissedRows | None:
        """The record of what rows have missed, gone on with if it is of the same kind of steps."""
        p = self.params[0]
        known = self._known.get(p)
        if self._group["sparse"] == "exact" and known is not None and known.program is self._idle:
            return known
        if known is not None:
            known.catch_up()
            del self._known[p]
        if self._group["sparse"] == "lazy" or find_idle_map(self._idle).identity:
            return None
        self._known[p] = MissedRows(self._rule.name, self._idle, p, self._home, compiled=self.backend == "cpu")
        return self._known[p]

    def take(self) -> bool:
        """Take over this step's gradient: make up for what its rows have missed, and gather them.

        Returns:
            Whether there is one.

        Raises:
            Moved: if the plan no longer holds.
            ParameterError: for a gradient that no method takes.
        """
        p = self.params[0]
        self.active = p.requires_grad and p.grad is not None
        if not self.active:
            self.rows.of_tensor[:] = -1
            return False
        if not is_sparse(p) or self._idle is not build_program(
            self._rule, find_idle_structure(self._structure, self._group)
        ):
            raise Moved
        assert p.grad is not None
        grad = p.grad.detach().coalesce()
        if grad.sparse_dim() != 1 or grad.shape != p.shape:
            raise ParameterError(
                message(
                    f"{self._rule.name}: the sparse gradient of {self.labels[0]}",
                    got=f"shape {tuple(grad.shape)} with {grad.sparse_dim()} sparse dimensions",
                    allowed=f"shape {tuple(p.shape)} with 1, as embeddings make them",
                )
            )
        self._allocate(p)
        self._index = grad.indices()[0]
        if self._missed is not None:
            self._missed.catch_up(self._index)
        self._gather(p, grad.values().to(p.dtype).contiguous())
        return True

    def _allocate(self, p: Tensor) -> None:
        """Make the states that are not there yet."""
        if self.rows.of_tensor[0] >= 0:  # it has taken the step before
            self.rows.notice_edits()
            return
        self._home.adopt(p, "step", self._steps[0])
        for letter, declared in self.program.declared.items():
            if declared.key not in self._home[p]:
                self._home.adopt(p, declared.key, allocate_state(declared, p, self._group, self.labels[0]))
                self.rows.note_fresh(letter, 0)
        self.rows.assign(np.ones(1, bool))

    @torch.no_grad()
    def _gather(self, p: Tensor, values: Tensor) -> None:
        """Copies of the rows and of their states, and a runner for them."""
        kept = {letter: self._home[p][declared.key] for letter, declared in self.program.declared.items()}
        states: dict[str, list[Tensor | None]] = {k: [s.index_select(0, self._index)] for k, s in kept.items()}
        rows = self.rows
        part = p.detach().index_select(0, self._index)
        self._batch = batch = Batch(
            self.program, [part], [values], states, self._steps.numpy(), rows.of_tensor, rows.inputs, rows.count
        )
        if self.backend == "eager":
            self.runner = EagerRunner(batch)
            return
        self.runner = runner = CpuRunner(batch, self._rule.name)
        runner.set_params([part.data_ptr()])
        runner.grads_at[0] = values.data_ptr()
        runner.set_states()
        runner.set_rows()

    def begin(self, totals: Totals) -> None:
        """Start a step."""
        self.runner.begin(totals)

    @torch.no_grad()
    def commit(self) -> None:
        """The step has been taken: write the rows back, record it, count it."""
        p, batch = self.params[0], self._batch
        p.detach().index_copy_(0, self._index, batch.params[0])
        for letter, declared in self.program.declared.items():
            part = batch.states[letter][0]
            assert part is not None
            self._home[p][declared.key].index_copy_(0, self._index, part)
        if self._missed is not None:
            numbers = {k: plain(v) for k, v in self._read(self._group).items()}
            own = dict(zip(self.program.inputs, self.rows.inputs[0].tolist(), strict=True))
            self._missed.record({**numbers, **own})
            self._missed.note_taken(self._index)
        self.runner.commit()
        self.rows.take_over_count()

    def release(self) -> None:
        """Let go of the gradient: the step is not taken."""
        self._batch.grads = []

    def count_nonfinite(self) -> list[tuple[str, int]]:
        """The parameter, if its gradient was not finite in the pass that has just run, with the number of elements."""
        count = int(self.runner.read(self.program.step.nonfinite)[0])
        return [(self.labels[0], count)] if count else []
