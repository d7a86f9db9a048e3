"""The type stub of the package, written from the rules' signatures.

python -m descend.optim.stub > src/descend/__init__.pyi
"""

import inspect
import sys

from descend.lang.hyper import Hyper
from descend.optim.catalogue import optimizers
from descend.optim.optimizer import Optimizer

HEAD = '''"""Written by `python -m descend.optim.stub`; a test compares it with the rules."""

from collections.abc import Iterable
from typing import Any, Literal

from torch import Tensor
from torch.nn import Module

from descend import clip as clip
from descend import schedules as schedules
from descend import wrap as wrap
from descend.checkpoints import RandomState as RandomState
from descend.checkpoints import check_resume as check_resume
from descend.checkpoints import convert_state as convert_state
from descend.checkpoints import import_state as import_state
from descend.compare import compare as compare
from descend.compare import find_lr as find_lr
from descend.compare import find_lr_on as find_lr_on
from descend.compare import tune as tune
from descend.optim import lr_scheduler as lr_scheduler
from descend.optim.catalogue import get as get
from descend.optim.catalogue import optimizers as optimizers
from descend.optim.factory import optimizer as optimizer
from descend.optim.optimizer import Optimizer as Optimizer
from descend.optim.param_groups import groups as groups
from descend.optim.plateau import Plateau as Plateau
from descend.schedules import Schedule
from descend.wrap import EMA as EMA
from descend.wrap import GSAM as GSAM
from descend.wrap import SAM as SAM
from descend.wrap import SWA as SWA
from descend.wrap import Accumulation as Accumulation
from descend.wrap import GradientRelease as GradientRelease
from descend.wrap import Lookahead as Lookahead
from descend.wrap import LookSAM as LookSAM
from descend.wrap import Routed as Routed

__version__: str

_Params = Iterable[Tensor] | Iterable[tuple[str, Tensor]] | Iterable[dict[str, Any]] | Module
_Number = float | Tensor | Schedule
_Decay = Literal["l2", "decoupled", "independent", "corrected"] | None
'''

WOVEN_TYPES = {
    "weight_decay": "_Number",
    "decay": "_Decay",
    "rounding": 'Literal["nearest", "stochastic", "compensated"] | None',
    "seed": "int",
    "sparse": 'Literal["exact", "lazy"]',
    "ema": "float | Schedule | None",
    "cautious": "bool",
    "grokfast": "tuple[_Number, _Number] | None",
    "clip_update": "_Number | None",
    "centralize": "bool",
    "clip_adaptive": "_Number | None",
    "maximize": "bool",
    "foreach": "bool | None",
    "capturable": "bool",
    "differentiable": "bool",
    "fused": "bool | None",
    "decoupled_weight_decay": "bool",
    "clip_norm": "float | None",
    "clip_value": "float | None",
    "on_nonfinite": 'Literal["apply", "skip", "raise"]',
    "max_nonfinite": "int | None",
    "metrics": "bool",
    "backend": 'Literal["auto", "eager", "cpu"]',
}


def write_stub() -> str:
    """The text of ``descend/__init__.pyi``."""
    return HEAD + "".join(_write_class(c) for c in optimizers().values())


def _write_class(cls: type[Optimizer]) -> str:
    lines = [f"\nclass {cls.__name__}(Optimizer):", "    def __init__(", "        self,"]
    keyword = False
    for parameter in inspect.signature(cls).parameters.values():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and not keyword:
            keyword = True
            lines.append("        *,")
        if parameter.name == "params":
            lines.append("        params: _Params,")
        else:
            lines.append(f"        {parameter.name}: {_type(cls, parameter.name)} = {parameter.default!r},")
    return "\n".join([*lines, "    ) -> None: ..."]).replace("'", '"') + "\n"


def _type(cls: type[Optimizer], name: str) -> str:
    hyper = cls.rule.hypers.get(name)
    return WOVEN_TYPES[name] if hyper is None else _hyper_type(hyper)


def _hyper_type(hyper: Hyper) -> str:
    if not hyper.structural:
        parts = ["_Number | None" if i in hyper.parts else "_Number" for i in range(len(hyper.ranges))]
        text = f"tuple[{', '.join(parts)}]" if hyper.is_tuple else "_Number"
    elif set(hyper.choices) == {True, False}:
        text = "bool"
    elif hyper.choices:
        text = f"Literal[{', '.join(map(repr, hyper.choices))}]"
    else:
        text = type(hyper.default).__name__
    return f"{text} | None" if hyper.optional else text


if __name__ == "__main__":
    sys.stdout.write(write_stub())
