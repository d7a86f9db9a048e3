"""A schedule as a picture, for eyes that find an off-by-one faster than a table shows it. Needs matplotlib."""

from typing import TYPE_CHECKING, cast

from descend.errors import OptionError, message, missing_extra
from descend.schedules.algebra import Schedule
from descend.schedules.arguments import STEPS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_POINTS = 4000
"""More cannot be told apart on a screen."""


def plot(schedule: Schedule, n: int | None, axes: "Axes | None") -> "Figure":
    """The values of the first ``n`` updates, drawn as the stairs that they are; see :meth:`Schedule.plot`."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise missing_extra("matplotlib", "bench", "Plotting a schedule") from error
    counts = _counts(schedule, n)
    if axes is None:
        axes = Figure(figsize=(6.4, 3.2), layout="constrained").subplots()
    axes.step(counts, [schedule.at(k) for k in counts], where="post", label=repr(schedule))
    axes.set_xlabel("updates done, k")
    axes.set_ylabel("value")
    axes.margins(x=0)
    return cast("Figure", axes.figure)


def _counts(schedule: Schedule, n: int | None) -> list[int]:
    """The k that are drawn: all of them, or evenly spaced ones and the last where there are too many."""
    if n is None:
        horizon = schedule.horizon
        if horizon is None:
            what = f"{schedule} goes on changing for ever, so its picture needs an end"
            raise OptionError(message(what, do="Name the number of updates, as in schedule.plot(10_000)."))
        n = horizon + 2 + horizon // 20
    last = int(STEPS.check("plot(n), the number of updates", n)) - 1
    stride = max(1, last // MOST_POINTS)
    return [*range(0, last, stride), last]
