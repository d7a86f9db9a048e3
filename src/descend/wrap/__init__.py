"""Wrappers around an optimizer or a model: accumulation, release, slow weights, sharpness, averages of weights.

    optimizer = descend.wrap.Lookahead(descend.AdamW(model.parameters()), k=5, alpha=0.5)
    optimizer = descend.wrap.SAM(descend.SGD(model.parameters(), lr=0.1), rho=0.05)
    optimizer = descend.wrap.Accumulation(descend.AdamW(model.parameters()), steps=4)
    optimizer = descend.wrap.Routed(descend.groups(model, kinds={"weight": {"method": "Lion"}}), method="AdamW")
    average = descend.wrap.EMA(model, decay=0.999)

Those around an optimizer are optimizers themselves: for torch's schedulers, for ``GradScaler``, for checkpoints, for
each other. ``EMA`` and ``SWA`` follow a model.
"""

from descend.wrap.accumulation import Accumulation, evaluate_parts
from descend.wrap.batch_norm import freeze_statistics, recalibrate
from descend.wrap.ema import EMA
from descend.wrap.gsam import GSAM
from descend.wrap.lookahead import Lookahead
from descend.wrap.looksam import LookSAM
from descend.wrap.release import GradientRelease
from descend.wrap.routed import Routed
from descend.wrap.sam import SAM
from descend.wrap.swa import SWA
from descend.wrap.weight_average import WeightAverage
from descend.wrap.wrapper import Wrapper

__all__ = [
    "EMA", "GSAM", "SAM", "SWA", "Accumulation", "GradientRelease", "LookSAM", "Lookahead", "Routed", "WeightAverage",
    "Wrapper", "evaluate_parts", "freeze_statistics", "recalibrate",
]  # fmt: skip
