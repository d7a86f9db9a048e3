"""Variants of contenders: the same optimizer with other schedules, warm-ups, batch sizes or options."""

import ast
import inspect
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from descend.compare.contender import Contender, check_fair
from descend.errors import OptionError, UnknownOptionError, did_you_mean, message

Variations = Mapping[str, Sequence[Any]]
"""For each thing that is varied its values: ``{"schedule": ["constant", "cosine"], "weight_decay": [0, 0.01]}``."""

OWN = ("schedule", "warmup", "batch_size")
"""What is varied in the run; every other name is an option of the optimizer."""
SHORT = {"clip": "clip_norm"}


def parse_variation(text: str, option: str = "--vary") -> tuple[str, list[Any]]:
    """``schedule=constant,cosine`` as a name and its values: numbers, true, false, none or words.

    Raises:
        OptionError: it has not this form.
    """
    name, equals, values = text.partition("=")
    if not equals or not name.strip() or not values.strip():
        raise OptionError(message(option, got=text, allowed="NAME=VALUE,VALUE,... such as schedule=constant,cosine"))
    return name.strip(), [_read(value.strip()) for value in re.split(r",(?![^(]*\))", values)]


def _read(text: str) -> Any:
    word = text.lower()
    if word in ("none", "true", "false"):
        return {"none": None, "true": True, "false": False}[word]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def vary_contenders(contenders: Iterable[Contender], variations: Variations) -> list[Contender]:
    """Each contender once with each combination of values; unchanged without variations.

    Raises:
        OptionError: a name has no values, or a contender refuses one.
    """
    if not isinstance(variations, Mapping):
        allowed = '{"name": [value, value]}'
        raise OptionError(message("what to vary", got=variations, allowed=allowed))
    for name, values in variations.items():
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise OptionError(message(f"values of {name} to vary", got=values, allowed="a list of at least one"))
    chosen = list(contenders)
    _check_names(chosen, variations)
    made = [
        vary(contender, dict(zip(variations, combination, strict=True)))
        for contender in chosen
        for combination in itertools.product(*variations.values())
    ]
    check_fair(made)
    for contender in made:
        contender.check_options()
    return made


def _check_names(contenders: Sequence[Contender], names: Iterable[str]) -> None:
    """Refuse a name that is neither varied in the run nor an option of any of the optimizers."""
    parameters = [p for contender in contenders for p in inspect.signature(contender.cls).parameters.values()]
    known = {*OWN, *SHORT, *(p.name for p in parameters)} - {"params", "lr"}
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    for name in names:
        if name == "lr":
            do = "The search tries learning rates; name them with --lrs adamw=1e-4,1e-3 (or lrs=)."
            raise OptionError(message("'lr' cannot be varied", do=do))
        if name not in known:
            raise UnknownOptionError(message(f"nothing is named {name!r} to vary", do=did_you_mean(name, known)))


def vary(contender: Contender, values: Mapping[str, Any]) -> Contender:
    """The contender with these values of schedule, warmup, batch_size, clip or options of its optimizer."""
    if not values:
        return contender
    label = ",".join(f"{name}={value}" for name, value in values.items())
    options = {SHORT.get(name, name): value for name, value in values.items() if name not in OWN}
    own = {name: value for name, value in values.items() if name in OWN}
    return replace(
        contender,
        name=f"{contender.name}@{label}",
        title=f"{contender.title} ({label.replace(',', ', ').replace('=', ' ')})",
        options={**contender.options, **options},
        **own,
    )
