"""Checkpoints of torchao: torch's keys, under which a large tensor is a subclass.

It has codes, a scale for each block and, but for fp8, a codebook.
"""

from typing import Any

from torch import Tensor

from descend.checkpoints.libraries.foreign import Entries, Foreign, Library, keep_options, tell_rounding
from descend.checkpoints.quantised import bound_error, decode_codebook, decode_scaled, unpack_nibbles
from descend.checkpoints.report import Carried


def _recognise(entries: Entries, groups: list[dict[str, Any]]) -> bool:
    return any(_is_subclass(v) for e in entries.values() for v in e.values())


def _is_subclass(value: Any) -> bool:
    return hasattr(value, "codes") and hasattr(value, "scale")


def _read(entries: Entries, groups: list[dict[str, Any]], method: str | None) -> Foreign:
    notes: list[Carried] = []
    if method is None:
        how = "AdamW: the checkpoint does not say whether the decay is decoupled"
        notes.append(Carried("method", "estimated", how, 0))
    made = {n: {k: _decode(v, k, notes) if _is_subclass(v) else v for k, v in e.items()} for n, e in entries.items()}
    name = method or "AdamW"
    more = {"decoupled_weight_decay": name == "AdamW"}
    return Foreign(name, made, [keep_options(g, name, **more) for g in groups], notes)


def _decode(value: Any, key: str, notes: list[Carried]) -> Tensor:
    shape, codebook = tuple(value.shape), getattr(value, "qmap", None)
    if codebook is None:
        how = "8-bit floats: off by up to 6.25% of themselves, very small ones by more"
        notes.append(Carried(f"{key} as stored", "approximate", how, 1))
        return decode_scaled(value.codes, value.scale, shape)
    packed = len(codebook) == 16
    notes.append(tell_rounding(key, "4 bits" if packed else "8 bits", bound_error(codebook)))
    codes = unpack_nibbles(value.codes) if packed else value.codes
    return decode_codebook(codes, codebook, value.scale, shape)


LIBRARY = Library(_recognise, _read)
