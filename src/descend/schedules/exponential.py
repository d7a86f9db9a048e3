"""Exponential decay: the same share lost at every update."""

from descend.lang import Value, exp
from descend.schedules.arguments import OptionalNumber, OptionalRatio
from descend.schedules.form import schedule


def _settles(rate: float | None, gamma: float | None) -> int | None:
    return 0 if rate == 0 or gamma == 1 else None


def _conflict(rate: float | None, gamma: float | None) -> str | None:
    return "give one of rate= and gamma=, gamma being exp(-rate)" if (rate is None) == (gamma is None) else None


@schedule(horizon=_settles, conflict=_conflict)
def exponential(k: Value, rate: OptionalNumber = None, gamma: OptionalRatio = None) -> Value:
    """Falls by the same share at every update, without end: ``exponential(1e-4)`` or ``exponential(gamma=0.9999)``.

    ``exp(-rate * k)``, which is ``gamma ** k`` with gamma = exp(-rate): torch's ``ExponentialLR``. A negative rate
    grows, as a learning-rate range test wants it (Smith 2017, arXiv:1506.01186, section 3.3); bound it with
    ``clamp``. Below the smallest float the value is 0.

    Args:
        k: updates done before this one.
        rate: lambda, the logarithm of the share that an update keeps, with its sign turned; any finite number.
        gamma: the share that an update keeps, above 0 and at most 1.

    Raises:
        OptionError: both or neither are given, or one is out of its range.
    """
    return exp(-(rate or 0.0) * k) if gamma is None else gamma**k
