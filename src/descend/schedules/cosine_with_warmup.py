"""Cosine annealing after a linear warm-up."""

from math import pi

from descend.lang import Value, cos, minimum, where
from descend.schedules.arguments import Flag, Share, Steps
from descend.schedules.form import schedule


def _conflict(T: int, W: int, floor: float, from_floor: bool) -> str | None:
    return None if W < T else f"the warm-up, W={W}, must be shorter than the whole, T={T}"


@schedule(horizon=lambda T, W, floor, from_floor: T, peak=lambda T, W, floor, from_floor: 1.0, conflict=_conflict)
def cosine_with_warmup(k: Value, T: Steps, W: Steps, floor: Share = 0.0, from_floor: Flag = False) -> Value:
    """Rises for ``W`` updates in a straight line from ``floor`` to 1, falls back along half a cosine until ``T``.

    ``floor + (1 - floor) * (k + 1) / W`` while k < W, then ``floor + (1 - floor) / 2 * (1 + cos(pi * (k - W) /
    (T - W)))``. The rise is counted from 1/W, as in ``warmup``; texts often count it from 0 (``from_floor``), and with
    floor = 0 their first update moves nothing.

    Args:
        k: updates done before this one.
        T: how many updates rise and fall take together, more than ``W``.
        W: how many updates the rise takes, at least 1.
        floor: the share of the highest value at which it begins and ends, from 0 to 1.
        from_floor: whether the first value is ``floor`` itself: k / W in place of (k + 1) / W.

    Raises:
        OptionError: an argument is out of its range, or the warm-up is as long as the whole.
    """
    rise = (k if from_floor else k + 1) / W
    fall = (1 + cos(pi * (minimum(k, T) - W) / (T - W))) / 2
    return floor + (1 - floor) * where(k < W, rise, fall)
