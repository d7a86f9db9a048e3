"""The eager backend: the program's graph interpreted with torch operations, on every device and dtype.

It follows the passes of the compiled backends, so that stores and sums happen in the same order; a batch is
stepped tensor by tensor within a pass, and no temporary outlives its pass.
"""

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from descend.backends.base import WORK, Batch, Totals, as_real
from descend.lang.graph import Node, Rate, walk
from descend.lang.parameter_write import NEAREST, STOCHASTIC
from descend.lang.program import Pass
from descend.lang.words import evaluate
from descend.storage.rounding import round_nearest, round_stochastic


def _pair(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Any, Any], Tensor]:
    """A torch function that wants two tensors, given one tensor and perhaps a number."""

    def both(a: Any, b: Any) -> Tensor:
        like = a if isinstance(a, Tensor) else b
        return function(torch.as_tensor(a, dtype=like.dtype, device=like.device),
                        torch.as_tensor(b, dtype=like.dtype, device=like.device))  # fmt: skip

    return both


def _where(condition: Any, x: Any, y: Any) -> Any:
    if isinstance(condition, Tensor):
        return torch.where(condition, x, y)
    return x if condition else y


def _sign(x: Tensor) -> Tensor:
    return torch.where(x > 0, 1.0, torch.where(x < 0, -1.0, x))  # NaN stays NaN; torch.sign makes it 0


TORCH: dict[str, Callable[..., Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv, "neg": operator.neg,
    "pow": operator.pow, "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge,
    "eq": operator.eq, "ne": operator.ne, "and": operator.and_, "or": operator.or_, "not": operator.invert,
    "sqrt": torch.sqrt, "rsqrt": lambda x: 1.0 / torch.sqrt(x), "abs": torch.abs, "sign": _sign, "exp": torch.exp,
    "log": torch.log, "tanh": torch.tanh, "cos": torch.cos, "floor": torch.floor, "where": _where,
    "minimum": _pair(torch.minimum), "maximum": _pair(torch.maximum),
}  # fmt: skip
"""How each word is done with torch: this backend's table."""


def _reduce(node: Node, value: Tensor) -> Tensor:
    """A reduction over one tensor or its slices, in float64."""
    if node.name == "nonfinite":
        return (~torch.isfinite(value)).sum().double()
    wide = value.double()
    wide = wide * wide if node.name == "sumsq" else wide
    if not node.axes:
        return (wide.amax() if wide.numel() else wide.new_tensor(-math.inf)) if node.name == "largest" else wide.sum()
    lost = [d for d in range(wide.dim()) if d not in node.axes]
    if node.name != "largest":
        return wide.sum(lost, keepdim=True)
    if wide.numel():
        return wide.amax(lost, keepdim=True)
    return wide.new_full([n if d in node.axes else 1 for d, n in enumerate(wide.shape)], -math.inf)


class EagerRunner:
    """Interprets the passes of one batch.

    Args:
        batch: the tensors.
        differentiable: whether gradients flow through the step.
    """

    def __init__(self, batch: Batch, *, differentiable: bool = False) -> None:
        self.batch = batch
        self.differentiable = differentiable
        self._totals: Totals = []
        self._rows: list[dict[Node, Any]] = []
        self._slots: list[dict[Node, Any]] = []

    def set_rows(self) -> None:
        """Rows are read from the batch when they are needed."""

    def begin(self, totals: Totals) -> None:
        """Start a step: no host value and no tensor value is known."""
        self._totals = totals
        self._rows = [{} for _ in range(self.batch.row_count)]
        self._slots = [{} for _ in self.batch.params]

    def run(self, index: int) -> None:
        """Run one pass, if the program has as many."""
        if index >= len(self.batch.program.passes):
            return
        totals = self._totals
        step = self.batch.program.passes[index]
        with torch.set_grad_enabled(self.differentiable):
            for row in range(self.batch.row_count):
                self._fill_row(step, row, totals)
            for j, row in enumerate(self.batch.rows.tolist()):
                if row >= 0:
                    self._step_tensor(step, j, self._rows[row], totals)

    def commit(self) -> None:
        """Count the step."""
        batch = self.batch
        batch.steps[batch.rows >= 0] += 1
        if "t" in batch.program.inputs:
            batch.inputs[: batch.row_count, batch.program.inputs.index("t")] += 1

    def read(self, node: Node) -> list[Any]:
        """A tensor value or a reduction for each tensor, as the last step left it."""
        values = [slots.get(node, 0.0) for slots in self._slots]
        return values if self.differentiable else list(map(float, values))

    def read_row(self, node: Node, row: int) -> Any:
        """A host or group value of one row, as the last step left it."""
        value = self._rows[row][node]
        return value if self.differentiable else float(value)

    def _fill_row(self, step: Pass, row: int, totals: Totals) -> None:
        program, known = self.batch.program, self._rows[row]
        live = self.batch.live_inputs
        values = live[row] if live is not None else self.batch.inputs[row].tolist()
        for node in walk(step.columns, cut=frozenset((*program.totals, *program.group_sums))):
            if node in program.totals:
                known[node] = totals[program.totals[node]]
            elif node.op == "input" or node in program.group_sums:
                known[node] = values[program.inputs.index(program.group_sums.get(node, node.name))]
            elif node.op != "const":
                known[node] = apply_word(node, known, torch.float64)

    def _step_tensor(self, step: Pass, j: int, host: dict[Node, Any], totals: Totals) -> None:
        batch, program = self.batch, self.batch.program
        work = WORK[batch.params[j].dtype]
        slots = self._slots[j]
        known = {**slots, **host}  # a sum over many tensors is the host's; the slot holds this one's share
        new = (*step.tensor_stores, *step.slice_stores)
        for node in walk([*step.slots, *step.slices, *(n for _, n in new)], cut=frozenset(known)):
            if node.op == "input" and node not in known:
                known[node] = self._read_slow_value(node, j)
            elif node.op == "reduce" and node not in known:
                known[node] = _reduce(node, known[node.args[0]])
            elif node.op != "const" and node not in known:
                known[node] = apply_word(node, known, torch.float64)
        slots.update((n, known[n]) for n in (*step.slots, *step.slices))
        for name, node in new:
            _write(self._state(name, j), known[node])
        for node in list(known):
            if isinstance(known[node], Tensor) and known[node].is_floating_point():
                known[node] = known[node].to(work)
        for node in step.body:
            if node in step.reloads or node.op == "input":
                known[node] = self._load(step.reloads.get(node, node.name), j, work)
            elif node.op in (NEAREST, STOCHASTIC):
                known[node] = self._round(node, known[node.args[0]], j)
            else:
                known[node] = apply_word(node, known, work)
        for node in step.reductions:
            slots[node] = _reduce(node, known[node.args[0]])
            if node in program.totals:
                at = program.totals[node]
                totals[at] = totals[at] + (float(slots[node]) if isinstance(totals, np.ndarray) else slots[node])
        # a value that was only read, such as a state that becomes the old p, may lie where an earlier store writes
        read = {id(known[n]) for n in step.body if n in step.reloads or n.op == "input"}
        values = [n.value if n.op == "const" else known[n] for _, n in step.stores]
        values = [v.clone() if isinstance(v, Tensor) and id(v) in read else v for v in values]
        for (name, _), value in zip(step.stores, values, strict=True):
            _write(as_real(batch.params[j] if name == "p" else self._state(name, j)), value)

    def _state(self, name: str, j: int) -> Tensor:
        state = self.batch.states[name][j]
        assert state is not None
        return state

    def _read_slow_value(self, node: Node, j: int) -> Any:
        """A state with one value a tensor, a row or the like; or how many coordinates there are."""
        if node.name == "size":
            shape = as_real(self.batch.params[j]).shape
            return float(math.prod(n for d, n in enumerate(shape) if d in node.axes or not node.axes))
        value = self._state(node.name, j).to(torch.float64, copy=True)
        return value.reshape(()) if node.rate is Rate.TENSOR else value

    def _round(self, node: Node, value: Tensor, j: int) -> Tensor:
        """A new parameter as its dtype will hold it; gradients pass as if nothing were rounded."""
        p, exact = self.batch.params[j], value.detach()
        if node.op == NEAREST:
            rounded = round_nearest(exact, p.dtype)
        else:
            rounded = round_stochastic(exact, p.dtype, int(self._slots[j][node.args[1]]), p)
        return value + (rounded - exact) if value.requires_grad else rounded

    def _load(self, name: str, j: int, work: torch.dtype) -> Tensor:
        tensor = {"p": self.batch.params, "g": self.batch.grads}.get(name, self.batch.states.get(name, []))[j]
        assert tensor is not None
        value = as_real(tensor).to(work)
        # a step that is differentiated needs the values as they were, not as they will be overwritten
        return value.clone() if self.differentiable and name != "g" else value


def apply_word(node: Node, known: dict[Node, Any], dtype: torch.dtype) -> Any:
    """A word's value, from those of its arguments.

    Args:
        node: the word.
        known: values of nodes; constants need none.
        dtype: of a result that no argument decides.
    """
    arguments = [a.value if a.op == "const" else known[a] for a in node.args]
    if not any(isinstance(a, Tensor) for a in arguments):
        return evaluate(node.op, *arguments)
    if node.op == "where" and isinstance(arguments[0], Tensor):  # two plain numbers would take torch's default dtype
        arguments[1] = torch.as_tensor(arguments[1], dtype=dtype, device=arguments[0].device)
    return TORCH[node.op](*arguments)


def _write(target: Tensor, value: Any) -> None:
    if isinstance(value, Tensor):
        target.copy_(value)
    else:
        target.fill_(value)
