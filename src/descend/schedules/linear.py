"""A straight line from one value to another."""

from descend.lang import Value, minimum
from descend.schedules.arguments import Number, Steps
from descend.schedules.form import schedule


@schedule(horizon=lambda T, end, start: T, peak=lambda T, end, start: max(start, end))
def linear(k: Value, T: Steps, end: Number = 0.0, start: Number = 1.0) -> Value:
    """Goes in a straight line from ``start`` at the first update to ``end`` after ``T``, then stays there.

    ``start * (1 - k / T) + end * k / T``: torch's ``LinearLR``; with the defaults, the linear decay of Devlin et al.
    2019, arXiv:1810.04805, appendix A.2. For a warm-up see ``warmup``, whose first value is above 0.

    Args:
        k: updates done before this one.
        T: how many updates the way takes, at least 1.
        end: the value from ``T`` on, any finite number.
        start: the first value, any finite number.

    Raises:
        OptionError: ``T`` is not a whole number from 1, or ``start`` or ``end`` is no finite number.
    """
    progress = minimum(k, T) / T
    return start * (1 - progress) + end * progress
