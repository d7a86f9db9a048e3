"""Checks of arguments that are not a formula's hyper-parameters: numbers, counts, flags, words and closures."""

import math
from collections.abc import Sequence
from typing import Any

from descend.errors import OptionError, message
from descend.optim.numbers import plain
from descend.schedules.arguments import FLAG, Word


def check_number(name: str, value: Any, owner: str, *, low: float, open_low: bool = False) -> Any:
    """A finite number from ``low`` up.

    Raises:
        OptionError: if it is not one.
    """
    try:
        number = plain(value) if not isinstance(value, bool | str) else math.nan
    except OptionError:
        number = math.nan
    if not math.isfinite(number) or number < low or (open_low and number == low):
        raise OptionError(
            message(f"{owner}: {name}", got=value, allowed=f"a finite number {'>' if open_low else '>='} {low:g}")
        )
    return value


def check_count(name: str, value: Any, owner: str, *, least: int = 1) -> int:
    """A whole number from ``least`` up.

    Raises:
        OptionError: if it is not one.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise OptionError(message(f"{owner}: {name}", got=value, allowed=f"a whole number >= {least}"))
    return value


def check_flag(name: str, value: Any, owner: str) -> bool:
    """True or False.

    Raises:
        OptionError: if it is neither.
    """
    return FLAG.check(f"{owner}: {name}", value)


def check_word(name: str, value: Any, owner: str, words: Sequence[str]) -> str:
    """One of a few words.

    Raises:
        OptionError: if it is none of them, naming them and the one that may have been meant.
    """
    return Word(tuple(words)).check(f"{owner}: {name}", value)


def check_closure(closure: Any, owner: str) -> None:
    """What ``step()`` is to call; nothing, or a function. The loss itself is the usual mistake.

    Raises:
        OptionError: if it is neither.
    """
    if closure is not None and not callable(closure):
        allowed, do = "a function that returns the loss, or None", "After loss.backward() write step() alone"
        raise OptionError(message(f"{owner}.step(closure)", got=closure, allowed=allowed, do=do))
