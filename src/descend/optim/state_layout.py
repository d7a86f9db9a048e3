"""Torch's layout of an optimizer's state, which every checkpoint that is read here must have, and numbers in it."""

import math
from collections.abc import Mapping
from typing import Any

from descend.errors import CheckpointError, OptionError, message
from descend.optim.numbers import plain


def check_layout(state_dict: Any, owner: str) -> None:
    """Refuse what is no optimizer's state, before anything is read from it.

    Args:
        state_dict: what somebody loads.
        owner: who reads it, for the message.

    Raises:
        CheckpointError: if it has no states and groups, or these are not laid out as torch's.
    """
    fault = _find_fault(state_dict)
    if fault is not None:
        allowed = "a dict with 'state' and 'param_groups', as state_dict() makes it"
        raise CheckpointError(message(f"{owner}: this is no optimizer's state: {fault}", allowed=allowed))


def read_number(saved: Mapping[str, Any], key: str, owner: str) -> float:
    """A number that a checkpoint holds.

    Args:
        saved: where it stands.
        key: under which key.
        owner: whose it is, for the message.

    Raises:
        CheckpointError: if there is none, or one that is not finite.
    """
    try:
        number = plain(saved[key])
    except (KeyError, TypeError, OptionError):
        number = math.nan
    if not math.isfinite(number):
        got = saved.get(key) if isinstance(saved, Mapping) else saved
        raise CheckpointError(message(f"The checkpoint's {key!r} of {owner}", got=got, allowed="a finite number"))
    return number


def read_count(saved: Mapping[str, Any], key: str, owner: str) -> int:
    """A whole number from 0 that a checkpoint holds.

    Raises:
        CheckpointError: if there is none.
    """
    number = read_number(saved, key, owner)
    if number < 0 or not number.is_integer():
        what, allowed = f"The checkpoint's {key!r} of {owner}", "a whole number >= 0"
        raise CheckpointError(message(what, got=number, allowed=allowed))
    return int(number)


def _find_fault(state_dict: Any) -> str | None:
    if not isinstance(state_dict, Mapping):
        return f"it is a {type(state_dict).__name__}"
    missing = [repr(key) for key in ("state", "param_groups") if key not in state_dict]
    if missing:
        return f"it has no {' and no '.join(missing)}"
    states, groups = state_dict["state"], state_dict["param_groups"]
    if not isinstance(states, Mapping):
        return f"its 'state' is a {type(states).__name__}"
    for key, entry in states.items():
        if not isinstance(entry, Mapping):
            return f"the state of parameter {key!r} is a {type(entry).__name__}"
    if not isinstance(groups, list | tuple) or not groups:
        return "its 'param_groups' are no list of groups"
    return next((fault for i, group in enumerate(groups) if (fault := _find_group_fault(group, i))), None)


def _find_group_fault(group: Any, index: int) -> str | None:
    if not isinstance(group, Mapping) or not isinstance(group.get("params"), list | tuple):
        return f"group {index} has no list of 'params'"
    names, count = group.get("param_names", group["params"]), len(group["params"])
    if not isinstance(names, list | tuple) or len(names) != count:
        return f"the 'param_names' of group {index} are not one name for each of its {count} parameters"
    return None
