"""What a step did, in numbers: by-products of the same passes over memory, converted when they are read."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from descend.errors import OptionError, message
from descend.lang.weave import CLIP_EPS
from descend.optim.groups import name_of

if TYPE_CHECKING:
    from descend.optim.batches import Unit
    from descend.optim.optimizer import Optimizer
    from descend.optim.row_unit import RowUnit

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
    """The last step in numbers; prints as a table.

    Args:
        total: over all parameters that stepped.
        tensors: by the parameter's name; without names by its place, group and shape.
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

    def __repr__(self) -> str:
        """One line for all, for each group and for each tensor."""
        rows = {"all": self.total}
        if len(self.groups) > 1:
            rows |= {f"group {i}": sizes for i, sizes in enumerate(self.groups)}
        rows |= self.tensors
        width = max(map(len, rows))
        rates = ", ".join(f"{lr:g}" for lr in self.lr)
        counts = f"{self.updates} updates, {self.skipped} skipped"
        lines = [
            f"{counts}; lr {rates}; gradients multiplied by {self.clip_factor:.3g}",
            f"{'norm of':<{width}}  {'gradient':>10}  {'parameter':>10}  {'update':>10}  {'ratio':>10}",
        ]
        for name, s in rows.items():
            numbers = (s.grad_norm, s.param_norm, s.update_norm, s.update_ratio)
            lines.append(f"{name:<{width}}  " + "  ".join(f"{x:>10.3g}" for x in numbers))
        return "\n".join(lines)


def add_up(squares: Iterable[Mapping[str, float]]) -> Sizes:
    """Norms from sums of squares of several tensors."""
    listed = list(squares)
    return Sizes(*(math.sqrt(math.fsum(s[name] for s in listed)) for name in WATCHED))


def read_squares(units: Iterable["Unit | RowUnit"]) -> list[tuple[int, str, dict[str, float]]]:
    """For each tensor that stepped: its group, its name and its sums of squares."""
    found = []
    for unit in units:
        sums = {name: unit.runner.read(unit.program.step.watched[name]) for name in WATCHED}
        for j, row in enumerate(unit.rows.of_tensor.tolist()):
            if row >= 0:
                found.append((unit.group_numbers[j], unit.labels[j], {name: sums[name][j] for name in WATCHED}))
    return found


def read_metrics(optimizer: "Optimizer", units: Sequence["Unit | RowUnit"]) -> Metrics:
    """The last step of an optimizer in numbers.

    Raises:
        OptionError: if none were asked for, or no step was taken yet.
    """
    if not optimizer.wide["metrics"] or not any(u.active for u in units):
        raise OptionError(
            message(f"{type(optimizer).__name__} has no metrics", do="Pass metrics=True, and read them after a step")
        )
    squares, groups = read_squares(units), optimizer.param_groups
    total, limit = add_up(s for _, _, s in squares), optimizer.wide["clip_norm"]
    return Metrics(
        total=total,
        tensors={name_of(label): add_up([s]) for _, label, s in squares},
        groups=tuple(add_up(s for i, _, s in squares if i == k) for k in range(len(groups))),
        lr=tuple(float(g.get("lr", math.nan)) for g in groups),
        clip_factor=1.0 if limit is None else min(1.0, float(limit) / (total.grad_norm + CLIP_EPS)),
        updates=optimizer.clock.updates,
        skipped=optimizer.skipped,
    )
