"""What every place that does jobs promises, and how it says that one has failed or was lost."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

from descend.compare.jobs import Answer, Briefing, Job
from descend.compare.protocol import Record
from descend.errors import BackendError, TaskError, message

OnRecords = Callable[[Job, list[Record]], Iterable[Job]]
"""Called with each finished job, in this process; returns jobs that have become possible."""


class Executor(ABC):
    """Does jobs somewhere. Their records come back to this process, which alone writes them down."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Jobs that it does side by side."""

    @abstractmethod
    def execute(self, briefing: Briefing, jobs: Iterable[Job], on_records: OnRecords) -> None:
        """Do all jobs and those that follow from them.

        Args:
            briefing: the tasks and contenders.
            jobs: to begin with, in this order.
            on_records: takes the records of each; what it returns is done too.

        Raises:
            TaskError: a trial failed; nothing goes on, and all records before it were handed over.
            BackendError: a job lost its process again and again.
        """

    def close(self) -> None:  # noqa: B027 - most have nothing to give back
        """Give back what outlasts an execution."""


class Losses:
    """Counts how often each job has lost its process: once may be the machine's fault, always is the job's.

    Args:
        attempts: how often a job is tried.
        do: what to do where that is not enough.
    """

    def __init__(self, attempts: int, do: str) -> None:
        self._attempts, self._do = attempts, do
        self._counts: dict[Job, int] = {}

    def add(self, job: Job, reason: str) -> None:
        """One more loss.

        Raises:
            BackendError: the job is not tried again.
        """
        self._counts[job] = self._counts.get(job, 0) + 1
        if self._counts[job] >= self._attempts:
            what = f"worker processes die at {describe(job)}, task {job.trials[0].task!r}: {reason}"
            raise BackendError(message(what.rstrip("."), do=self._do))


def accept(job: Job, answer: Answer) -> list[Record]:
    """The records of an answer.

    Raises:
        TaskError: a trial failed.
    """
    records, complaint = answer
    if complaint:
        raise failure(job, complaint.strip().splitlines()[-1])
    return records


def failure(job: Job, reason: str) -> TaskError:
    """The error that names a failed job."""
    what = f"{describe(job)}, failed on task {job.trials[0].task!r}: {reason}"
    return TaskError(message(what.rstrip("."), do="Finished runs are kept; correct the cause and start again."))


def describe(job: Job) -> str:
    """A job in words."""
    first = job.trials[0]
    more = f" (and {len(job.trials) - 1} more)" if len(job.trials) > 1 else ""
    return f"{first.contender} at lr={first.lr:g}, seed {first.seed}{more}"
