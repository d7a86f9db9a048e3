"""Cosine annealing with warm restarts: SGDR."""

from math import pi

from descend.lang import Value, cos, log, where
from descend.lang import floor as whole
from descend.schedules.arguments import OptionalSteps, Ratio, Share, Steps
from descend.schedules.form import schedule


def _start(cycle: Value, T_0: int, T_mult: int) -> Value:
    """How many updates lie before a cycle; exact, since the division leaves no rest."""
    return T_0 * cycle if T_mult == 1 else T_0 * (T_mult**cycle - 1) / (T_mult - 1)


def _settles(T_0: int, T_mult: int, decay: float, floor: float, cycles: int | None) -> int | None:
    if floor == 1:
        return 0
    return None if cycles is None else sum(T_0 * T_mult**i for i in range(cycles))


@schedule(horizon=_settles)
def cosine_restarts(
    k: Value, T_0: Steps, T_mult: Steps = 1, decay: Ratio = 1.0, floor: Share = 0.0, cycles: OptionalSteps = None
) -> Value:
    """Falls along half a cosine again and again, each time over ``T_mult`` times as many updates as before.

    ``floor + decay ** i * (1 - floor) / 2 * (1 + cos(pi * t / T_i))``, t the updates done since cycle i began and
    ``T_i = T_0 * T_mult ** i``: Loshchilov & Hutter 2017, arXiv:1608.03983, equation 5; torch's
    ``CosineAnnealingWarmRestarts``.

    Args:
        k: updates done before this one.
        T_0: how many updates the first cycle takes, at least 1.
        T_mult: how many times as long each cycle is as the one before, a whole number from 1.
        decay: what is left of the height at each restart, above 0 and at most 1.
        floor: the share of the first value to which each cycle falls, from 0 to 1.
        cycles: after how many cycles it stays at ``floor``; None never ends. Without it a training that ends with a
            cycle is fine, one that goes on by a single update ends on the highest rate.

    Raises:
        OptionError: an argument is out of its range.
    """
    if T_mult == 1:
        cycle = whole(k / T_0)
    else:  # the logarithm may be off by a rounding: taken a little too large, it is compared with the exact start
        guess = whole(log(1 + k * (T_mult - 1) / T_0) / log(float(T_mult)) + 1e-6)
        cycle = where(k < _start(guess, T_0, T_mult), guess - 1, guess)
    progress = (k - _start(cycle, T_0, T_mult)) / (T_0 * T_mult**cycle)
    height = (1 - floor) / 2 * decay**cycle
    wave = floor + height * (1 + cos(pi * progress))
    return wave if cycles is None else where(k < _start(cycles, T_0, T_mult), wave, floor)
