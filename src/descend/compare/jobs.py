"""What a process must know to do trials: the tasks, in a form that travels, the contenders, and its jobs."""

import pickle
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from descend.compare.allocation import keep_freed_memory
from descend.compare.contender import Contender
from descend.compare.environment import find_environment
from descend.compare.protocol import Record, Trial
from descend.compare.replicas import train_together
from descend.compare.rounds import Rivals
from descend.compare.runs import train
from descend.compare.space import arrange
from descend.errors import TaskError, message
from descend.tasks import Data, Task, find, fingerprint

SEED = "Let the task draw its random numbers from a fixed seed, such as torch.manual_seed(0)"

Answer = tuple[list[Record], str]
"""What a process replies to a job: its records, or none and how it failed."""


@dataclass(frozen=True)
class Job:
    """Trials of one contender on one task that one process does in one go: trained together, or one by one.

    Attributes:
        together: all have the same settings beside the learning rate.
        rivals: what a run must keep up with to be trained to its end.
    """

    trials: tuple[Trial, ...]
    together: bool = False
    rivals: Rivals | None = None


@dataclass(frozen=True)
class Briefing:
    """What a process is told once.

    Attributes:
        tasks: by name, as the words that find them or as objects.
        contenders: who is trained on them.
        steps: another budget than the tasks' own.
        fingerprints: of the tasks that do not come with descend; each process that makes their data must find the same.
    """

    tasks: Mapping[str, str | Task]
    contenders: Sequence[Contender]
    steps: int | None = None
    fingerprints: Mapping[str, str] = field(default_factory=dict)

    def packed(self) -> bytes | None:
        """For another process; None where something lives only in this one, as in a notebook or a script."""
        try:
            packed = pickle.dumps(self)
        except (pickle.PicklingError, AttributeError, TypeError):
            return None
        return None if b"__main__" in packed else packed


def prepare(given: str | Task, steps: int | None) -> Task:
    """The task that was asked for, with another budget where ``steps`` is given.

    Raises:
        TaskError: it is unknown or malformed, or the budget is.
    """
    task = find(given) if isinstance(given, str) else given
    if not isinstance(task, Task):
        allowed = "a name such as 'digits-mlp', 'file.py:object', or a descend.tasks.Task"
        raise TaskError(message("a task", got=given, allowed=allowed))
    return task if steps is None else replace(task, steps=steps)


def portable(spec: str) -> str:
    """The words that find a task from any folder."""
    path, colon, name = spec.rpartition(":")
    if colon and path.endswith(".py"):
        return f"{Path(path).expanduser().resolve()}:{name}"
    return str(Path(spec).expanduser().resolve()) if spec.endswith(".py") else spec


class Bench:
    """Does jobs in this process; each task's data are loaded once."""

    def __init__(self, briefing: Briefing) -> None:
        keep_freed_memory()
        self._tasks = dict(briefing.tasks)
        self._steps, self._fingerprints = briefing.steps, briefing.fingerprints
        self._contenders = {contender.name: contender for contender in briefing.contenders}
        self._loaded: dict[str, tuple[Task, Data]] = {}

    def do(self, job: Job) -> list[Record]:
        """One record a trial, in the order of the trials."""
        environment = find_environment()
        return [{**record, "environment": environment} for record in self._train(job)]

    def _train(self, job: Job) -> list[Record]:
        task, data = self._load(job.trials[0].task)
        judge = None if job.rivals is None else job.rivals.watch()
        if job.together:
            # What fails together may succeed alone, and if it does not, the run alone names the cause.
            with suppress(Exception):
                return train_together(task, data, self._arrange(job.trials[0]), job.trials, judge)
        return [train(task, data, self._arrange(t), t, None if judge is None else judge(t)) for t in job.trials]

    def _arrange(self, trial: Trial) -> Contender:
        """The contender with what a sampler has chosen beside the learning rate."""
        return arrange(self._contenders[trial.contender], {"lr": trial.lr, **dict(trial.values)})[0]

    def answer(self, job: Job) -> Answer:
        """The same for another process: an exception travels as text, because its class may not be known there."""
        try:
            return self.do(job), ""
        except Exception:
            return [], traceback.format_exc()

    def _load(self, name: str) -> tuple[Task, Data]:
        if name not in self._loaded:
            task = prepare(self._tasks[name], self._steps)
            data = task.load()
            if name in self._fingerprints and fingerprint(task, data) != self._fingerprints[name]:
                raise TaskError(message("data, model or loss differ each time they are made", do=SEED))
            self._loaded[name] = (task, data)
        return self._loaded[name]
