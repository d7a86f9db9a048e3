"""What kept records say about two contenders: numbers seed by seed, their differences, and a verdict on a claim."""

import itertools
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from typing import Literal

from descend.compare import Comparison, Row, TaskResult
from descend.compare.protocol import Record
from descend.compare.sensitivity import find_tolerance
from descend.compare.statistics import Difference, judge
from descend.compare.summary import ENOUGH_SEEDS
from studies import KEPT, STUDIES

Verdict = Literal["supported", "not supported", "undecided", "not measured"]


@dataclass(frozen=True)
class Side:
    """One contender of one study.

    Args:
        study: name of the study.
        contender: its name; with ``*`` the one of these names whose final runs are best on the validation part.
        lr: look at the search runs at this learning rate instead of the final runs at the chosen one.
    """

    study: str
    contender: str
    lr: float | None = None


@dataclass(frozen=True)
class Pair:
    """One comparison: a claim expects ``one`` to have more of ``measure`` than ``other``."""

    task: str
    one: Side
    other: Side
    measure: str = "test"


def _runs(result: TaskResult, side: Side, contender: str) -> list[Record]:
    if side.lr is not None:
        return result.runs(contender, "search", side.lr)
    return result.runs(contender, "final")


def _sign(result: TaskResult) -> float:
    return 1.0 if result.task.score.higher_is_better else -1.0


def _of_each_run(read: Callable[[TaskResult, Record], float]) -> Callable[[TaskResult, Side, str], list[float]]:
    """A measure that is one number of each run, in the order of the seeds."""

    def measure(result: TaskResult, side: Side, contender: str) -> list[float]:
        return [read(result, record) for record in sorted(_runs(result, side, contender), key=lambda r: r["seed"])]

    return measure


def _of_the_search(read: Callable[[TaskResult, list[Record]], float]) -> Callable[[TaskResult, Side, str], list[float]]:
    """A measure that is one number of each seed's search over all learning rates."""

    def measure(result: TaskResult, side: Side, contender: str) -> list[float]:
        runs = result.runs(contender, "search")
        return [read(result, [r for r in runs if r["seed"] == seed]) for seed in sorted({r["seed"] for r in runs})]

    return measure


def _mean_over_run(result: TaskResult, record: Record) -> float:
    """Mean of the validation metric over the looks: high where it rises early."""
    if record["diverged"]:
        return _sign(result) * record["validation_metric"]
    return _sign(result) * math.fsum(record["validation_metrics"]) / len(record["validation_metrics"])


def _rebound(result: TaskResult, record: Record) -> float:
    """How far the validation loss has risen from its lowest value to the end, where overfitting shows first."""
    return 0.0 if record["diverged"] else record["validation_losses"][-1] - min(record["validation_losses"])


def _jitter(result: TaskResult, record: Record) -> float:
    """Standard deviation of the validation loss from one look to the next, in the second half of the run."""
    late = record["validation_losses"][len(record["validation_losses"]) // 2 :]
    return statistics.stdev(b - a for a, b in itertools.pairwise(late))


def _decades(result: TaskResult, search: list[Record]) -> float:
    found = find_tolerance(result.task.score, search)
    return 0.0 if found is None else found.decades


def _highest(result: TaskResult, search: list[Record]) -> float:
    """Power of ten of the highest learning rate that does nearly as well as the best."""
    found = find_tolerance(result.task.score, search)
    return math.log10(min(r["lr"] for r in search)) if found is None else math.log10(found.high)


@dataclass(frozen=True)
class Measure:
    """Something that is compared.

    Args:
        about: what it is, for the table.
        values: one number a seed.
        unit: how a difference is shown: ``metric`` as the task's metric, else this word.
        exact: it does not differ between seeds, so one run says all.
        at_rate: it is seen at one learning rate, not over all.
    """

    about: str
    values: Callable[[TaskResult, Side, str], list[float]]
    unit: str = "metric"
    exact: bool = False
    at_rate: bool = True


MEASURES = {
    "test": Measure("test metric", _of_each_run(lambda t, r: _sign(t) * r["test_metric"])),
    "validation": Measure("validation metric", _of_each_run(lambda t, r: _sign(t) * r["validation_metric"])),
    "speed": Measure("mean validation metric over the run", _of_each_run(_mean_over_run)),
    "range": Measure("range of good learning rates", _of_the_search(_decades), "decades", at_rate=False),
    "highest": Measure("highest good learning rate", _of_the_search(_highest), "decades", at_rate=False),
    "rebound": Measure("rise of the validation loss after its lowest value", _of_each_run(_rebound), "of loss"),
    "jitter": Measure("jitter of the validation loss", _of_each_run(_jitter), "of loss"),
    "state": Measure(
        "state", _of_each_run(lambda t, r: r["state_bytes"] / r["parameters"]), "bytes a parameter", True, False
    ),
}


@cache
def read(study: str) -> Comparison | None:
    """A kept study; None where it has not been trained."""
    return STUDIES[study].read() if (KEPT / study).exists() else None


def find(side: Side, task: str) -> tuple[TaskResult, Row] | None:
    """The result that a side speaks of, and the row of the contender that it means."""
    kept = read(side.study)
    if kept is None:
        return None
    result = kept[task]
    names = [row for row in result.rows if fnmatch(row.name, side.contender)]
    if not names or any(row.validation is None for row in names):
        return None
    return result, max(names, key=lambda row: _sign(result) * row.validation.mean)  # type: ignore[union-attr]


@dataclass(frozen=True)
class Finding:
    """What the records say about one pair: the difference (one minus other), whom it is between, at which rates."""

    pair: Pair
    result: TaskResult
    one: str
    other: str
    difference: Difference
    rates: tuple[float | None, float | None]

    @property
    def measure(self) -> Measure:
        """What was compared."""
        return MEASURES[self.pair.measure]

    @property
    def sign(self) -> int:
        """1 where the data say that one has more, -1 where they say less, 0 where they do not or seeds are too few."""
        mean = self.difference.interval.mean
        if self.measure.exact:
            return (mean > 0) - (mean < 0)
        return (1 if mean > 0 else -1) if self.difference.separated and self.enough else 0

    @property
    def enough(self) -> bool:
        """Whether there are as many seeds as a verdict of a comparison asks for."""
        return self.measure.exact or self.difference.interval.count >= ENOUGH_SEEDS


def weigh(pairs: Sequence[Pair]) -> list[Finding]:
    """The findings of all pairs whose records are kept, with Holm's correction over them."""
    found: dict[str, tuple[Pair, TaskResult, Row, Row]] = {}
    gaps: dict[str, list[float]] = {}
    for number, pair in enumerate(pairs):
        one, other = find(pair.one, pair.task), find(pair.other, pair.task)
        if one is None or other is None:
            continue
        values = MEASURES[pair.measure].values
        first, second = values(one[0], pair.one, one[1].name), values(other[0], pair.other, other[1].name)
        count = min(len(first), len(second))
        key = f"{number:03}"
        found[key] = (pair, one[0], one[1], other[1])
        gaps[key] = [a - b for a, b in zip(first[:count], second[:count], strict=True)]
    told = {difference.other: difference for difference in judge(gaps)}
    return [_report(*found[key], told[key]) for key in found]


def _report(pair: Pair, result: TaskResult, one: Row, other: Row, difference: Difference) -> Finding:
    rates = [row.lr if side.lr is None else side.lr for side, row in ((pair.one, one), (pair.other, other))]
    shown = (rates[0], rates[1]) if MEASURES[pair.measure].at_rate else (None, None)
    return Finding(pair, result, one.name, other.name, difference, shown)


def decide(findings: Sequence[Finding], margin: float = 0.0, sometimes: bool = False) -> Verdict:
    """The verdict on a claim that ``one`` has more than ``other``, by at least ``margin``.

    Args:
        findings: all comparisons that bear on the claim.
        margin: the size that is claimed, in the unit of the measure.
        sometimes: the claim says only that it happens.
    """
    if not findings:
        return "not measured"
    favour = [f for f in findings if f.sign > 0 and f.difference.interval.high >= margin]
    against = [f for f in findings if f.sign < 0 or (margin > 0 and f.enough and f.difference.interval.high < margin)]
    if sometimes:
        return "supported" if favour else "undecided"
    if favour and against:
        return "undecided"
    if 2 * len(favour) >= len(findings):
        return "supported"
    if 2 * len(against) >= len(findings):
        return "not supported"
    return "undecided"


def show(value: float, finding: Finding) -> str:
    """A difference in the unit of its measure, with a sign."""
    percent = finding.measure.unit == "metric" and finding.result.task.score.percent
    return f"{100 * value if percent else value:+.2g}".replace("-", "\N{MINUS SIGN}")


def show_difference(finding: Finding) -> str:
    """The mean difference with its interval, at the confidence that Holm's correction asks for."""
    interval = finding.difference.interval
    score = finding.result.task.score
    unit = finding.measure.unit
    if unit == "metric":
        unit = "points" if score.percent else score.name
    if finding.measure.exact or not math.isfinite(interval.half_width):
        return f"{show(interval.mean, finding)} {unit}"
    return f"{show(interval.mean, finding)} [{show(interval.low, finding)}, {show(interval.high, finding)}] {unit}"
