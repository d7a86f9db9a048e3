"""What the readers of other libraries' checkpoints share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from descend.checkpoints.report import Carried
from descend.errors import CheckpointError, message
from descend.optim.catalogue import get

Entries = Mapping[Any, dict[str, Any]]


@dataclass(frozen=True)
class Foreign:
    """A checkpoint as it was read.

    Args:
        method: its method's name in descend.
        entries: states by number, under descend's keys.
        groups: with descend's options alone.
        notes: what was lost or assumed.
    """

    method: str
    entries: Entries
    groups: list[dict[str, Any]]
    notes: list[Carried]


@dataclass(frozen=True)
class Library:
    """How a library's checkpoints are told and read.

    Args:
        recognise: whether entries and groups are of this library.
        read: takes them, and the method that the user has named or None.
    """

    recognise: Callable[[Entries, list[dict[str, Any]]], bool]
    read: Callable[[Entries, list[dict[str, Any]], str | None], Foreign]


def keep_options(group: Mapping[str, Any], method: str, **more: Any) -> dict[str, Any]:
    """A group with the options that the method has, as plain numbers."""
    known = {*get(method).rule.hypers, "weight_decay", "params", "param_names", "initial_lr", "maximize"}
    kept = {k: v.item() if isinstance(v, Tensor) else v for k, v in group.items() if k in known}
    return {**kept, **more}


def need_method(method: str | None, library: str, keys: set[str], allowed: str) -> str:
    """The method that the user has named, where a library's checkpoint does not say it.

    Args:
        method: as named, or None.
        library: whose checkpoint it is.
        keys: of its states.
        allowed: what may be named, in words.

    Raises:
        CheckpointError: if none was named.
    """
    if method is None:
        what = f"A checkpoint of {library} does not say its method; its states are {sorted(keys)}"
        raise CheckpointError(message(what, allowed=allowed, do="Name it: from_='Lion'"))
    return method


def tell_rounding(key: str, bits: str, share: float) -> Carried:
    """The line on a state that was stored in few bits; ``share`` is its largest error beside a block's largest."""
    how = f"rounded to {bits}: each number off by up to {share:.2%} of its block's largest"
    return Carried(f"{key} as stored", "approximate", how, 1)
