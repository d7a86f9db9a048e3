"""Warm-up, a long constant stretch, and a short decay that can be put off: WSD."""

from math import pi
from typing import Annotated

from descend.lang import Value, clamp, cos, minimum, sqrt
from descend.schedules.arguments import Share, Steps, Word
from descend.schedules.form import schedule


def _conflict(T: int, W: int, D: int, floor: float, shape: str) -> str | None:
    return None if W + D <= T else f"warm-up and decay, W + D = {W + D}, do not fit into T={T}"


@schedule(
    horizon=lambda T, W, D, floor, shape: T if floor < 1 else W - 1,
    peak=lambda T, W, D, floor, shape: 1.0,
    conflict=_conflict,
)
def warmup_stable_decay(
    k: Value,
    T: Steps,
    W: Steps,
    D: Steps,
    floor: Share = 0.0,
    shape: Annotated[str, Word(("linear", "cosine", "1-sqrt"))] = "linear",
) -> Value:
    """Rises for ``W`` updates, stays at 1, falls to ``floor`` over the last ``D`` of ``T``, then stays there.

    Hu et al. 2024, arXiv:2404.06395, equation 1. With x the share of the decay that is done, it falls as
    ``floor + (1 - floor) * f(x)``: f = 1 - x, or ``"1-sqrt"``: 1 - sqrt(x) (Hägele et al. 2024, arXiv:2405.18392,
    section 3), or ``"cosine"``: (1 + cos(pi * x)) / 2. A training is lengthened by a checkpoint from before the decay
    and a larger ``T``: all values until then are the same.

    Args:
        k: updates done before this one.
        T: how many updates there are in all, at least ``W + D``.
        W: how many updates the rise takes, counted from 1/W as in ``warmup``.
        D: how many updates the decay takes, at least 1.
        floor: the share of the highest value that is left at the end, from 0 to 1.
        shape: ``"linear"``, ``"cosine"`` or ``"1-sqrt"``, the shape of the decay.

    Raises:
        OptionError: an argument is out of its range, or warm-up and decay do not fit into ``T``.
    """
    x = clamp((k - (T - D)) / D, 0.0, 1.0)
    rest = {"linear": lambda: 1 - x, "cosine": lambda: (1 + cos(pi * x)) / 2, "1-sqrt": lambda: 1 - sqrt(x)}[shape]()
    return minimum(1.0, (k + 1) / W) * (floor + (1 - floor) * rest)
