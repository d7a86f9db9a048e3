"""What a backend gets and what it must do: run the passes of one program over one batch of tensors."""

from collections.abc import MutableSequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from descend.lang.graph import Node
from descend.lang.program import Program

Totals = MutableSequence[Any] | np.ndarray
"""Sums over all tensors of the optimizer, shared by its batches; 0-d tensors where every batch is eager."""

WORK = {
    torch.float32: torch.float32,
    torch.float64: torch.float64,
    torch.bfloat16: torch.float32,
    torch.float16: torch.float32,
    torch.complex64: torch.float32,
    torch.complex128: torch.float64,
}
"""In which type a parameter's coordinates are computed: float32 at least, whatever the storage."""


@dataclass
class Batch:
    """Tensors of one device, dtype and structure, which one program steps together.

    Complex tensors are held as they are; a backend sees pairs of reals.

    Args:
        program: the step.
        params: the parameters.
        grads: their gradients this step; None where a tensor is skipped.
        states: for each state letter its tensor for each parameter; None before the first step. Tensor-rate
            states are 0-d float64.
        steps: number of steps done by each parameter, float32.
        rows: row of the input table for each parameter; -1 where it is skipped.
        inputs: the input table, float64: one row for each distinct pair of group values and step count.
        row_count: rows in use.
        live_inputs: for each row its inputs as the user gave them, tensors that require gradients included;
            kept for ``differentiable=True`` only.
    """

    program: Program
    params: list[Tensor]
    grads: list[Tensor | None]
    states: dict[str, list[Tensor | None]]
    steps: np.ndarray
    rows: np.ndarray
    inputs: np.ndarray
    row_count: int = 0
    live_inputs: list[list[Any]] | None = field(default=None)


class Runner(Protocol):
    """A backend's hold on one batch."""

    def set_rows(self) -> None:
        """Take over which row each tensor has."""

    def begin(self, totals: Totals) -> None:
        """Start a step, whose sums over all tensors are added to ``totals``."""

    def run(self, index: int) -> None:
        """Run one pass, if the program has as many."""

    def commit(self) -> None:
        """Count the step: ``steps`` of each tensor that took it, and the number of the next step in each row."""

    def read(self, node: Node) -> list[Any]:
        """A tensor value or a reduction for each tensor, as the last step left it.

        Where the step is differentiated, they are 0-d tensors that carry their graph.
        """
        ...

    def read_row(self, node: Node, row: int) -> Any:
        """A host or group value of one row, as the last step left it."""
        ...


def as_real(tensor: Tensor) -> Tensor:
    """A complex tensor as pairs of reals, any other as it is."""
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


def is_dense(tensor: Tensor) -> bool:
    """Whether a tensor fills its memory without gaps or overlap, in whatever order of dimensions."""
    if tensor.is_contiguous():
        return True
    expected = 1
    for stride, size in sorted((s, n) for s, n in zip(tensor.stride(), tensor.shape, strict=True) if n != 1):
        if stride != expected:
            return False
        expected *= size
    return True


def overlaps_itself(tensor: Tensor) -> bool:
    """Whether two of a tensor's elements share memory, as in an expanded one."""
    if tensor.layout is not torch.strided or is_dense(tensor):
        return False
    reach = 0
    for stride, size in sorted((s, n) for s, n in zip(tensor.stride(), tensor.shape, strict=True) if n > 1):
        if stride == 0:
            return True
        if stride <= reach:  # steps of this dimension may land between those of a smaller one: look
            return _counts_twice(tensor)
        reach += stride * (size - 1)
    return False


def _counts_twice(tensor: Tensor) -> bool:
    last = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True))
    marks = torch.zeros(last + 1, dtype=torch.int32)
    places = torch.zeros(tensor.shape, dtype=torch.int64)
    for dim, (stride, size) in enumerate(zip(tensor.stride(), tensor.shape, strict=True)):
        shape = [size if d == dim else 1 for d in range(tensor.dim())]
        places += (torch.arange(size) * stride).reshape(shape)
    marks.index_add_(0, places.reshape(-1), torch.ones(places.numel(), dtype=torch.int32))
    return int(marks.max()) > 1
