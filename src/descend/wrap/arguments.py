"""Checks of the wrappers' own arguments."""

from collections.abc import Sequence
from typing import Any

from descend.errors import OptionError, did_you_mean, message


def check_count(name: str, value: Any, owner: str) -> int:
    """A whole number from 1.

    Raises:
        OptionError: if it is not one.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise OptionError(message(f"{owner}: {name}", got=value, allowed="a whole number >= 1"))
    return value


def check_choice(name: str, value: Any, owner: str, choices: Sequence[str]) -> None:
    """Refuse a word that is none of the choices.

    Raises:
        OptionError: naming them, and the one that may have been meant.
    """
    if value not in choices:
        allowed = ", ".join(map(repr, choices))
        raise OptionError(message(f"{owner}: {name}", got=value, allowed=allowed, do=did_you_mean(str(value), choices)))
