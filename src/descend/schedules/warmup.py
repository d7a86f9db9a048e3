"""Linear warm-up: small steps first, while the running averages still know little."""

from descend.lang import Value, minimum
from descend.schedules.arguments import Steps
from descend.schedules.form import schedule


@schedule(horizon=lambda W: W - 1, peak=lambda W: 1.0)
def warmup(k: Value, W: Steps) -> Value:
    """Rises in a straight line and reaches 1 with the ``W``-th update, then stays.

    ``min(1, (k + 1) / W)``. The rise is counted from 1/W: the usual k/W has a first step of length zero.

    Args:
        k: updates done before this one.
        W: how many updates the rise takes, at least 1.

    Raises:
        OptionError: ``W`` is not a whole number from 1.
    """
    return minimum(1.0, (k + 1) / W)
