"""Train several optimizers on several tasks, fairly, and keep what is done."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from descend.compare.archive import describe, save_plan
from descend.compare.comparison import Comparison, TaskResult, conclude
from descend.compare.contender import Contender
from descend.compare.environment import find_versions
from descend.compare.jobs import Briefing, Job, portable, prepare
from descend.compare.places import find_place
from descend.compare.pool import one_thread
from descend.compare.protocol import (
    FINAL_SEED,
    Heading,
    Protocol,
    Record,
    Search,
    Trial,
    choose,
    is_searched,
    missing,
    plan_final,
    seeds,
    select_search,
)
from descend.compare.records import RecordFile
from descend.compare.replicas import MOST, can_share, find_obstacle
from descend.compare.rounds import GridSearch, Rivals, SampledSearch
from descend.compare.samplers import find_optuna
from descend.compare.selection import Choice, contenders
from descend.compare.settings import Settings
from descend.compare.space import Tuned, add_spaces, arrange
from descend.compare.sparsity import refuse_dense, split_by_sparsity
from descend.compare.variants import Variations, vary_contenders
from descend.errors import OptionError, TaskError, did_you_mean, message
from descend.tasks import Data, Task, check, fingerprint

Progress = Callable[[int, int, Trial | None], None]
"""Called with the runs done, the runs in all, and the trial that has just finished."""


def compare(
    tasks: str | Task | Sequence[str | Task],
    optimizers: Iterable[Choice] | None = None,
    *,
    seeds: int = 5,
    search_seeds: int = 3,
    search: Search = "grid",
    trials: int | None = None,
    tune: Tuned = (),
    pruning: bool = True,
    steps: int | None = None,
    lrs: Mapping[str, Sequence[float]] | None = None,
    vary: Variations | None = None,
    baseline: str | None = None,
    out: str | Path | None = None,
    workers: int = 2,
    on: str = "here",
    together: bool = True,
    progress: Progress | None = None,
) -> Comparison:
    """Compare optimizers on tasks: equal trials, seeds, data order and budget for each.

    Every contender is trained with equally many settings and the search seeds; the best on the validation part are
    trained with fresh seeds, and only these runs are measured on the test part.

    Args:
        tasks: names, ``"file.py:object"``, or :class:`descend.tasks.Task` objects.
        optimizers: names (``"adam"``, ``"sgd-momentum"``), optimizer classes or ``Contender`` objects; the
            nine of :mod:`descend.compare.search` by default, without those that do not serve a task's sparse gradients.
        seeds: final runs of each contender, from 1; with fewer than 5 no verdict is given.
        search_seeds: runs of each trial, from 1.
        search: ``"grid"``, each contender's learning rates; ``"tpe"``, ``"random"``, Optuna's samplers between them.
        trials: settings of each contender, from 1; on a grid 7 by default and at most, with a sampler 20 by default.
        tune: what a sampler chooses beside the learning rate, for each contender that has it: names from the table of
            :mod:`descend.compare.search` (``["weight_decay", "betas"]``), or names with ranges as :func:`tune` takes.
        pruning: with a sampler, end a run that is worse than the median of the contender's earlier ones at that update.
        steps: updates a run, where another budget than the task's is wanted.
        lrs: learning rates in place of an optimizer's own, for each name, equally many for all; or the sampler's ends.
        vary: values of settings, such as ``{"schedule": ["constant", "cosine"]}``; each optimizer takes part with each.
        baseline: name of the contender that all others are compared with, beside the best.
        out: folder for the records, one subfolder a task, in which the same settings continue; in memory by default.
        workers: one-thread processes side by side, this one among them where replicas train together; 0 trains all
            in this process, as happens to tasks and classes of a notebook or main script, which cannot travel.
        on: ``"here"``, or ``"ray"`` for a Ray cluster: the one that this process is connected to, that of the variable
            ``RAY_ADDRESS``, or a local one of ``workers`` processors; ``"ray://HOST:PORT"`` for a cluster elsewhere.
        together: train runs of the search together where that gives the same results; final runs are timed, alone.
        progress: called after each run.

    Raises:
        TaskError: a task is unknown or malformed, or a run failed.
        OptionError: an option is out of range, or an optimizer is unknown.
        RecordError: ``out`` holds another comparison, is damaged, in use or cannot be written.
        BackendError: worker processes die again and again, or no cluster answers.
        MissingExtraError: Ray or a sampler is asked for and not installed.
    """
    settings = Settings(seeds=seeds, search_seeds=search_seeds, search=search, trials=trials, tune=tune,
                        pruning=pruning, steps=steps, lrs=lrs or {}, vary=vary or {}, baseline=baseline,
                        out=out, workers=workers, on=on, together=together)  # fmt: skip
    with Campaign(tasks, optimizers, settings) as campaign:
        return campaign.run(progress)


class Campaign:
    """A comparison that can be looked at while it is unfinished.

    Args:
        tasks, optimizers: as :func:`compare` takes them.
        settings: everything else.

    Attributes:
        obstacles: for each task that trains every run alone, why.
        left_out: titles of the usual contenders that do not serve the sparse gradients of a task.
    """

    def __init__(
        self,
        tasks: str | Task | Sequence[str | Task],
        optimizers: Iterable[Choice] | None = None,
        settings: Settings | None = None,
    ) -> None:
        chosen = settings or Settings()
        self._executor = find_place(chosen.on, chosen.workers)
        self._baseline, self._settings = chosen.baseline, chosen
        self.obstacles: dict[str, str] = {}
        self._tasks: dict[str, Task] = {}
        sources: dict[str, str | Task] = {}
        for source in [tasks] if isinstance(tasks, str | Task) or not isinstance(tasks, Iterable) else tasks:
            task = prepare(source, chosen.steps)
            if task.name in self._tasks:
                raise TaskError(message("two tasks share a name", got=task.name, do="Rename one of them."))
            self._tasks[task.name] = task
            sources[task.name] = portable(source) if isinstance(source, str) else source
        if not self._tasks:
            raise TaskError(message("no tasks to compare on", do="Name at least one, such as digits-mlp."))
        self._contenders = self._choose_contenders(optimizers, chosen)
        self._sharing: dict[tuple[object, ...], bool] = {}
        stage_seeds = (seeds(chosen.search_seeds, 0, "search_seeds"), seeds(chosen.seeds, FINAL_SEED, "seeds"))
        self._protocols = {name: self._make_protocol(task, *stage_seeds) for name, task in self._tasks.items()}
        search = SampledSearch if chosen.sampled else GridSearch
        pairs = itertools.product(self._protocols.items(), self._contenders.values())
        self._searches = {(name, one.name): search(one, protocol) for (name, protocol), one in pairs}
        self._launched: set[tuple[object, ...]] = set()
        self._entries = {n: [c.enter(t.steps) for c in self._contenders.values()] for n, t in self._tasks.items()}
        own = {name: p.fingerprint for name, p in self._protocols.items() if sources[name] != name}
        self._briefing = Briefing(sources, list(self._contenders.values()), chosen.steps, own)
        self._files: dict[str, RecordFile] = {}
        self._open(None if chosen.out is None else Path(chosen.out))

    def _choose_contenders(self, optimizers: Iterable[Choice] | None, chosen: Settings) -> dict[str, Contender]:
        if not chosen.sampled:
            own = contenders(optimizers, chosen.trial_count, chosen.lrs)
            for spaced in (c.name for c in own if c.space):
                do = "Search with --search tpe or --search random (or search=)."
                raise OptionError(message(f"a grid has learning rates alone, and {spaced!r} brings a space", do=do))
            varied = vary_contenders(own, chosen.vary)
        else:
            varied = vary_contenders(contenders(optimizers, lrs=chosen.lrs, sampled=True), chosen.vary)
            varied = add_spaces(varied, chosen.tune, chosen.vary)
        able, unable = split_by_sparsity(varied, self._tasks.values())
        if unable and optimizers is not None:
            raise refuse_dense(unable)
        self.left_out = [contender.title for contender in unable]
        found = {contender.name: contender for contender in able}
        if chosen.baseline is not None and chosen.baseline not in found:
            do = did_you_mean(chosen.baseline, found)
            raise OptionError(message("baseline is not among the contenders", got=chosen.baseline, do=do))
        return found

    def _open(self, out: Path | None) -> None:
        try:
            for name, protocol in self._protocols.items():
                self._files[name] = RecordFile(None if out is None else out / name, protocol)
            if out is not None:
                save_plan(out, {n: (Heading.of(t), self._entries[n]) for n, t in self._tasks.items()}, self._baseline)
        except BaseException:
            self.close()
            raise

    def _make_protocol(self, task: Task, search: tuple[int, ...], final: tuple[int, ...]) -> Protocol:
        with one_thread():
            data = check(task)
            digest = fingerprint(task, data)
            shared = self._settings.together and any(self._can_share(name) for name in self._contenders)
            alone = not shared or self._find_obstacle(task, data)
        sampled = self._settings.sampled
        return Protocol(
            task=task.name,
            fingerprint=digest,
            steps=task.steps,
            batch_size=task.batch_size,
            evaluate_every=task.interval,
            target=task.target,
            metric=describe(task.score),
            trials=self._settings.trial_count if sampled else len(next(iter(self._contenders.values())).lrs),
            search_seeds=search,
            final_seeds=final,
            together=not alone,
            versions=find_versions(),
            search=self._settings.search,
            pruning=sampled and self._settings.pruning,
            optuna=find_optuna() if sampled else None,
        )

    def _find_obstacle(self, task: Task, data: Data) -> bool:
        reason = find_obstacle(task, data)
        if reason is not None:
            self.obstacles[task.name] = reason
        return reason is not None

    @property
    def total(self) -> int:
        """Runs in all."""
        plans = (p.trials * len(p.search_seeds) + len(p.final_seeds) for p in self._protocols.values())
        return len(self._contenders) * sum(plans)

    @property
    def done(self) -> int:
        """Runs of this comparison that are recorded."""
        return sum(len(self._result(name).records) for name in self._tasks)

    def run(self, progress: Progress | None = None) -> Comparison:
        """Do what is missing. Interrupted at any moment, it can be called again, also in another process."""
        report = progress or (lambda done, total, trial: None)
        done, total = self.done, self.total
        report(done, total, None)

        def on_records(job: Job, records: list[Record]) -> Iterable[Job]:
            nonlocal done
            self._files[job.trials[0].task].append(records)
            for trial in job.trials:
                done += 1
                report(done, total, trial)
            first = job.trials[0]
            return self._find_next(first.task, first.contender) if first.stage == "search" else ()

        self._launched.clear()
        todo = [job for name in self._tasks for one in self._contenders for job in self._find_next(name, one)]
        self._executor.execute(self._briefing, todo, on_records)
        return self.comparison()

    def _find_next(self, name: str, contender: str) -> list[Job]:
        """What can be done now for a contender on a task and is not under way: of its search, or its final runs."""
        protocol, records = self._protocols[name], self._files[name].records
        entry = next(e for e in self._entries[name] if e.name == contender)
        search = select_search(protocol, entry, records)
        if is_searched(protocol, search):
            chosen = choose(self._tasks[name].score, search)
            return [Job((trial,)) for trial in self._launch(missing(plan_final(protocol, entry, chosen), records))]
        planned, rivals = self._searches[name, contender].find_open(search)
        return self._pack(protocol, self._launch(planned), rivals)

    def _launch(self, planned: Iterable[Trial]) -> list[Trial]:
        """Those of the trials that are not under way, which they are from now on."""
        fresh = [trial for trial in planned if trial.key not in self._launched]
        self._launched.update(trial.key for trial in fresh)
        return fresh

    def _pack(self, protocol: Protocol, search: list[Trial], rivals: Rivals | None) -> list[Job]:
        """The open search of one contender in jobs: as few as possible, where replicas train together."""
        alike: dict[tuple[bool, tuple[object, ...]], list[Trial]] = {}
        for trial in search:
            together = protocol.together and self._can_share(trial.contender, trial.values)
            alike.setdefault((together, trial.values if together else trial.key), []).append(trial)
        spare = -(-self._executor.width // (len(self._contenders) * len(self._tasks) * max(1, len(alike))))
        jobs: list[Job] = []
        for (together, _), own in alike.items():
            count = max(1, spare, -(-len(own) // MOST))
            jobs += [Job(tuple(own[i::count]), together, rivals) for i in range(min(count, len(own)))]
        return jobs

    def _can_share(self, name: str, values: tuple[tuple[str, object], ...] = ()) -> bool:
        """Whether replicas of a contender with these settings beside the learning rate can train together."""
        if (name, values) not in self._sharing:
            contender = self._contenders[name]
            self._sharing[name, values] = can_share(arrange(contender, {"lr": contender.lrs[0], **dict(values)})[0])
        return self._sharing[name, values]

    def comparison(self) -> Comparison:
        """What is known so far."""
        return Comparison([self._result(name) for name in self._tasks])

    def _result(self, name: str) -> TaskResult:
        records, heading = self._files[name].records, Heading.of(self._tasks[name])
        return conclude(heading, self._protocols[name], self._entries[name], records, self._baseline)

    def close(self) -> None:
        """Release the folders for others, and the cluster."""
        for file in self._files.values():
            file.close()
        self._executor.close()

    def __enter__(self) -> "Campaign":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
