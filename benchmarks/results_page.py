"""Writes the page of results: one table over all tasks, then each study with all its contenders.

python benchmarks/results_page.py > docs/results/README.md
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from descend.compare import Row, TaskResult
from descend.compare.statistics import CONFIDENCE, Estimate, t_quantile
from descend.compare.summary import ENOUGH_SEEDS
from studies import KEPT, PICTURE, TASK_STUDIES, Study


@dataclass(frozen=True)
class Floor:
    """What a decent run of the task reached before any of these comparisons, in one run at a hand-picked rate.

    Args:
        value: of the metric.
        part: on which part of the data.
        examples: how many this part has, where the metric is their share of correct classes or the area under the
            receiver operating characteristic.
        positives: how many of them are positive, for this area.
    """

    value: float
    part: Literal["test", "validation"] = "test"
    examples: int | None = None
    positives: int | None = None


FLOORS = {
    "digits-mlp": Floor(0.969, examples=359),
    "digits-cnn": Floor(0.969, examples=359),  # the perceptron's
    "breast-cancer": Floor(0.956, examples=114),
    "wine": Floor(1.0, examples=36),
    "diabetes": Floor(0.34),
    "diamonds": Floor(0.986),
    "mnist-cnn": Floor(0.978, examples=1000),
    "fashion-cnn": Floor(0.87, examples=10000),
    "fashion-cnn-full": Floor(0.90, examples=10000),
    "vowels-gru": Floor(0.95, examples=250),
    "snippets-bag": Floor(0.78, examples=2001),
    "snippets-bag-dense": Floor(0.78, examples=2001),  # of the sparse one
    "snippets-minilm": Floor(0.80, examples=600),
    "shakespeare-gpt": Floor(1.90, "validation"),
    "b3db-gin": Floor(0.95, "validation", examples=781, positives=483),
    "kaboom-a2c": Floor(20),
    "kaboom-dqn": Floor(15),  # its target
}

HEAD = f"""# Results

Every task of descend, trained by `descend compare` with SGD with momentum, AdamW, and the methods that the guides
recommend for it. Written by `python benchmarks/results_page.py` from the records in these folders; a test compares it
with them. [What the guides claim](../claims.md) is answered from the same records.

`descend report docs/results/NAME` shows a study in full and writes its page, without training anything. The command
under each study trains it again (`python benchmarks/studies.py run NAME` does the same); seeds and the order of the
data are fixed, so on the same processor and torch the numbers come out the same, except the seconds.
**The runs shared two cores with other work: their seconds say nothing.** Updates to the target do.

Means are over fresh seeds, with 95 % intervals of Student's t. The floor is what one decent run of the task reached
before; it is *reached* where the mean is at least the floor less two standard errors of the mean over seeds, and
*within the test part's error* where it is so only with the sampling error of the part it was measured on, which was
another split of the same data. A *winner* is named from {ENOUGH_SEEDS} seeds on and only where every rival is separated
from it after Holm's correction.

| task | best mean | at lr | metric | floor | verdict | winner |
|---|---|---|---|---|---|---|
"""


SWEEPS = """## Sweeps

The other folders are sweeps of one thing each for the [claims](../claims.md#commands), whose page has their commands.
"""


def write_page() -> str:
    """The text of ``docs/results/README.md``."""
    studies = [study for study in TASK_STUDIES if (KEPT / study.name).exists()]
    results = [(study, result) for study in studies for result in study.read().results]
    rows = "\n".join(_summary(result) for _, result in results)
    sections = "".join(f"\n{_section(study)}" for study in studies)
    absent = ", ".join(f"`{study.name}`" for study in TASK_STUDIES if study not in studies)
    note = f"\nNot trained yet: {absent}; `python benchmarks/studies.py run NAME` does it.\n" if absent else ""
    return f"{HEAD}{rows}\n{note}{sections}\n{SWEEPS}"


def _summary(result: TaskResult) -> str:
    floor, metric = FLOORS[result.task.name], result.task.score
    sign = 1 if metric.higher_is_better else -1
    best = max(result.rows, key=lambda row: sign * _estimate(row, floor).mean)
    found = _estimate(best, floor)
    cells = (
        f"[{result.task.name}](#{result.task.name})",
        best.title,
        f"{best.lr:g}",
        f"{floor.part} {metric.name} {metric.show_spread(found.mean, found.half_width)} ({found.count} seeds)",
        metric.show(floor.value),
        judge_floor(sign * (found.mean - floor.value), found, sampling_error(floor, found.mean)),
        _winner(result),
    )
    return f"| {' | '.join(cells)} |"


def _estimate(row: Row, floor: Floor) -> Estimate:
    found = row.score if floor.part == "test" else row.validation
    assert found is not None, row.name
    return found


def sampling_error(floor: Floor, mean: float) -> float:
    """Standard error that comes from the examples of the part, of which another draw gives another value.

    Of a share the binomial one, of an area under the characteristic that of Hanley and McNeil (1982), equation 2; 0 for
    other metrics.
    """
    if floor.examples is None:
        return 0.0
    if floor.positives is None:
        return math.sqrt(mean * (1 - mean) / floor.examples)
    positives, negatives = floor.positives, floor.examples - floor.positives
    both = (positives - 1) * (mean / (2 - mean) - mean**2) + (negatives - 1) * (2 * mean**2 / (1 + mean) - mean**2)
    return math.sqrt((mean * (1 - mean) + both) / (positives * negatives))


def judge_floor(ahead: float, found: Estimate, sampling: float) -> str:
    """How a mean stands to its floor, ``ahead`` of it or behind, in the words of the page's head."""
    seeds = _standard_error(found)
    if ahead >= -2 * seeds:
        return "reached"
    if ahead >= -2 * math.hypot(seeds, sampling):
        return "within the test part's error"
    return "**below**"


def _standard_error(found: Estimate) -> float:
    return found.half_width / t_quantile((1 + CONFIDENCE) / 2, found.count - 1) if found.count > 1 else 0.0


def _winner(result: TaskResult) -> str:
    if len(result.protocol.final_seeds) < ENOUGH_SEEDS:
        return "too few seeds"
    separated = all(row.gap is not None and row.gap.separated for row in result.rows[1:])
    return f"{result.rows[0].title}" if separated else "not separated"


def _section(study: Study) -> str:
    found = study.read()
    parts = [f"`{study.command}`", f"![{study.name}: learning curves and learning rates]({study.name}/{PICTURE})"]
    for result in found.results:
        parts += [f"## {result.task.name}", result.verdict, _table(result)]
    if len(found.results) > 1:
        parts = [f"## Study {study.name}", *parts]
    else:
        parts = [parts[2], parts[0], *parts[3:], parts[1]]
    return "\n\n".join(parts) + "\n"


ENOUGH_TRIALS = 4
"""Learning rates from which on the range of good ones is told."""


def _table(result: TaskResult) -> str:
    metric, protocol = result.task.score, result.protocol
    names = ["optimizer", "lr", f"test {metric.name}", f"validation {metric.name}", "updates to target"]
    names += ["range", "state", "lost runs"]
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|", *(_line(result, row) for row in result.rows)]
    seeds = f"{len(protocol.search_seeds)} seeds" if len(protocol.search_seeds) > 1 else "1 seed"
    foot = (
        f"{protocol.trials} learning rates with {seeds}, then {len(protocol.final_seeds)} fresh seeds; "
        f"{protocol.steps} updates of {protocol.batch_size}. A star: the smallest or largest rate that was tried."
    )
    return "\n".join(lines) + f"\n\n{foot}"


def _line(result: TaskResult, row: Row) -> str:
    metric = result.task.score
    assert row.score is not None and row.validation is not None and row.lr is not None
    reached = f"{row.reached}/{row.final}" if row.reached < row.final else ""
    told = row.tolerance if result.protocol.trials >= ENOUGH_TRIALS else None
    cells: Sequence[str] = (
        row.title,
        f"{row.lr:g}{'*' if row.at_edge else ''}",
        metric.show_spread(row.score.mean, row.score.half_width),
        metric.show_spread(row.validation.mean, row.validation.half_width),
        " ".join(filter(None, ["-" if row.steps_to_target is None else f"{row.steps_to_target:g}", reached])),
        "-" if told is None else f"{told.show()} decades",
        f"{row.state_bytes:,} bytes",
        f"{row.diverged_search + row.diverged_final}/{row.searched + row.final}",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.stdout.write(write_page())
