"""What a task is judged by."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Metric:
    """A number that says how good a model is.

    Args:
        name: as it stands on axes and in tables.
        compute: (outputs of the model, targets) of a whole part of the data -> one number.
        higher_is_better: False for errors and losses.
        percent: shown as a percentage; the number itself stays a fraction.
    """

    name: str
    compute: Callable[[Tensor, Tensor], Tensor | float]
    higher_is_better: bool = True
    percent: bool = False

    def better(self, a: float, b: float) -> bool:
        """Whether ``a`` is strictly better than ``b``."""
        return a > b if self.higher_is_better else a < b

    def reached(self, value: float, target: float) -> bool:
        """Whether ``value`` is as good as ``target`` or better."""
        return not self.better(target, value)

    def show(self, value: float, digits: int | None = None) -> str:
        """The value with its unit, for people."""
        if self.percent:
            return f"{100 * value:.{1 if digits is None else digits}f} %"
        return f"{value:.{4 if digits is None else digits}g}"

    def show_spread(self, value: float, half_width: float) -> str:
        """A value with half the length of its interval, in digits that mean something: ``0.222 ± 0.074``."""
        if self.percent:
            return f"{100 * value:.1f} ± {100 * half_width:.1f} %"
        if not 0 < half_width < math.inf:
            return f"{self.show(value)} ± {half_width:.2g}"
        places = max(0, 1 - math.floor(math.log10(half_width)))
        return f"{value:.{places}f} ± {half_width:.{places}f}"

    def show_gap(self, value: float) -> str:
        """A difference of two values: percentages differ by points."""
        text = f"{100 * value:.1f}" if self.percent else f"{value:.3g}"
        return text.replace("-", "\N{MINUS SIGN}") + (" pt" if self.percent else "")


def fraction_correct(outputs: Tensor, targets: Tensor) -> Tensor:
    """Share of rows whose largest output stands at the target class."""
    return (outputs.argmax(dim=-1) == targets).double().mean()


accuracy = Metric("accuracy", fraction_correct, higher_is_better=True, percent=True)
"""Share of correct classes; outputs are (rows, classes), targets are class numbers."""


def explained_variance(outputs: Tensor, targets: Tensor) -> Tensor:
    """R²: one minus the squared error over that of the targets' mean; 0 for the mean, 1 when perfect."""
    outputs, targets = outputs.double().flatten(), targets.double().flatten()
    return 1 - (targets - outputs).square().sum() / (targets - targets.mean()).square().sum()


def area_under_roc(outputs: Tensor, targets: Tensor) -> Tensor:
    """Chance that a positive example gets a larger output than a negative one; ties count half.

    Source: Hanley and McNeil (1982), "The Meaning and Use of the Area under a Receiver Operating Characteristic
    (ROC) Curve": the area is the Wilcoxon statistic, here computed from the ranks of the outputs.

    Args:
        outputs: (rows,) scores.
        targets: (rows,) 0 or 1; both must occur.
    """
    _, place, counts = outputs.double().flatten().unique(return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0) - (counts.double() - 1) / 2)[place]
    positive = targets.flatten() > 0.5
    n, m = int(positive.sum()), int((~positive).sum())
    return (ranks[positive].sum() - n * (n + 1) / 2) / (n * m)


r2 = Metric("R²", explained_variance)
"""Share of the targets' variance that is explained; outputs and targets are numbers, one a row."""

roc_auc = Metric("ROC AUC", area_under_roc)
"""Area under the receiver operating characteristic; outputs are scores, targets 0 or 1."""
