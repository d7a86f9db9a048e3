"""Horizons in other units than updates: a number of updates that remembers how it was given."""

from numbers import Real

from descend.errors import OptionError, message
from descend.schedules.arguments import STEPS


class Updates(int):
    """A whole number of updates, counted in a unit of its own. It is an int, and arithmetic on it gives ints."""

    words: str

    def __new__(cls, number: int, words: str) -> "Updates":
        """The number with the words in which it was given."""
        made = super().__new__(cls, number)
        made.words = words
        return made

    def __getnewargs__(self) -> tuple[int, str]:  # type: ignore[override]  # copies keep the words
        return int(self), self.words

    def __repr__(self) -> str:
        return f"{self.words} = {int(self)} updates"

    __str__ = __repr__


def epochs(n: float, updates_per_epoch: int) -> Updates:
    """So many epochs as updates, for any horizon: ``cosine(epochs(90, updates_per_epoch=len(loader)))``.

    Args:
        n: how many epochs; a share of one is rounded to the nearest update.
        updates_per_epoch: optimizer steps an epoch: with gradients accumulated over a micro-batches,
            ``math.ceil(len(loader) / a)``; with data split over processes, the length of one process's loader.

    Raises:
        OptionError: if this is less than one update.
    """
    each = int(STEPS.check("epochs(updates_per_epoch=)", updates_per_epoch))
    return _whole(n, each, f"epochs({n}, {each})")


def samples(n: float, batch_size: int) -> Updates:
    """So many training samples as updates, for any horizon: ``warmup(samples(300_000, batch_size=512))``.

    Args:
        n: how many samples; the last update may have fewer than a full batch.
        batch_size: samples an update, over all processes and accumulated micro-batches.

    Raises:
        OptionError: if this is no number of samples.
    """
    size = int(STEPS.check("samples(batch_size=)", batch_size))
    count = int(STEPS.check("samples(n)", n))
    return Updates(-(-count // size), f"samples({n}, {size})")


def _whole(n: float, each: int, words: str) -> Updates:
    number = float(n) * each if isinstance(n, Real) and not isinstance(n, bool) else 0.0
    if not 0.5 < number < float("inf"):
        raise OptionError(message(words, allowed="a number of epochs that makes at least one update"))
    return Updates(round(n * each), words)
