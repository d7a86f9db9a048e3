"""A checkpoint of another library for an optimizer of descend."""

import pickle
from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from typing import Any

import torch

from descend.checkpoints.conversion import convert_state
from descend.checkpoints.identify import Method, find_method, name_class
from descend.checkpoints.libraries import LIBRARIES
from descend.checkpoints.report import Conversion, tally
from descend.errors import CheckpointError, message
from descend.optim.arguments import check_word
from descend.optim.state_layout import check_layout

SOURCES = ("descend", "torch", *LIBRARIES)
_PLACES = ("optimizer", "optimizer_state_dict", "optimizer_states", "optim", "optimizer_state")
"""Keys under which training loops keep an optimizer's state."""


def import_state(
    checkpoint: str | PathLike[str] | Mapping[str, Any],
    to: Method | None = None,
    from_: Method | None = None,
    *,
    source: str | None = None,
    updates: int | None = None,
    **options: Any,
) -> Conversion:
    """Read a checkpoint of torch, bitsandbytes, torchao, pytorch_optimizer or flashoptim for an optimizer of descend.

        optimizer = descend.AdamW(model.parameters(), lr=1e-4)
        imported = descend.import_state("adamw8bit.pt", to=optimizer)
        print(imported)
        optimizer.load_state_dict(imported.state_dict)

    States of 8 and 4 bits are decoded into float32; the report says how far off they may be, and what was dropped or
    assumed. The state may go to another method at once, as by :func:`convert_state`.

    Args:
        checkpoint: an optimizer's state, a training loop's checkpoint with one in it, or a file of either.
        to: the optimizer that will load it, a class or its name; by default its own method's class.
        from_: its method, where the library does not write it down.
        source: the library; by default told by the layout.
        updates: how many were done, where the state does not say.
        options: of the target, where ``to`` is a class.

    Raises:
        CheckpointError: if the file or its layout cannot be read.
        OptionError: if a name or an option is unknown.
    """
    if source is not None:
        check_word("source", source, "import_state()", SOURCES)
    saved = find_optimizer(checkpoint if isinstance(checkpoint, Mapping) else _load_file(checkpoint))
    check_layout(saved, "import_state()")
    entries, groups = saved["state"], list(saved["param_groups"])
    found = source or next((n for n, lib in LIBRARIES.items() if lib.recognise(entries, groups)), "torch")
    if found not in LIBRARIES:
        own = from_ if from_ is not None else find_method(saved)
        return convert_state(saved, own if to is None else to, own, updates=updates, **options)
    if not LIBRARIES[found].recognise(entries, groups):
        what = f"import_state(source={found!r}): the checkpoint has the states {_list_keys(entries)}"
        raise CheckpointError(message(what, allowed=f"those of {found}", do="Leave source= out to have it told"))
    named = name_class(from_, "import_state(from_=)").__name__ if from_ is not None else None
    foreign = LIBRARIES[found].read(entries, groups, named)
    layout = {"state": foreign.entries, "param_groups": foreign.groups}
    made = convert_state(layout, to if to is not None else foreign.method, foreign.method, updates=updates, **options)
    lines = tuple(tally([*foreign.notes, *made.lines]))
    return replace(made, source=f"{foreign.method} of {found}", lines=lines)


def find_optimizer(checkpoint: Mapping[str, Any]) -> Any:
    """What stands in the place of the one optimizer's state in a checkpoint.

    Raises:
        CheckpointError: if there is none, or more than one.
    """
    if {"state", "param_groups"} <= checkpoint.keys():
        return checkpoint
    found: list[Any] = []
    for key in (k for k in _PLACES if k in checkpoint):
        found += checkpoint[key] if isinstance(checkpoint[key], list | tuple) else [checkpoint[key]]
    if len(found) != 1:
        keys = sorted(map(str, checkpoint))[:9]
        raise CheckpointError(
            message(
                f"import_state(): {len(found)} optimizers' states in a checkpoint with the keys {keys}",
                allowed=f"one, under {', '.join(map(repr, _PLACES))}",
                do="Pass the optimizer's part of it",
            )
        )
    return found[0]


def _load_file(path: str | PathLike[str]) -> Mapping[str, Any]:
    """A file's content, tensors on the CPU, no code run.

    Raises:
        CheckpointError: if it is none, holds classes that are not known yet, or no mapping.
    """
    if not isinstance(path, str | PathLike) and not hasattr(path, "seek"):
        allowed = "a file's path, or the dict that torch.load() made of it"
        raise CheckpointError(message("import_state(checkpoint)", got=type(path).__name__, allowed=allowed))
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        first = next((line for line in str(error).splitlines() if "GLOBAL" in line or "nsupported" in line), "")
        raise CheckpointError(
            message(
                f"import_state(): {str(path)!r} holds more than tensors and plain data. {first.strip()}".rstrip(". "),
                do="Import the library that wrote it first (torchao.optim declares its tensors safe), or load it "
                "yourself and pass the dict",
            )
        ) from error
    if not isinstance(content, Mapping):
        raise CheckpointError(
            message(f"import_state(): {str(path)!r} holds a {type(content).__name__}", allowed="a dict")
        )
    return content


def _list_keys(entries: Mapping[Any, Mapping[str, Any]]) -> list[str]:
    return sorted({str(key) for entry in entries.values() for key in entry})
