"""Inverse square root decay after a linear warm-up: the Transformer's schedule."""

from descend.lang import Value, minimum, sqrt
from descend.schedules.arguments import Steps
from descend.schedules.form import schedule


@schedule(horizon=None, peak=lambda W: 1.0)
def inverse_sqrt(k: Value, W: Steps) -> Value:
    """Rises in a straight line, is 1 at the ``W``-th update, falls with one over the root of the count, without end.

    ``min(t / W, sqrt(W / t))`` with t = k + 1: Vaswani et al. 2017, arXiv:1706.03762, equation 3 ("Noam"), divided by
    its highest value. The paper's own rate for a model of width d is ``inverse_sqrt(W) * (d * W) ** -0.5``.

    Args:
        k: updates done before this one.
        W: how many updates the rise takes, at least 1.

    Raises:
        OptionError: ``W`` is not a whole number from 1.
    """
    t = k + 1
    return minimum(t / W, sqrt(W / t))
