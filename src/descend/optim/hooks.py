"""Hooks around steps, saving and loading, in the tables that ``torch.optim.Optimizer`` registers them in."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import torch

from descend.errors import OptionError, message

TABLES = (
    "_optimizer_step_pre_hooks",
    "_optimizer_step_post_hooks",
    "_optimizer_state_dict_pre_hooks",
    "_optimizer_state_dict_post_hooks",
    "_optimizer_load_state_dict_pre_hooks",
    "_optimizer_load_state_dict_post_hooks",
)
Arguments = tuple[tuple[Any, ...], dict[str, Any]]
"""What a step was called with, by position and by name; the optimizer itself is the first."""


def open_tables(optimizer: torch.optim.Optimizer) -> None:
    """Give an optimizer the tables that it does not have, as one has none after unpickling."""
    for table in TABLES:
        optimizer.__dict__.setdefault(table, OrderedDict())


def run_before(
    hooks: Iterable[Callable[..., Any]], optimizer: torch.optim.Optimizer, arguments: Arguments
) -> tuple[Arguments, Callable[[], Any] | None]:
    """Run hooks before a step; each may replace its arguments.

    Returns:
        The arguments, and the closure among them.

    Raises:
        OptionError: if a hook returns anything but arguments.
    """
    for hook in hooks:
        changed = hook(optimizer, *arguments)
        if changed is None:
            continue
        if not (isinstance(changed, tuple) and len(changed) == 2):
            raise OptionError(
                message("A step pre-hook returned something", got=changed, allowed="None or (args, kwargs)")
            )
        arguments = changed
    given, named = arguments
    return arguments, given[1] if len(given) > 1 else named.get("closure")


def amend(hooks: Iterable[Callable[..., Any]], optimizer: torch.optim.Optimizer, value: dict[str, Any]) -> Any:
    """What hooks make of a state dict; each may replace it."""
    for hook in hooks:
        changed = hook(optimizer, value)
        value = value if changed is None else changed
    return value
