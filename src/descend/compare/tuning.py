"""Tune one optimizer on one task, with Optuna: which settings are best on the validation part."""

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from descend.compare.contender import Contender, Range
from descend.compare.jobs import prepare
from descend.compare.pool import one_thread
from descend.compare.protocol import Trial
from descend.compare.runs import train
from descend.compare.samplers import make_pruner, quiet_optuna
from descend.compare.selection import Choice, contenders
from descend.compare.space import Ranges, arrange, check_ranges, shorten, suggest
from descend.errors import OptionError, RecordError, TaskError, message
from descend.optim.arguments import check_count
from descend.tasks import Data, Task, check, fingerprint

if TYPE_CHECKING:
    import optuna

Progress = Callable[[int, int, float | None], None]
"""Called with the trials done, the trials in all, and the best metric so far."""

HEARTBEAT, GRACE = 10, 60
"""Seconds between signs of life of a trial in a database, and after which one without is given to another process."""
SEED = 0


@dataclass(frozen=True)
class Tuning:
    """What tuning found; ``print`` shows the line to paste into a program.

    Attributes:
        task: its name.
        metric: name of the validation metric.
        settings: the line to paste.
        values: the best value of everything that was searched.
        score: validation metric with these, the mean over the seeds.
        shown: the same for people.
        trials, pruned, diverged: how many were done, given up for being worse than most, and lost.
        study: Optuna's, with every trial; ``optuna.visualization`` takes it.
    """

    task: str
    metric: str
    settings: str
    values: dict[str, Any]
    score: float
    shown: str
    trials: int
    pruned: int
    diverged: int
    study: "optuna.Study"

    def to_data(self) -> dict[str, Any]:
        """Plain lists, numbers and strings, for JSON."""
        return {key: value for key, value in vars(self).items() if key not in ("study", "shown")}

    def __repr__(self) -> str:
        counts = f"{self.trials} trials, {self.pruned} pruned, {self.diverged} diverged"
        return f"{self.settings}\n{self.shown} validation {self.metric} on {self.task} ({counts})"

    def _repr_html_(self) -> str:
        settings, rest = str(self).split("\n", 1)
        return f"<pre>{escape(settings)}</pre><p>{escape(rest)}</p>"


def tune(
    task: str | Task,
    optimizer: Choice = "adamw",
    *,
    trials: int = 30,
    seeds: int = 1,
    ranges: Ranges | None = None,
    steps: int | None = None,
    storage: str | None = None,
    sampler: "optuna.samplers.BaseSampler | None" = None,
    prune: bool = True,
    progress: Progress | None = None,
) -> Tuning:
    """Search the settings of one optimizer that are best on the validation part; the test part is not read.

    Started again with the same storage and settings, it goes on where it stopped; several processes may share one.

    Args:
        task: a name, ``"file.py:object"`` or a task.
        optimizer: a name, a class or a contender.
        trials: settings that are tried, from 1, those of earlier calls included.
        seeds: runs of each, whose mean counts, from 1.
        ranges: what is searched beside the learning rate or instead of its usual range, by name: ``lr``, ``schedule``,
            ``warmup``, ``batch_size``, ``clip`` or an option of the optimizer.
        steps: updates a run, where another budget than the task's is wanted.
        storage: URL of an Optuna storage, such as ``sqlite:///tune.db``; in memory by default.
        sampler: Optuna's; TPE by default.
        prune: give a trial up that is worse than the median of the others at the same update.
        progress: called after each trial.

    Raises:
        TaskError: the task is unknown or malformed, or a run failed.
        OptionError: an option is out of range, or the optimizer is unknown.
        RecordError: the storage cannot be used.
        MissingExtraError: Optuna is not installed.
    """
    for name, value in (("trials", trials), ("seeds", seeds)):
        check_count(name, value, "tune")
    with quiet_optuna("Tuning") as optuna:
        (contender,) = contenders([optimizer])
        found = prepare(task, steps)
        searched = {"lr": (contender.lrs[0], contender.lrs[-1]), **check_ranges({} if ranges is None else ranges)}
        with one_thread():
            data = check(found)
            search = _Search(found, data, contender, searched, seeds)
            study = _open_study(optuna, search, storage, sampler, prune)
            _go_on(optuna, study, search, trials, progress or (lambda done, total, best: None))
        return search.conclude(optuna, study)


class _Search:
    """One objective: what is trained with which settings."""

    def __init__(self, task: Task, data: Data, contender: Contender, ranges: dict[str, Range], seeds: int) -> None:
        self.task, self.data, self.ranges, self.seeds = task, data, ranges, seeds
        self.contender = replace(contender, space=ranges)

    @property
    def name(self) -> str:
        """Of the study: other data, models, budgets or ranges have another, and never mix."""
        parts = {
            "fingerprint": fingerprint(self.task, self.data),
            "budget": [self.task.steps, self.task.batch_size, self.task.interval, self.seeds],
            "contender": replace(self.contender, space={}).identity,
            "ranges": {key: list(value) for key, value in sorted(self.ranges.items())},
        }
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True, default=repr).encode()).hexdigest()[:10]
        return f"{self.task.name}-{self.contender.name}-{digest}"

    def try_out(self, optuna: Any, trial: "optuna.Trial", prune: bool) -> float:
        """The mean validation metric over the seeds; a run that diverges counts as the untrained model."""
        contender, lr = arrange(self.contender, shorten(suggest(trial, self.ranges), self.ranges))
        scores: list[float] = []
        for seed in range(self.seeds):

            def look(step: int, evaluation: Any, seed: int = seed) -> bool:
                trial.report(evaluation.metric, seed * self.task.steps + step)
                return prune and trial.should_prune()

            planned = Trial(self.task.name, contender.name, contender.identity, lr, seed, "search")
            record = train(self.task, self.data, contender, planned, look)
            if record["diverged"]:
                trial.set_user_attr("diverged", True)
            elif record["updates"] < self.task.steps:
                raise optuna.TrialPruned
            scores.append(record["validation_metric"])
        return math.fsum(scores) / len(scores)

    def conclude(self, optuna: Any, study: "optuna.Study") -> Tuning:
        """What the study knows."""
        states = optuna.trial.TrialState
        finished = study.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED))
        best = study.best_trial
        values = shorten(best.params, self.ranges)
        contender, lr = arrange(self.contender, values)
        assert best.value is not None
        return Tuning(
            task=self.task.name,
            metric=self.task.score.name,
            settings=contender.settings(lr, self.task.steps),
            values=values,
            score=best.value,
            shown=self.task.score.show(best.value),
            trials=len(finished),
            pruned=sum(t.state == states.PRUNED for t in finished),
            diverged=sum("diverged" in t.user_attrs for t in finished),
            study=study,
        )


def _open_study(optuna: Any, search: _Search, storage: str | None, sampler: Any, prune: bool) -> "optuna.Study":
    kept = None
    try:
        if storage is not None:
            if storage.startswith("sqlite:///"):
                Path(storage.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
            retry = optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=2)
            kept = optuna.storages.RDBStorage(
                storage, heartbeat_interval=HEARTBEAT, grace_period=GRACE, heartbeat_stale_trial_callback=retry
            )
        return optuna.create_study(
            study_name=search.name,
            storage=kept,
            load_if_exists=True,
            direction="maximize" if search.task.score.higher_is_better else "minimize",
            sampler=sampler or optuna.samplers.TPESampler(seed=SEED),
            pruner=make_pruner(optuna, search.task.steps) if prune else optuna.pruners.NopPruner(),
        )
    except Exception as error:  # SQLAlchemy's errors have no root of their own
        reason = str(error).strip().splitlines()[0]
        do = "Give a URL such as sqlite:///results/tune.db in a folder that can be written."
        raise RecordError(message(f"storage {storage} cannot be used ({reason})", do=do)) from error


def _go_on(optuna: Any, study: "optuna.Study", search: _Search, trials: int, progress: Progress) -> None:
    states = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)

    def tell(study: "optuna.Study", trial: "optuna.trial.FrozenTrial | None" = None) -> None:
        complete = study.get_trials(deepcopy=False, states=states[:1])
        progress(min(_count(study, states), trials), trials, study.best_value if complete else None)

    tell(study)
    if _count(study, states) >= trials:
        return
    enough = optuna.study.MaxTrialsCallback(trials, states=states)
    prune = not isinstance(study.pruner, optuna.pruners.NopPruner)
    try:
        study.optimize(lambda trial: search.try_out(optuna, trial, prune), callbacks=[enough, tell])
    except (TaskError, OptionError):
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        do = "Finished trials are kept; correct the cause and start again."
        raise TaskError(message(f"a run failed on task {search.task.name!r}: {reason}", do=do)) from error


def _count(study: "optuna.Study", states: tuple[Any, ...]) -> int:
    return len(study.get_trials(deepcopy=False, states=states))
