"""What a comparison found, on each task and over all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from descend.compare.contender import Entry
from descend.compare.profile import Profile, make_profiles
from descend.compare.protocol import (
    Heading,
    Protocol,
    Record,
    choose,
    is_searched,
    key_of,
    plan_final,
    select_search,
)
from descend.compare.summary import Row, is_complete, rank, state_verdict, summarize
from descend.errors import TaskError, did_you_mean, message


@dataclass(frozen=True)
class TaskResult:
    """What a comparison found on one task.

    Attributes:
        rows: one a contender, the best first.
        verdict: what the data support, in a sentence.
        records: all runs of these contenders, in the order of their plan.
    """

    task: Heading
    protocol: Protocol
    contenders: Sequence[Entry]
    rows: Sequence[Row]
    verdict: str
    records: Sequence[Record]

    def runs(self, contender: str, stage: str, lr: float | None = None) -> list[Record]:
        """The records of one contender and stage, at one learning rate or at all."""
        own = (r for r in self.records if r["contender"] == contender and r["stage"] == stage)
        return [r for r in own if lr is None or r["lr"] == lr]

    def tell_search(self) -> list[str]:
        """After a sampled search for each contender its settings to paste, and how many trials ended early."""
        if self.protocol.search == "grid":
            return []
        pruned = {
            row.name: f" ({row.pruned} of {self.protocol.trials} trials pruned)" for row in self.rows if row.pruned
        }
        return [f"{row.title}: {row.settings}{pruned.get(row.name, '')}" for row in self.rows if row.settings]

    def to_data(self) -> dict[str, Any]:
        """Plain lists, numbers and strings: the table for machines; infinite bounds become None."""
        return {
            "task": self.task.name,
            "metric": self.task.score.name,
            "verdict": self.verdict,
            "complete": is_complete(self.protocol, self.rows),
            "protocol": self.protocol.to_data(),
            "rows": [_make_finite(asdict(row)) for row in self.rows],
        }


def conclude(
    task: Heading,
    protocol: Protocol,
    contenders: Sequence[Entry],
    records: Sequence[Record],
    baseline: str | None = None,
) -> TaskResult:
    """What records say about these contenders, whatever part of them exists; others' records do no harm."""
    own = _select(task, protocol, contenders, records)
    rows = [summarize(task, protocol, c, [r for r in own if r["contender"] == c.name]) for c in contenders]
    ranked = rank(task, protocol, rows, own, baseline)
    return TaskResult(task, protocol, contenders, ranked, state_verdict(task, protocol, ranked), own)


def _select(task: Heading, protocol: Protocol, contenders: Sequence[Entry], records: Sequence[Record]) -> list[Record]:
    """The records of these contenders, in the order of their plan."""
    found = {key_of(record): record for record in records}
    own: list[Record] = []
    for contender in contenders:
        search = select_search(protocol, contender, found.values())
        own += search
        if is_searched(protocol, search):
            chosen = choose(task.score, search)
            own += [found[t.key] for t in plan_final(protocol, contender, chosen) if t.key in found]
    return own


@dataclass(frozen=True)
class Comparison:
    """What a comparison found, task by task; ``print(comparison)`` shows verdicts and tables."""

    results: Sequence[TaskResult]

    @property
    def complete(self) -> bool:
        """Whether every run of the plan is done."""
        return all(is_complete(result.protocol, result.rows) for result in self.results)

    def __getitem__(self, task: str) -> TaskResult:
        """The result on the task with this name.

        Raises:
            TaskError: there is none.
        """
        named = {result.task.name: result for result in self.results}
        if task not in named:
            raise TaskError(message(f"the comparison has no task {task!r}", do=did_you_mean(task, named)))
        return named[task]

    def profiles(self) -> list[Profile]:
        """Performance profiles over the tasks that have a target; empty for fewer than two of them."""
        results = [r for r in self.results if r.protocol.target is not None]
        if len(results) < 2:
            return []
        steps = [{row.name: row.steps_to_target for row in result.rows} for result in results]
        return make_profiles({entry.name: [own[entry.name] for own in steps] for entry in results[0].contenders})

    def to_data(self) -> dict[str, Any]:
        """Plain lists, numbers and strings, for JSON."""
        return {
            "complete": self.complete,
            "results": [result.to_data() for result in self.results],
            "profiles": [asdict(profile) for profile in self.profiles()],
        }

    def __repr__(self) -> str:
        return "\n\n".join(f"{r.verdict}\n\n{_tabulate(r)}" for r in self.results)

    def _repr_html_(self) -> str:
        """What a notebook shows: verdicts, tables, and where matplotlib is installed the figure."""
        told = "".join(f"<p>{escape(r.verdict)}</p><pre>{escape(_tabulate(r))}</pre>" for r in self.results)
        return told + add_picture(self)


def add_picture(found: Comparison) -> str:
    """The figure in HTML; nothing until ``descend.draw.notebook`` puts itself in this place."""
    return ""


def _make_finite(value: Any) -> Any:
    """The same with None for infinite numbers, which JSON does not have."""
    if isinstance(value, Mapping):
        return {key: _make_finite(item) for key, item in value.items()}
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return None
    return value


def _tabulate(result: TaskResult) -> str:
    metric = result.task.score
    wide = max([16, *(len(row.title) + 2 for row in result.rows)])
    target = "" if result.protocol.target is None else f"{'steps to target':>16}"
    lines = [f"{'optimizer':<{wide}}{'best lr':>9}  {'test ' + metric.name:<24}{target}{'diverged':>10}"]
    for row in result.rows:
        score = "not yet" if row.score is None else metric.show(row.score.mean)
        if row.score is not None and row.score.count > 1:
            score = metric.show_spread(row.score.mean, row.score.half_width)
        steps = "-" if row.steps_to_target is None else f"{row.steps_to_target:g}"
        lr = "-" if row.lr is None else f"{row.lr:g}"
        diverged = f"{row.diverged_search + row.diverged_final}/{row.searched + row.final}"
        reached = f"{steps:>16}" if target else ""
        lines.append(f"{row.title:<{wide}}{lr:>9}  {score:<24}{reached}{diverged:>10}")
    return "\n".join([*lines, *result.tell_search()])
