"""Milestones: a drop at each of some moments chosen by hand."""

from descend.lang import Value, where
from descend.schedules.arguments import Moments, Ratio
from descend.schedules.form import schedule


@schedule(horizon=lambda at, gamma: 0 if gamma == 1 else at[-1])
def milestones(k: Value, at: Moments, gamma: Ratio = 0.1) -> Value:
    """Multiplies by ``gamma`` after each of some counts of updates: ``milestones((30_000, 60_000))``.

    ``gamma ** n``, n the number of milestones that are at most k: torch's ``MultiStepLR``; the schedule of He et al.
    2015, arXiv:1512.03385, section 3.4, with gamma = 0.1.

    Args:
        k: updates done before this one.
        at: after how many updates the drops come, increasing.
        gamma: what is left after each drop, above 0 and at most 1.

    Raises:
        OptionError: ``at`` does not increase or is empty, or ``gamma`` is out of its range.
    """
    stairs: Value = gamma ** len(at)
    for done, moment in reversed(list(enumerate(at))):
        stairs = where(k < moment, gamma**done, stairs)
    return stairs
