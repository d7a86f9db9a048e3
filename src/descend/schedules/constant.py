"""The same value at every update."""

from descend.lang import Value
from descend.schedules.arguments import Number
from descend.schedules.form import schedule


@schedule(horizon=lambda value: 0)
def constant(k: Value, value: Number = 1.0) -> Value:
    """``value`` at every update: a rate for a while, as in ``constant(0.1).then(cosine(900) * 0.1, at=100)``.

    Args:
        k: updates done before this one.
        value: the value, any finite number.

    Raises:
        OptionError: ``value`` is not a finite number.
    """
    return value
