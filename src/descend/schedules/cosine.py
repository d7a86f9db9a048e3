"""Cosine annealing: half a wave down, without restarts."""

from math import pi

from descend.lang import Value, cos, minimum
from descend.schedules.arguments import Share, Steps
from descend.schedules.form import schedule


@schedule(horizon=lambda T, floor: T, peak=lambda T, floor: 1.0)
def cosine(k: Value, T: Steps, floor: Share = 0.0) -> Value:
    """Falls from 1 at the first update to ``floor`` after ``T``, along half a cosine, then stays there.

    ``floor + (1 - floor) / 2 * (1 + cos(pi * k / T))``: Loshchilov & Hutter 2017, arXiv:1608.03983,
    equation 5, for one period. Left to itself past ``T`` the formula rises again; here it ends.

    Args:
        k: updates done before this one.
        T: how many updates the fall takes, at least 1.
        floor: the share of the first value that is left at the end, from 0 to 1.

    Raises:
        OptionError: ``T`` is not a whole number from 1, or ``floor`` is not from 0 to 1.
    """
    return floor + (1 - floor) / 2 * (1 + cos(pi * minimum(k, T) / T))
