"""What a schedule may be given: counts of updates, shares, numbers and words, each with its refusal in words."""

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Real
from typing import Annotated, Any, TypeAlias

from descend.errors import OptionError, did_you_mean, message
from descend.lang import Range

Plain: TypeAlias = int | float | str | bool | tuple[int, ...] | None
"""An argument as a schedule keeps it."""


class Argument(ABC):
    """A kind of argument: how it is read and which values it may take."""

    @abstractmethod
    def check(self, what: str, value: object) -> Any:
        """The value as a plain one; raises OptionError naming ``what`` where it is not allowed."""


@dataclass(frozen=True)
class Bounded(Argument):
    """A number inside a range.

    Args:
        read: turns what the user gave into an int or a float; raises TypeError where it is neither.
        range: the values that it may take.
        words: the same, completing "allowed: ...".
    """

    read: Callable[[Any], int | float]
    range: Range
    words: str

    def check(self, what: str, value: object) -> int | float:
        """The value as a plain int or float; raises OptionError naming ``what`` where it is out of range."""
        try:
            plain: int | float | None = None if isinstance(value, bool) else self.read(value)
            fits = plain is not None and self.range.admits(plain)
        except (TypeError, OverflowError):
            plain, fits = None, False
        if plain is None or not fits:
            raise OptionError(message(f"{what}: got {value!r}", allowed=self.words))
        return plain


@dataclass(frozen=True)
class Optional(Argument):
    """A kind of argument that may be left out, as None."""

    kind: Argument

    def check(self, what: str, value: object) -> Any:
        """None, or what the kind makes of the value."""
        return None if value is None else self.kind.check(what, value)


@dataclass(frozen=True)
class Word(Argument):
    """One of a few words."""

    words: tuple[str, ...]

    def check(self, what: str, value: object) -> str:
        """The word; raises OptionError naming ``what`` where it is none of them."""
        if not isinstance(value, str) or value not in self.words:
            allowed = ", ".join(map(repr, self.words))
            hint = did_you_mean(str(value), self.words)
            raise OptionError(message(f"{what}: got {value!r}", allowed=allowed, do=hint))
        return value


class _Flag(Argument):
    """Yes or no."""

    def check(self, what: str, value: object) -> bool:
        """The flag; raises OptionError naming ``what`` where it is neither True nor False."""
        if not isinstance(value, bool):
            raise OptionError(message(f"{what}: got {value!r}", allowed="True, False"))
        return value


class _Moments(Argument):
    """Counts of updates, one after the other."""

    def check(self, what: str, value: object) -> tuple[int, ...]:
        """The counts as a tuple; raises OptionError naming ``what`` where they are none or do not increase."""
        listed = list(value) if isinstance(value, list | tuple) else []
        counts = tuple(int(STEPS.check(f"{what}, entry {i}", x)) for i, x in enumerate(listed))
        if not counts or any(a >= b for a, b in pairwise(counts)):
            allowed = "a list of increasing whole numbers of updates, such as (3000, 6000)"
            raise OptionError(message(f"{what}: got {value!r}", allowed=allowed))
        return counts


def _real(value: object) -> float:
    if not isinstance(value, Real):
        raise TypeError
    return float(value)


STEPS = Bounded(operator.index, Range(low=1), "a whole number of updates, at least 1")
COUNT = Bounded(operator.index, Range(low=0), "a whole number, at least 0")
NUMBER = Bounded(_real, Range(), "a finite number")
NOT_NEGATIVE = Bounded(_real, Range(low=0), "a finite number, at least 0")
POSITIVE = Bounded(_real, Range(low=0, open_low=True), "a finite number above 0")
SHARE = Bounded(_real, Range(low=0, high=1), "a number from 0 to 1")
RATIO = Bounded(_real, Range(low=0, high=1, open_low=True), "a number above 0 and at most 1")
FLAG = _Flag()

# Annotations of a formula's parameters; the decorator in form.py reads the range out of them.
Steps = Annotated[int, STEPS]
OptionalSteps = Annotated[int | None, Optional(STEPS)]
Moments = Annotated[Sequence[int], _Moments()]
Number = Annotated[float, NUMBER]
OptionalNumber = Annotated[float | None, Optional(NUMBER)]
Positive = Annotated[float, POSITIVE]
Share = Annotated[float, SHARE]
Ratio = Annotated[float, RATIO]
OptionalRatio = Annotated[float | None, Optional(RATIO)]
Flag = Annotated[bool, FLAG]
