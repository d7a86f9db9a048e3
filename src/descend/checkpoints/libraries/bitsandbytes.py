"""Checkpoints of bitsandbytes, whose states are ``state1`` and ``state2``.

For 8 bits a codebook (``qmap``) and the largest magnitude of each block (``absmax``) stand beside them.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from descend.checkpoints.libraries.foreign import Entries, Foreign, Library, keep_options, need_method, tell_rounding
from descend.checkpoints.quantised import bound_error, decode_codebook
from descend.checkpoints.report import Carried
from descend.errors import CheckpointError, message

_NESTED = "__bnb_optimizer_quant_state__"
_KEYS = {
    "Adagrad": ("sum",),
    "Adam": ("exp_avg", "exp_avg_sq"),
    "AdamW": ("exp_avg", "exp_avg_sq"),
    "AdEMAMix": ("exp_avg_fast", "exp_avg_sq"),
    "LAMB": ("exp_avg", "exp_avg_sq"),
    "Lion": ("exp_avg",),
    "RMSprop": ("square_avg",),
    "SGD": ("momentum_buffer",),
}


def _recognise(entries: Entries, groups: list[dict[str, Any]]) -> bool:
    return any(_NESTED in e or "state1" in e for e in entries.values())


def _read(entries: Entries, groups: list[dict[str, Any]], method: str | None) -> Foreign:
    flat = {n: {**{k: v for k, v in e.items() if k != _NESTED}, **e.get(_NESTED, {})} for n, e in entries.items()}
    notes: list[Carried] = []
    if method is None and all("state2" in e for e in flat.values()):
        doubled = any(e["state1"].dim() > e["state2"].dim() for e in flat.values())
        method = "AdEMAMix" if doubled else "AdamW"
        how = "of Adam's kind by its two states; its weight decay is decoupled under either name"
        notes.append(Carried("method", "approximate", f"{method}: {how}", 0))
    one = ", ".join(repr(name) for name, keys in _KEYS.items() if len(keys) == 1)
    name = need_method(method, "bitsandbytes", {k for e in flat.values() for k in e}, one)
    if name not in _KEYS:
        raise CheckpointError(message("import_state(from_=) of bitsandbytes", got=name, allowed=", ".join(_KEYS)))
    made: dict[Any, dict[str, Any]] = {}
    for number, entry in flat.items():
        made[number] = {"step": torch.tensor(float(entry.get("step", 0)))}
        for i, key in enumerate(_KEYS[name], start=1):
            if f"state{i}" not in entry or "max1" in entry:
                what = f"The state of parameter {number} has {sorted(entry)}, which {name} of bitsandbytes has not"
                raise CheckpointError(
                    message(what, allowed=f"state1 to state{len(_KEYS[name])}, in 32 bits or in 8 bits by blocks")
                )
            made[number][key] = _decode(entry, i, key, notes)
        if name == "AdEMAMix":
            made[number]["exp_avg_fast"], made[number]["exp_avg_slow"] = made[number]["exp_avg_fast"].unbind()
        if "unorm_vec" in entry:
            notes.append(Carried("unorm_vec", "dropped", "the bound on update norms is an option there", 1))
    return Foreign(name, made, [_translate(g, name) for g in groups], notes)


def _decode(entry: Mapping[str, Any], i: int, key: str, notes: list[Carried]) -> Tensor:
    codes = entry[f"state{i}"]
    if codes.dtype != torch.uint8:
        return codes
    codebook = entry[f"qmap{i}"]
    notes.append(tell_rounding(key, "8 bits", bound_error(codebook)))
    return decode_codebook(codes, codebook, entry[f"absmax{i}"], tuple(codes.shape))


def _translate(group: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Its options: every number of a method with one state stands in ``betas``."""
    betas = group["betas"]
    more: dict[str, Any] = {
        "SGD": {"momentum": betas[0], "dampening": 0.0, "nesterov": False},
        "RMSprop": {"alpha": betas[0], "momentum": 0.0},
        "Adam": {"decoupled_weight_decay": True},
        "AdamW": {"decoupled_weight_decay": True},
        "AdEMAMix": {"alpha_warmup": group.get("t_alpha") or 0.0, "beta3_warmup": group.get("t_beta3") or 0.0},
    }.get(name, {})
    return keep_options(group, name, **more)


LIBRARY = Library(_recognise, _read)
