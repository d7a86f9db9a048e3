"""Cyclical rates: up and down in straight lines between two bounds, for ever."""

from descend.lang import Value, floor, minimum
from descend.schedules.arguments import OptionalSteps, Ratio, Share, Steps
from descend.schedules.form import schedule


def _cycle(k: Value, p: int, down: int | None) -> Value:
    """Which cycle this is, from 0."""
    return floor(k / (p + (down or p)))


def _triangle(k: Value, p: int, down: int | None) -> Value:
    """From 0 to 1 in ``p`` updates and back in ``down``."""
    fall = down or p
    since = k - (p + fall) * _cycle(k, p, down)
    return minimum(since / p, (p + fall - since) / fall)


def _settles(bound: float) -> int | None:
    return 0 if bound == 1 else None


@schedule(horizon=lambda p, bound, down: _settles(bound), peak=lambda p, bound, down: 1.0)
def triangular(k: Value, p: Steps, bound: Share, down: OptionalSteps = None) -> Value:
    """Rises from ``bound`` to 1 in ``p`` updates, falls back, and again, in straight lines, without end.

    ``bound + (1 - bound) * x``, x rising from 0 to 1 and falling back: Smith 2017, arXiv:1506.01186, section 3.1,
    with the paper's stepsize = p and base_lr / max_lr = bound; torch's ``CyclicLR``. Some texts print the distance
    to the middle of the cycle for x, which begins at the highest rate.

    Args:
        k: updates done before this one.
        p: how many updates the rise takes: half a cycle, in the paper 2 to 10 epochs.
        bound: the lowest value, from 0 (a first update that moves nothing) to 1; the paper's are 1/6 to 1/3.
        down: how many updates the fall takes; as many as the rise by default.

    Raises:
        OptionError: an argument is out of its range.
    """
    x = _triangle(k, p, down)
    return bound + (1 - bound) * x


@schedule(horizon=lambda p, bound, down: _settles(bound), peak=lambda p, bound, down: 1.0)
def triangular2(k: Value, p: Steps, bound: Share, down: OptionalSteps = None) -> Value:
    """As ``triangular``, with the height above ``bound`` cut in half after each cycle.

    ``bound + (1 - bound) * x / 2 ** cycle``: Smith 2017, arXiv:1506.01186, section 3.2, "triangular2".

    Args:
        k: updates done before this one.
        p: how many updates a rise takes.
        bound: the lowest value, from 0 to 1.
        down: how many updates a fall takes; as many as the rise by default.

    Raises:
        OptionError: an argument is out of its range.
    """
    x, cycle = _triangle(k, p, down), _cycle(k, p, down)
    return bound + (1 - bound) * x * 0.5**cycle


@schedule(horizon=lambda p, bound, gamma, down: _settles(bound), peak=lambda p, bound, gamma, down: 1.0)
def exp_range(k: Value, p: Steps, bound: Share, gamma: Ratio = 0.99994, down: OptionalSteps = None) -> Value:
    """As ``triangular``, with the height above ``bound`` shrinking at every update.

    ``bound + (1 - bound) * x * gamma ** k``: Smith 2017, arXiv:1506.01186, section 3.2, "exp_range"; the default is
    the gamma of its experiments.

    Args:
        k: updates done before this one.
        p: how many updates a rise takes.
        bound: the lowest value, from 0 to 1.
        gamma: the share of the height that an update keeps, above 0 and at most 1.
        down: how many updates a fall takes; as many as the rise by default.

    Raises:
        OptionError: an argument is out of its range.
    """
    x = _triangle(k, p, down)
    return bound + (1 - bound) * x * gamma**k
