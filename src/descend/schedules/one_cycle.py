"""The one-cycle policy: the rate goes up once and down once, the momentum the other way."""

from math import pi
from typing import Annotated

from descend.lang import Value, cos, minimum, where
from descend.schedules.arguments import Flag, Number, Positive, Share, Steps, Word
from descend.schedules.form import schedule

Anneal = Annotated[str, Word(("cos", "linear"))]


def _conflict(T: int, pct_start: float, three_phase: bool) -> str | None:
    top = pct_start * T - 1
    if 0 < top and (2 * top if three_phase else top) < T - 1:
        return None
    way = f"more than 1/T and less than {'(1 + 1/T)/2' if three_phase else '1'}"
    return f"pct_start={pct_start} of T={T} updates leaves a phase without its own; allowed: {way}"


def _way(start: float, end: float, progress: Value, anneal: str) -> Value:
    """From ``start`` to ``end`` as ``progress`` goes from 0 to 1."""
    if anneal == "linear":
        return start * (1 - progress) + end * progress
    return end + (start - end) / 2 * (1 + cos(pi * progress))


def _phases(k: Value, T: int, pct_start: float, levels: list[float], anneal: str, three_phase: bool) -> Value:
    """The way through the levels: the first ends with ``pct_start`` of the updates, the last with all."""
    top = pct_start * T - 1  # the k of the last update of the rise; need not be whole
    ends = [top, 2 * top, T - 1] if three_phase else [top, T - 1]
    value: Value = levels[-1]
    for i in reversed(range(len(ends))):
        begin = ends[i - 1] if i else 0
        progress = (minimum(k, ends[i]) - begin) / (ends[i] - begin)
        phase = _way(levels[i], levels[i + 1], progress, anneal)
        value = phase if i == len(ends) - 1 else where(k <= ends[i], phase, value)
    return value


@schedule(
    horizon=lambda T, pct_start, div_factor, final_div_factor, anneal, three_phase: T - 1,
    peak=lambda T, pct_start, div_factor, final_div_factor, anneal, three_phase: 1.0,
    conflict=lambda T, pct_start, div, final, anneal, three_phase: _conflict(T, pct_start, three_phase),
)
def one_cycle(
    k: Value,
    T: Steps,
    pct_start: Share = 0.3,
    div_factor: Positive = 25.0,
    final_div_factor: Positive = 1e4,
    anneal: Anneal = "cos",
    three_phase: Flag = False,
) -> Value:
    """Rises from ``1 / div_factor`` to 1 and falls far below it by the ``T``-th update, then stays there.

    Smith & Topin 2017, arXiv:1708.07120, section 4; torch's ``OneCycleLR``, value for value, without its write into
    betas and momentum: for these there is ``one_cycle_momentum``. The paper's policy is ``anneal="linear"`` with
    ``three_phase=True``.

    Args:
        k: updates done before this one.
        T: how many updates the cycle takes.
        pct_start: the share of them that the rise takes, more than 1/T and less than 1 (a half with three phases).
        div_factor: the highest value over the first.
        final_div_factor: the first value over the last.
        anneal: ``"cos"`` or ``"linear"``, the shape of the ways between.
        three_phase: whether the fall back to the first value takes as long as the rise, and the way below it the rest.

    Raises:
        OptionError: an argument is out of its range, or a phase is left without an update.
    """
    low = 1 / div_factor
    levels = [low, 1.0, low, low / final_div_factor] if three_phase else [low, 1.0, low / final_div_factor]
    return _phases(k, T, pct_start, levels, anneal, three_phase)


@schedule(
    horizon=lambda T, pct_start, base, top, anneal, three_phase: T - 1,
    conflict=lambda T, pct_start, base, top, anneal, three_phase: _conflict(T, pct_start, three_phase),
)
def one_cycle_momentum(
    k: Value,
    T: Steps,
    pct_start: Share = 0.3,
    base: Number = 0.85,
    top: Number = 0.95,
    anneal: Anneal = "cos",
    three_phase: Flag = False,
) -> Value:
    """The momentum beside ``one_cycle``: falls from ``top`` to ``base`` while the rate rises, then comes back.

    A value, not a factor: ``SGD(params, lr=one_cycle(T) * 0.1, momentum=one_cycle_momentum(T))``, or the first of
    Adam's betas. Smith 2018, arXiv:1803.09820, section 4.2; torch's ``OneCycleLR(cycle_momentum=True)``.

    Args:
        k: updates done before this one.
        T: how many updates the cycle takes.
        pct_start: the share of them until the lowest value, as in ``one_cycle``.
        base: the lowest value.
        top: the first and the last value.
        anneal: ``"cos"`` or ``"linear"``, the shape of the ways between.
        three_phase: whether the way back takes as long as the way down, after which the value stays.

    Raises:
        OptionError: an argument is out of its range, or a phase is left without an update.
    """
    levels = [top, base, top, top] if three_phase else [top, base, top]
    return _phases(k, T, pct_start, levels, anneal, three_phase)
