"""Polynomial decay: a fall to a floor along a power of the time that is left."""

from descend.lang import Value, minimum
from descend.schedules.arguments import Positive, Share, Steps
from descend.schedules.form import schedule


@schedule(horizon=lambda T, power, floor: T, peak=lambda T, power, floor: 1.0)
def polynomial(k: Value, T: Steps, power: Positive = 1.0, floor: Share = 0.0) -> Value:
    """Falls from 1 at the first update to ``floor`` after ``T``, along a power of the time left, then stays there.

    ``floor + (1 - floor) * (1 - k / T) ** power``: Chen et al. 2018 ("poly", power 0.9), arXiv:1606.00915, section
    4.1; torch's ``PolynomialLR`` with floor = 0.

    Args:
        k: updates done before this one.
        T: how many updates the fall takes, at least 1.
        power: 1 falls in a straight line, more falls early, less falls late; above 0.
        floor: the share of the first value that is left at the end, from 0 to 1.

    Raises:
        OptionError: an argument is out of its range.
    """
    return floor + (1 - floor) * (1 - minimum(k, T) / T) ** power
