"""Checkpoints of pytorch_optimizer: states of torch's kind, some under other keys.

The count of steps stands in the group.
"""

from collections.abc import Mapping
from typing import Any

import torch

from descend.checkpoints.libraries.foreign import Entries, Foreign, Library, keep_options, need_method
from descend.checkpoints.report import Carried
from descend.optim.catalogue import get

_KEYS = {
    "AdEMAMix": {"exp_avg": "exp_avg_fast"},
    "Adan": {"previous_grad": "pre_grad"},
    "NovoGrad": {"grads_ema": "exp_avg_sq", "moments": "exp_avg"},
}
_OPTIONS: dict[str, dict[str, Any]] = {
    "Adan": {"bias_correction": True},
    "LARS": {"momentum_form": "torch"},
    "SGDW": {"momentum_form": "torch"},
    "Yogi": {"bias_correction": True},
}
"""Conventions that are options in descend and fixed there."""


def _recognise(entries: Entries, groups: list[dict[str, Any]]) -> bool:
    return any("weight_decouple" in g or "step" in g for g in groups)


def _read(entries: Entries, groups: list[dict[str, Any]], method: str | None) -> Foreign:
    keys = {k for e in entries.values() for k in e}
    name = need_method(method, "pytorch_optimizer", keys, "the name of its class in descend")
    rule = get(name).rule
    step_of = {n: float(g["step"]) for g in groups for n in g["params"] if "step" in g}
    notes: list[Carried] = []
    made: dict[Any, dict[str, Any]] = {}
    for number, entry in entries.items():
        made[number] = {"step": torch.tensor(step_of.get(number, 0.0))}
        for key, value in entry.items():
            own = _KEYS.get(name, {}).get(key, key)
            if isinstance(value, dict):  # AggMo keeps sums of gradients by their share, descend their negatives
                made[number] |= {f"{own}_{i}": -v for i, v in enumerate(value.values(), start=1)}
            elif rule.has_key(own):
                # Adan keeps the negative of the gradient, for a sum in place of a difference
                made[number][own] = -value if (name, key) == ("Adan", "previous_grad") else value
            elif value is not None and key != "step":
                notes.append(Carried(key, "dropped", f"{name} of descend has no such state", 1))
    return Foreign(name, made, [_translate(g, name) for g in groups], notes)


def _translate(group: Mapping[str, Any], name: str) -> dict[str, Any]:
    own_decay = get(name).rule.decay == "own"
    kind = "independent" if group.get("fixed_decay") else "decoupled" if group.get("weight_decouple") else "l2"
    more: dict[str, Any] = dict(_OPTIONS.get(name, {}))
    if "weight_decouple" in group and not own_decay:
        more["decay"] = kind
    if "ams_bound" in group and "amsgrad" in get(name).rule.hypers:
        more["amsgrad"] = group["ams_bound"]
    if "step" in group:
        more["updates"] = int(group["step"])
    return keep_options(group, name, **more)


LIBRARY = Library(_recognise, _read)
