"""What an optimizer does about gradients that are not finite."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from descend.errors import NonFiniteError
from descend.optim.groups import name_of

if TYPE_CHECKING:
    from descend.optim.batches import Unit
    from descend.optim.optimizer import Optimizer
    from descend.optim.row_unit import RowUnit


def meet(optimizer: "Optimizer", units: Iterable["Unit | RowUnit"]) -> None:
    """Count and name non-finite gradients; decide what ``on_nonfinite`` says.

    Args:
        optimizer: whose step has just counted some.
        units: the batches that step.

    Raises:
        NonFiniteError: if it asks to stop.
    """
    found = [f for unit in units for f in unit.count_nonfinite()]
    for label, count in found:
        name = name_of(label)
        optimizer.nonfinite[name] = optimizer.nonfinite.get(name, 0) + count
    names = ", ".join(f"{label} ({n} element{'s' * (n > 1)})" for label, n in found[:5])
    if optimizer.wide["on_nonfinite"] == "raise":
        raise NonFiniteError(
            f"Non-finite gradients in {names} at update {optimizer.clock.updates}. Nothing was changed; "
            'look there, lower the learning rate or set clip_norm=, or use on_nonfinite="skip".'
        )
    if optimizer.wide["on_nonfinite"] == "skip":
        optimizer.skipped += 1
        optimizer.skipped_in_a_row += 1
        limit = optimizer.wide["max_nonfinite"]
        if limit is not None and optimizer.skipped_in_a_row > limit:
            raise NonFiniteError(
                f"{optimizer.skipped_in_a_row} steps in a row had non-finite gradients, last in {names}; "
                f"max_nonfinite={limit}. Nothing was changed by them."
            )
