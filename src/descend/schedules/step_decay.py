"""Step decay: a drop every so many updates."""

from descend.lang import Value, floor
from descend.schedules.arguments import Ratio, Steps
from descend.schedules.form import schedule


@schedule(horizon=lambda s, gamma: 0 if gamma == 1 else None)
def step_decay(k: Value, s: Steps, gamma: Ratio = 0.1) -> Value:
    """Multiplies by ``gamma`` after every ``s`` updates, without end.

    ``gamma ** floor(k / s)``: torch's ``StepLR``. The first drop is that of update k = s, the one after the first
    ``s``; formulas that count updates from 1 drop one update early.

    Args:
        k: updates done before this one.
        s: how many updates a step of the stairs lasts, at least 1.
        gamma: what is left after each drop, above 0 and at most 1.

    Raises:
        OptionError: ``s`` is not a whole number from 1, or ``gamma`` is out of its range.
    """
    return gamma ** floor(k / s)
