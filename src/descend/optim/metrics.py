"""What a step did, in numbers: by-products of the same passes over memory, converted when they are read."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from descend.optim.batches import Unit

WATCHED = ("grad", "param", "update")
"""Whose squares are added up: the gradient before clipping, the parameter before the step, and its move."""


@dataclass(frozen=True)
class Sizes:
    """Norms of one tensor, of one group, or of all parameters.

    Args:
        grad_norm: of the gradient, unscaled, before any clipping.
        param_norm: of the parameter before the step.
        update_norm: of what the step added to it, decay included.
    """

    grad_norm: float
    param_norm: float
    update_norm: float

    @property
    def update_ratio(self) -> float:
        """Share of its norm by which the parameter moved; about 1e-3 in a healthy run, NaN for a norm of 0."""
        return self.update_norm / self.param_norm if self.param_norm else math.nan


@dataclass(frozen=True)
class Metrics:
    """The last step in numbers.

    Args:
        total: over all parameters that stepped.
        tensors: by the parameter's name.
        groups: one for each parameter group.
        lr: of each group.
        clip_factor: what the gradients were multiplied by; 1.0 without clipping.
        updates: done so far.
        skipped: steps skipped so far.
    """

    total: Sizes
    tensors: Mapping[str, Sizes]
    groups: tuple[Sizes, ...]
    lr: tuple[float, ...]
    clip_factor: float
    updates: int
    skipped: int


def add_up(squares: Iterable[Mapping[str, float]]) -> Sizes:
    """Norms from sums of squares of several tensors."""
    listed = list(squares)
    return Sizes(*(math.sqrt(math.fsum(s[name] for s in listed)) for name in WATCHED))


def read_squares(units: Iterable["Unit"]) -> list[tuple[int, str, dict[str, float]]]:
    """For each tensor that stepped: its group, its name and its sums of squares."""
    found = []
    for unit in units:
        sums = {name: unit.runner.read(unit.program.step.watched[name]) for name in WATCHED}
        for j, row in enumerate(unit.rows.of_tensor.tolist()):
            if row >= 0:
                found.append((unit.group_numbers[j], unit.labels[j], {name: sums[name][j] for name in WATCHED}))
    return found
