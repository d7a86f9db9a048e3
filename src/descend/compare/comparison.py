"""Train several optimizers on several tasks, fairly, and say who did what."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from descend.compare.contender import Contender
from descend.compare.jobs import Briefing, portable, prepare
from descend.compare.pool import execute, one_thread
from descend.compare.protocol import (
    FINAL_SEED,
    Protocol,
    Record,
    Trial,
    choose,
    key_of,
    missing,
    plan_final,
    plan_search,
    seeds,
)
from descend.compare.records import RecordFile
from descend.compare.selection import TRIALS, Choice, contenders
from descend.compare.summary import Row, is_complete, rank, state_verdict, summarize
from descend.errors import OptionError, TaskError, message
from descend.tasks import Task, check, fingerprint

Progress = Callable[[int, int, Trial | None], None]
"""Called with the runs done, the runs in all, and the trial that has just finished."""


@dataclass(frozen=True)
class TaskResult:
    """What a comparison found on one task.

    Attributes:
        rows: one a contender, the best first.
        verdict: what the data support, in a sentence.
        records: all runs of these contenders, in the order of their plan.
    """

    task: Task
    protocol: Protocol
    contenders: Sequence[Contender]
    rows: Sequence[Row]
    verdict: str
    records: Sequence[Record]

    def runs(self, contender: str, stage: str, lr: float | None = None) -> list[Record]:
        """The records of one contender and stage, at one learning rate or at all."""
        own = (r for r in self.records if r["contender"] == contender and r["stage"] == stage)
        return [r for r in own if lr is None or r["lr"] == lr]

    def to_data(self) -> dict[str, Any]:
        """Plain lists, numbers and strings: the table for machines; infinite bounds become None."""
        rows = [_finite({**asdict(row)}) for row in self.rows]
        return {
            "task": self.task.name,
            "metric": self.task.score.name,
            "verdict": self.verdict,
            "complete": is_complete(self.protocol, self.rows),
            "protocol": self.protocol.to_data(),
            "rows": rows,
        }


@dataclass(frozen=True)
class Comparison:
    """What a comparison found, task by task; ``print(comparison)`` shows verdicts and tables."""

    results: Sequence[TaskResult]

    @property
    def complete(self) -> bool:
        """Whether every run of the plan is done."""
        return all(is_complete(result.protocol, result.rows) for result in self.results)

    def __getitem__(self, task: str) -> TaskResult:
        """The result on the task with this name."""
        return {result.task.name: result for result in self.results}[task]

    def to_data(self) -> dict[str, Any]:
        """Plain lists, numbers and strings, for JSON."""
        return {"complete": self.complete, "results": [result.to_data() for result in self.results]}

    def __str__(self) -> str:
        return "\n\n".join(f"{r.verdict}\n\n{_plain_table(r)}" for r in self.results)

    def _repr_html_(self) -> str:
        return "".join(f"<p>{escape(r.verdict)}</p><pre>{escape(_plain_table(r))}</pre>" for r in self.results)


def compare(
    tasks: str | Task | Sequence[str | Task],
    optimizers: Iterable[Choice] | None = None,
    *,
    seeds: int = 5,
    search_seeds: int = 3,
    trials: int = TRIALS,
    steps: int | None = None,
    out: str | Path | None = None,
    workers: int = 2,
    progress: Progress | None = None,
) -> Comparison:
    """Compare optimizers on tasks: equal trials, seeds, data order and budget for each.

    Every contender is trained at each of its learning rates with the search seeds; the learning rate is
    chosen on the validation part; then it is trained with fresh seeds, and only these runs are measured on
    the test part.

    Args:
        tasks: names, ``"file.py:object"``, or :class:`descend.tasks.Task` objects.
        optimizers: names (``"adam"``, ``"sgd-momentum"``), optimizer classes or ``Contender`` objects; the
            nine of :mod:`descend.compare.search` by default.
        seeds: final runs of each contender, from 1; with fewer than 5 hardly any verdict is possible.
        search_seeds: runs at each learning rate, from 1.
        trials: learning rates of each contender, 1 to 7.
        steps: updates a run, where another budget than the task's is wanted.
        out: folder for the records, one subfolder a task; started again with the same settings it
            continues. In memory by default.
        workers: one-thread processes side by side; 0 trains in this process. Tasks and classes that are
            defined in a notebook or in the main script cannot travel and are trained in this process as
            well.
        progress: called after each run.

    Raises:
        TaskError: a task is unknown or malformed, or a run failed.
        OptionError: an option is out of range, or an optimizer is unknown.
        RecordError: ``out`` holds another comparison, is damaged, in use or cannot be written.
    """
    with Campaign(
        tasks,
        optimizers,
        seeds_=seeds,
        search_seeds=search_seeds,
        trials=trials,
        steps=steps,
        out=out,
        workers=workers,
    ) as campaign:
        campaign.run(progress)
        return campaign.comparison()


class Campaign:
    """A comparison that can be looked at while it is unfinished; takes what :func:`compare` takes."""

    def __init__(
        self,
        tasks: str | Task | Sequence[str | Task],
        optimizers: Iterable[Choice] | None = None,
        *,
        seeds_: int = 5,
        search_seeds: int = 3,
        trials: int = TRIALS,
        steps: int | None = None,
        out: str | Path | None = None,
        workers: int = 2,
    ) -> None:
        if isinstance(workers, bool) or not isinstance(workers, int) or workers < 0:
            raise OptionError(message("workers", got=workers, allowed="an integer from 0"))
        self._contenders = contenders(optimizers, trials)
        self._workers = workers
        stage_seeds = (seeds(search_seeds, 0, "search_seeds"), seeds(seeds_, FINAL_SEED, "seeds"))
        given = [tasks] if isinstance(tasks, str | Task) else list(tasks)
        self._tasks: dict[str, Task] = {}
        sources: dict[str, str | Task] = {}
        self._files: dict[str, RecordFile] = {}
        self._protocols: dict[str, Protocol] = {}
        for source in given:
            task = prepare(source, steps)
            if task.name in self._tasks:
                raise TaskError(message("two tasks share a name", got=task.name, do="Rename one of them."))
            self._tasks[task.name] = task
            sources[task.name] = portable(source) if isinstance(source, str) else source
            self._protocols[task.name] = self._make_protocol(task, *stage_seeds)
        if not self._tasks:
            raise TaskError(message("no tasks to compare on", do="Name at least one, such as digits-mlp."))
        self._briefing = Briefing(sources, self._contenders, steps)
        try:
            for name, protocol in self._protocols.items():
                self._files[name] = RecordFile(None if out is None else Path(out) / name, protocol)
        except BaseException:
            self.close()
            raise

    def _make_protocol(self, task: Task, search: tuple[int, ...], final: tuple[int, ...]) -> Protocol:
        with one_thread():
            data = check(task)
            digest = fingerprint(task, data)
        return Protocol(
            task=task.name,
            fingerprint=digest,
            steps=task.steps,
            batch_size=task.batch_size,
            evaluate_every=task.interval,
            target=task.target,
            trials=len(self._contenders[0].lrs),
            search_seeds=search,
            final_seeds=final,
            versions=(version("descend"), str(torch.__version__)),
        )

    @property
    def total(self) -> int:
        """Runs in all."""
        plans = (p.trials * len(p.search_seeds) + len(p.final_seeds) for p in self._protocols.values())
        return len(self._contenders) * sum(plans)

    @property
    def done(self) -> int:
        """Runs of this comparison that are recorded."""
        return sum(len(self._own_records(name)) for name in self._tasks)

    def run(self, progress: Progress | None = None) -> None:
        """Do what is missing. Interrupted at any moment, it can be called again, also in another process."""
        report = progress or (lambda done, total, trial: None)
        done, total = self.done, self.total
        report(done, total, None)

        def on_record(trial: Trial, record: Record) -> Iterable[Trial]:
            nonlocal done
            self._files[trial.task].append(record)
            done += 1
            report(done, total, trial)
            return self._after_search(trial) if trial.stage == "search" else ()

        todo: list[Trial] = []
        for name, protocol in self._protocols.items():
            for contender in self._contenders:
                records = self._files[name].records
                search = missing(plan_search(protocol, contender), records)
                todo += search or self._final(name, contender)
        execute(self._briefing, todo, on_record, self._workers)

    def _after_search(self, trial: Trial) -> Iterable[Trial]:
        """The final runs of a contender whose search this trial has completed."""
        contender = next(c for c in self._contenders if c.name == trial.contender)
        plan = plan_search(self._protocols[trial.task], contender)
        if missing(plan, self._files[trial.task].records):
            return ()
        return self._final(trial.task, contender)

    def _final(self, name: str, contender: Contender) -> list[Trial]:
        protocol, records = self._protocols[name], self._files[name].records
        keys = {trial.key for trial in plan_search(protocol, contender)}
        lr = choose(self._tasks[name], [r for r in records if key_of(r) in keys])
        return missing(plan_final(protocol, contender, lr), records)

    def _own_records(self, name: str) -> list[Record]:
        """Records of this comparison, in the order of its plan; the folder may hold other contenders' too."""
        protocol = self._protocols[name]
        found = {key_of(record): record for record in self._files[name].records}
        own: list[Record] = []
        for contender in self._contenders:
            search = [found[t.key] for t in plan_search(protocol, contender) if t.key in found]
            own += search
            if len(search) == protocol.trials * len(protocol.search_seeds):
                lr = choose(self._tasks[name], search)
                own += [found[t.key] for t in plan_final(protocol, contender, lr) if t.key in found]
        return own

    def comparison(self) -> Comparison:
        """What is known so far."""
        return Comparison([self._result(name) for name in self._tasks])

    def _result(self, name: str) -> TaskResult:
        task, protocol, records = self._tasks[name], self._protocols[name], self._own_records(name)
        rows = [
            summarize(task, protocol, contender, [r for r in records if r["contender"] == contender.name])
            for contender in self._contenders
        ]
        ranked = rank(task, protocol, rows, records)
        verdict = state_verdict(task, protocol, ranked)
        return TaskResult(task, protocol, self._contenders, ranked, verdict, records)

    def close(self) -> None:
        """Release the folders for others."""
        for file in self._files.values():
            file.close()

    def __enter__(self) -> "Campaign":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _finite(value: Any) -> Any:
    """The same with None for infinite numbers, which JSON does not have."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return None
    return value


def _plain_table(result: TaskResult) -> str:
    metric = result.task.score
    lines = [f"{'optimizer':<16}{'best lr':>9}  {'test ' + metric.name:<24}{'steps to target':>16}{'diverged':>10}"]
    for row in result.rows:
        score = "not yet" if row.score is None else metric.show(row.score.mean)
        if row.score is not None and row.score.count > 1:
            score = metric.show_spread(row.score.mean, row.score.half_width)
        steps = "-" if row.steps_to_target is None else f"{row.steps_to_target:g}"
        lr = "-" if row.lr is None else f"{row.lr:g}"
        diverged = f"{row.diverged_search + row.diverged_final}/{row.searched + row.final}"
        lines.append(f"{row.title:<16}{lr:>9}  {score:<24}{steps:>16}{diverged:>10}")
    return "\n".join(lines)
