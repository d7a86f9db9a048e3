"""The picture of a learning-rate range test."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from descend.compare.range_test import RangeTest
from descend.draw.style import ALONE, INK, LIGHT, MUTED, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


DASHES = ((0, (1, 2)), (0, (4, 2)), (0, (6, 2, 1, 2)))


def draw_range(test: RangeTest, title: str = "Learning-rate range test") -> Figure:
    """Loss over the learning rate, with every estimate and the answer."""
    from matplotlib.figure import Figure

    with styled():
        figure = Figure(figsize=(ALONE.width, ALONE.height), layout="constrained")
        axes = figure.subplots()
        seen = [(lr, loss) for lr, loss in zip(test.lrs, test.losses, strict=True) if math.isfinite(loss)]
        lrs = [lr for lr, _ in seen]
        axes.plot(lrs, [loss for _, loss in seen], color=MUTED, linewidth=0.8, alpha=0.6, label="each update")
        axes.plot(lrs, test.smoothed, color=LIGHT[0], label="smoothed", gid="series-smoothed")
        for style, (name, lr) in zip(DASHES, test.estimates.items(), strict=True):
            if lr is not None:
                axes.axvline(lr, color=MUTED, linewidth=1, linestyle=style, label=f"{name}: {lr:.2g}")
        if test.lr is not None:
            axes.axvline(
                test.lr, color=INK, linewidth=1.4, label=f"answer: {test.lr:.2g}, confidence {test.confidence}"
            )
        axes.set_xscale("log")
        if test.smoothed:
            low, high = min(test.smoothed), max(test.smoothed[0], *test.smoothed[: max(1, len(test.smoothed) // 2)])
            axes.set_ylim(low - 0.1 * (high - low) - 1e-12, high + 0.6 * (high - low) + 1e-12)
        axes.set_title(title if test.lr is not None else f"{title}: no answer")
        axes.set_xlabel("learning rate")
        axes.set_ylabel("training loss")
        axes.legend(fontsize=8.5, loc="upper left")
        return figure
