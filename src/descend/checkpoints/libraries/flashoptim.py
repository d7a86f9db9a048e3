"""Checkpoints of flashoptim: torch's keys, with ``::quantized`` and ``::scales`` behind them where it compressed."""

from typing import Any

from descend.checkpoints.libraries.foreign import Entries, Foreign, Library, keep_options, tell_rounding
from descend.checkpoints.quantised import as_half, decode_root, decode_softsign
from descend.checkpoints.report import Carried
from descend.errors import CheckpointError, message

_COMPANDED = {
    "exp_avg": (decode_softsign, 0.5 / 127 * 2),
    "momentum_buffer": (decode_softsign, 0.5 / 127 * 2),
    "exp_avg_sq": (decode_root, 0.5 / 255 * 2),
}
"""How each state is companded, and the largest error at the top of a block, as a share of its largest number."""


def _recognise(entries: Entries, groups: list[dict[str, Any]]) -> bool:
    quantised = any(str(k).endswith("::quantized") for e in entries.values() for k in e)
    return quantised or any("master_bytewidth" in g for g in groups)


def _read(entries: Entries, groups: list[dict[str, Any]], method: str | None) -> Foreign:
    notes: list[Carried] = []
    made: dict[Any, dict[str, Any]] = {}
    for number, entry in entries.items():
        made[number] = {k: v for k, v in entry.items() if "::" not in k and k != "error_bits"}
        for key in [k.removesuffix("::quantized") for k in entry if k.endswith("::quantized")]:
            if key not in _COMPANDED:
                what = f"The state {key!r} of flashoptim is compressed in a way that is not known here"
                raise CheckpointError(
                    message(what, allowed=", ".join(_COMPANDED), do="Save with compress_state_dict=False")
                )
            decode, share = _COMPANDED[key]
            codes, scales = entry[f"{key}::quantized"], entry[f"{key}::scales"]
            made[number][key] = decode(codes, scales, tuple(codes.shape))
            notes.append(tell_rounding(key, "8 bits", share))
            if bool((as_half(scales) < 6e-5).any()):
                how = "some scales are below 6e-5, where float16 has few digits, or none"
                notes.append(Carried(f"{key} as stored", "estimated", how, 1))
        if "error_bits" in entry:
            how = "they extend the weights: take those from the optimizer's get_fp32_model_state_dict()"
            notes.append(Carried("error_bits", "dropped", how, 1))
    keys = {k for e in made.values() for k in e}
    name = method or ("AdamW" if "exp_avg_sq" in keys else "Lion" if "exp_avg" in keys else "SGD")
    if method is None:
        notes.append(Carried("method", "estimated", f"{name}, by its states; the kind of decay is not saved", 0))
    more = {"SGD": {"nesterov": False}, "AdamW": {"amsgrad": False}, "Adam": {"amsgrad": False}}.get(name, {})
    return Foreign(name, made, [keep_options(g, name, **more) for g in groups], notes)


LIBRARY = Library(_recognise, _read)
