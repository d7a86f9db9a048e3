"""The list of classes: each rule under its public name, with the flags that torch takes by position."""

import functools
import threading
from collections.abc import Iterator, Mapping
from importlib import import_module

from descend.errors import OptionError, did_you_mean, message
from descend.optim.factory import optimizer
from descend.optim.optimizer import Optimizer

_POSITIONAL: dict[str, tuple[str, ...]] = {
    "AdaBelief": (),
    "Adadelta": ("foreach",),
    "Adafactor": (),
    "Adagrad": ("foreach",),
    "Adam": (),
    "AdamHD": (),
    "Adamax": ("foreach",),
    "AdamW": (),
    "Adan": (),
    "AdEMAMix": (),
    "ADOPT": (),
    "AggMo": (),
    "ASGD": ("foreach", "maximize", "differentiable", "capturable"),
    "CAME": (),
    "DAdaptAdam": (),
    "DAdaptSGD": (),
    "LAMB": (),
    "LARS": (),
    "Lion": (),
    "MARS": (),
    "NAdam": ("decoupled_weight_decay",),
    "NovoGrad": (),
    "Prodigy": (),
    "QHAdam": (),
    "QHM": (),
    "RAdam": ("decoupled_weight_decay",),
    "RMSprop": ("capturable", "foreach", "maximize", "differentiable"),
    "Rprop": (),
    "ScheduleFreeAdamW": (),
    "ScheduleFreeSGD": (),
    "SGD": (),
    "SGDHD": (),
    "SGDW": (),
    "SignSGD": (),
    "Signum": (),
    "SM3": (),
    "StableAdamW": (),
    "Yogi": (),
}
"""The formula of each name stands in ``descend.rules``, in the file of its lower-case name."""


class Catalogue(Mapping[str, type[Optimizer]]):
    """Each optimizer class by its name, made when it is first asked for: a program needs two or three of them."""

    def __init__(self) -> None:
        self._made: dict[str, type[Optimizer]] = {}
        self._lock = threading.Lock()

    def __getitem__(self, name: str) -> type[Optimizer]:
        with self._lock:
            if name not in self._made:
                positional, place = _POSITIONAL[name], name.lower()
                rule = getattr(import_module(f"descend.rules.{place}"), place)
                self._made[name] = made = optimizer(rule, name=name, positional=positional)
                made.__module__ = "descend"  # where it is found again, as by pickle
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_POSITIONAL)

    def __len__(self) -> int:
        return len(_POSITIONAL)

    def __contains__(self, name: object) -> bool:
        return name in _POSITIONAL


CATALOGUE = Catalogue()


def optimizers() -> dict[str, type[Optimizer]]:
    """Every optimizer class by its name, in alphabetical order."""
    return dict(sorted(CATALOGUE.items(), key=lambda item: item[0].lower()))


def get(name: str) -> type[Optimizer]:
    """The optimizer class of a name, whatever its capitals: ``get("adamw")``.

    Raises:
        OptionError: if there is none.
    """
    found = {known.lower(): known for known in CATALOGUE}.get(str(name).lower())
    if found is None:
        raise OptionError(message("No optimizer has this name", got=name, do=did_you_mean(name, CATALOGUE)))
    return CATALOGUE[found]


@functools.cache
def list_every_hyper() -> frozenset[str]:
    """Hyper-parameters of all methods: how a checkpoint of another method is recognised."""
    return frozenset(name for cls in CATALOGUE.values() for name in cls.rule.hypers)
