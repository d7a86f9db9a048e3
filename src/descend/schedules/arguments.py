"""What a schedule may be given: counts of updates, shares and numbers, each with its refusal in words."""

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Annotated, Any

from descend.errors import OptionError, message
from descend.lang import Range


@dataclass(frozen=True)
class Argument:
    """A kind of argument: how it is read and which values it may take.

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
            plain = self.read(value)
        except TypeError:
            plain = math.nan
        if isinstance(value, bool) or not self.range.admits(plain):
            raise OptionError(message(f"{what}: got {value!r}", allowed=self.words))
        return plain


def _real(value: object) -> float:
    if not isinstance(value, Real):
        raise TypeError
    return float(value)


STEPS = Argument(operator.index, Range(low=1), "a whole number of updates, at least 1")
COUNT = Argument(operator.index, Range(low=0), "a whole number, at least 0")
NUMBER = Argument(_real, Range(), "a finite number")
SHARE = Argument(_real, Range(low=0, high=1), "a number from 0 to 1")

# Annotations of a formula's parameters; the decorator in form.py reads the range out of them.
Steps = Annotated[int, STEPS]
Number = Annotated[float, NUMBER]
Share = Annotated[float, SHARE]
