"""descend: every optimizer of deep learning, each written once as its formula, run as fused kernels.

    import descend

    optimizer = descend.AdamW(model.parameters(), lr=1e-3, clip_norm=1.0)

Classes are named and called as in ``torch.optim``; ``descend.optimizer(rule)`` makes one from your own formula.
"""

import sys
from importlib import import_module
from typing import Any

from descend import schedules
from descend.optim.catalogue import CATALOGUE, get, optimizers
from descend.optim.factory import optimizer
from descend.optim.optimizer import Optimizer

__version__ = "0.1.0"

# What is imported when it is first asked for, so that importing descend stays quick: modules, and names by module.
_MODULES = {
    "clip": "descend.clip",
    "compare": "descend.compare",
    "lr_scheduler": "descend.optim.lr_scheduler",
    "wrap": "descend.wrap",
}
_NAMES = {
    "descend.checkpoints": ("RandomState", "check_resume", "convert_state", "import_state"),
    "descend.compare": ("find_lr", "find_lr_on", "tune"),
    "descend.optim.param_groups": ("groups",),
    "descend.optim.plateau": ("Plateau",),
    "descend.wrap": ("EMA", "GSAM", "SAM", "SWA", "Accumulation", "GradientRelease", "LookSAM", "Lookahead", "Routed"),
}
_HOME = {name: module for module, names in _NAMES.items() for name in names}

__all__ = ["Optimizer", "get", "optimizer", "optimizers", "schedules", *_MODULES, *_HOME, *CATALOGUE]


def __getattr__(name: str) -> Any:
    if name in CATALOGUE:
        globals()[name] = value = CATALOGUE[name]
        return value
    place = _MODULES.get(name) or _HOME.get(name)
    if place is None:
        raise AttributeError(f"module 'descend' has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    module = import_module(place)
    if place == "descend.compare":
        import_module("descend.draw.notebook").install()
    globals()[name] = value = module if name in _MODULES else getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
