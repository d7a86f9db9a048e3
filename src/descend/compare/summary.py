"""From records to the table and the sentence that people read."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from typing import Any

from descend.compare.contender import Entry
from descend.compare.protocol import Heading, Protocol, Record, choose, group_by_trial, is_searched
from descend.compare.sensitivity import Tolerance, find_tolerance
from descend.compare.statistics import Difference, Estimate, differences, differences_from, estimate

ENOUGH_SEEDS = 5
"""Final runs of each contender from which on a verdict is given."""
EDGE = 0.05
"""Share of a sampled range, in decades, that counts as its edge on either side."""


@dataclass(frozen=True)
class Row:
    """How one contender did on one task; None stands for what is not measured yet.

    Attributes:
        lr: chosen on the validation part.
        at_edge: whether it is the smallest or largest that was tried, so a better one may lie outside.
        score: test metric of the final runs, with a 95 % interval over seeds.
        validation: the same on the validation part.
        area: mean of the validation metric over the budget of updates (the area under its curve, divided by its
            length), with an interval over seeds; a diverged run counts as the untrained model.
        tolerance: the learning rates around the best that do nearly as well in the search; None where other settings
            were tuned or trials pruned.
        reached: final runs that reached the target.
        steps_to_target, seconds_to_target: medians over the final runs; None where fewer than half reached
        it.
        seconds: mean duration of a final run that did not diverge, without evaluations.
        optimizer_share: part of these seconds spent in the optimizer's step.
        microseconds_per_step: of the optimizer's step.
        state_bytes: kept by the optimizer.
        diverged_search, diverged_final: runs given up, of ``searched`` and ``final`` runs done.
        pruned: trials of the search that were ended early because they were worse than most.
        settings: the line to paste into a program.
        gap: the paired difference to the leader; None for the leader itself and while runs are missing.
        versus: this contender minus the baseline, seed by seed; None for the baseline itself and without one.
    """

    name: str
    title: str
    lr: float | None
    at_edge: bool
    score: Estimate | None
    validation: Estimate | None
    area: Estimate | None
    tolerance: Tolerance | None
    reached: int
    steps_to_target: float | None
    seconds_to_target: float | None
    seconds: float | None
    optimizer_share: float | None
    microseconds_per_step: float | None
    state_bytes: int | None
    diverged_search: int
    diverged_final: int
    searched: int
    final: int
    pruned: int
    settings: str
    gap: Difference | None = None
    versus: Difference | None = None


def summarize(task: Heading, protocol: Protocol, contender: Entry, records: Sequence[Record]) -> Row:
    """The row of one contender from its records, whatever part of them exists."""
    search = [r for r in records if r["stage"] == "search"]
    complete = is_searched(protocol, search)
    best = choose(task.score, search) if complete else None
    lr = None if best is None else best["lr"]
    final = sorted((r for r in records if r["stage"] == "final" and r["lr"] == lr), key=lambda r: r["seed"])
    sound = [r for r in final if not r["diverged"]]
    seconds = _mean(r["seconds"] for r in sound)
    in_optimizer = _mean(r["optimizer_seconds"] for r in sound)
    per_step = _mean(r["optimizer_seconds"] / max(1, r["updates"] - 1) for r in sound)
    share = None if seconds is None or in_optimizer is None or seconds == 0 else in_optimizer / seconds
    return Row(
        name=contender.name,
        title=contender.title,
        lr=lr,
        at_edge=lr is not None and _is_at_edge(protocol, contender, lr),
        score=estimate([r["test_metric"] for r in final]) if final else None,
        validation=estimate([r["validation_metric"] for r in final]) if final else None,
        area=estimate([_area(r) for r in final]) if final else None,
        tolerance=find_tolerance(task.score, search) if complete and _depends_on_lr_alone(search) else None,
        reached=sum(r["steps_to_target"] is not None for r in final),
        steps_to_target=_median_reached(final, "steps_to_target"),
        seconds_to_target=_median_reached(final, "seconds_to_target"),
        seconds=seconds,
        optimizer_share=share,
        microseconds_per_step=None if per_step is None else 1e6 * per_step,
        state_bytes=max((r["state_bytes"] for r in records), default=None),
        diverged_search=sum(r["diverged"] for r in search),
        diverged_final=len(final) - len(sound),
        searched=len(search),
        final=len(final),
        pruned=sum(any(r["pruned"] for r in runs) for runs in group_by_trial(search)),
        settings="" if best is None else best["settings"],
    )


def _depends_on_lr_alone(search: Sequence[Record]) -> bool:
    """Whether nothing but the learning rate and the seed tells the runs apart: no other setting, no early end."""
    return not any(record["values"] or record["pruned"] for record in search)


def _is_at_edge(protocol: Protocol, contender: Entry, lr: float) -> bool:
    low, high = contender.lrs[0], contender.lrs[-1]
    if protocol.search == "grid":
        return len(contender.lrs) > 1 and lr in (low, high)
    return not low * (high / low) ** EDGE < lr < high * (low / high) ** EDGE


def _mean(values: Any) -> float | None:
    listed = list(values)
    return math.fsum(listed) / len(listed) if listed else None


def _area(record: Record) -> float:
    """The mean of the validation metric over the run, by the trapezoidal rule between looks."""
    steps, values = record["steps"], record["validation_metrics"]
    if record["diverged"] or len(steps) < 2:
        return float(record["validation_metric"])
    pieces = ((b - a) * (u + v) / 2 for (a, u), (b, v) in pairwise(zip(steps, values, strict=True)))
    return math.fsum(pieces) / (steps[-1] - steps[0])


def _median_reached(final: Sequence[Record], field: str) -> float | None:
    """The median where runs that never reached the target count as infinitely late."""
    if not final:
        return None
    middle = median(math.inf if r[field] is None else float(r[field]) for r in final)
    return middle if math.isfinite(middle) else None


def rank(
    task: Heading, protocol: Protocol, rows: Sequence[Row], records: Sequence[Record], baseline: str | None = None
) -> list[Row]:
    """Rows from the best mean test metric to the worst; once all are complete with their gaps.

    Args:
        task: for its metric.
        protocol: for the number of seeds.
        rows: one a contender.
        records: the runs that they summarize.
        baseline: name of the contender that the others are compared with beside the leader.
    """
    sign = 1.0 if task.score.higher_is_better else -1.0
    ordered = sorted(rows, key=lambda row: (row.score is None, 0.0 if row.score is None else -sign * row.score.mean))
    if not is_complete(protocol, ordered) or len(ordered) < 2:
        return ordered
    scores = {row.name: _scores(row, records, sign) for row in ordered}
    gaps = {gap.other: gap for gap in differences(scores, ordered[0].name)}
    versus = {} if baseline is None else {gap.other: gap for gap in differences_from(scores, baseline)}
    return [replace(row, gap=gaps.get(row.name), versus=versus.get(row.name)) for row in ordered]


def is_complete(protocol: Protocol, rows: Sequence[Row]) -> bool:
    """Whether every contender has all its final runs."""
    return all(row.final == len(protocol.final_seeds) for row in rows)


def _scores(row: Row, records: Sequence[Record], sign: float) -> list[float]:
    own = [r for r in records if r["contender"] == row.name and r["stage"] == "final" and r["lr"] == row.lr]
    return [sign * r["test_metric"] for r in sorted(own, key=lambda r: r["seed"])]


def state_verdict(task: Heading, protocol: Protocol, rows: Sequence[Row]) -> str:
    """One or two sentences that say no more than the data support.

    Args:
        task: for its name and metric.
        protocol: for the number of seeds.
        rows: ranked, with their gaps.
    """
    if not is_complete(protocol, rows):
        done = sum(row.searched + row.final for row in rows)
        total = len(rows) * (protocol.trials * len(protocol.search_seeds) + len(protocol.final_seeds))
        return f"Unfinished on {task.name}: {done} of {total} runs are done, so nothing can be said yet."
    leader, score = rows[0], rows[0].score
    assert score is not None
    count = len(protocol.final_seeds)
    shown = f"{task.score.show(score.mean)} test {task.score.name}"
    seeds = f"{count} seed{'s' if count > 1 else ''}"
    if len(rows) == 1:
        return f"On {task.name}, {leader.title} reaches {shown} ({seeds}); it had no rival."
    if count < ENOUGH_SEEDS:
        few = f"{seeds} {'are' if count > 1 else 'is'} too few for a verdict: use at least {ENOUGH_SEEDS}"
        return f"On {task.name}, {leader.title} has the best mean, {shown}, but {few}."
    return f"On {task.name}, {_name_winner(rows, shown, seeds)}{_judge_against_baseline(rows)}"


def _name_winner(rows: Sequence[Row], shown: str, seeds: str) -> str:
    leader = rows[0]
    tied = [row.title for row in rows[1:] if row.gap is None or not row.gap.separated]
    if not tied:
        others = rows[1].title if len(rows) == 2 else f"each of the other {len(rows) - 1}"
        return (
            f"{leader.title} is best: {shown}, ahead of {others} "
            f"with 95 % confidence after Holm's correction ({seeds})."
        )
    if len(tied) == len(rows) - 1:
        return (
            f"the data do not separate these {len(rows)} optimizers ({seeds}); "
            f"{leader.title} has the best mean, {shown}."
        )
    return f"{leader.title} has the best mean, {shown}, but {seeds} do not separate it from {_enumerate(tied)}."


def _judge_against_baseline(rows: Sequence[Row]) -> str:
    """Who is better and who is worse than the baseline; nothing without one."""
    told = [row for row in rows if row.versus is not None]
    if not told:
        return ""
    baseline = next(row.title for row in rows if row.versus is None)
    parts: list[str] = []
    for word, sign in (("better", 1), ("worse", -1)):
        names = [r.title for r in told if r.versus and r.versus.separated and sign * r.versus.interval.mean > 0]
        if names:
            parts.append(f"{_enumerate(names)} {'is' if len(names) == 1 else 'are'} {word}")
    undecided = [row.title for row in told if row.versus and not row.versus.separated]
    if len(undecided) == len(told) > 1:
        return f" None of the others is separated from {baseline}."
    if undecided:
        parts.append(f"{_enumerate(undecided)} {'is' if len(undecided) == 1 else 'are'} not separated from it")
    return f" Against {baseline}, {'; '.join(parts)}."


def _enumerate(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
