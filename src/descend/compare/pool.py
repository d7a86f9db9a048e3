"""Trials side by side: one-thread worker processes, or one after the other in this process."""

import os
import pickle
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import torch

from descend.compare.jobs import Bench, Briefing
from descend.compare.protocol import Record, Trial
from descend.errors import BackendError, TaskError, message

OnRecord = Callable[[Trial, Record], Iterable[Trial]]
"""Called with each finished trial, in this process; returns trials that have become possible."""

ATTEMPTS = 2
"""How often a trial is tried when its process dies."""


def execute(briefing: Briefing, trials: Iterable[Trial], on_record: OnRecord, workers: int) -> None:
    """Do all trials and those that follow from them.

    Args:
        briefing: the tasks and contenders.
        trials: to begin with, in this order.
        on_record: takes each record; what it returns is done too.
        workers: processes; 0 does everything here, as happens to tasks that cannot travel between processes.

    Raises:
        TaskError: a trial failed; the processes have ended, and all records before it were handed over.
        BackendError: a process died twice at the same trial.
    """
    waiting = deque(trials)
    if not waiting:
        return
    packed = briefing.packed() if workers else None
    if packed is None:
        _execute_here(Bench(briefing), waiting, on_record)
    else:
        _Pool(packed, min(workers, len(waiting))).execute(waiting, on_record)


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch, as in the workers: with other numbers of threads, sums end in other digits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _execute_here(bench: Bench, waiting: deque[Trial], on_record: OnRecord) -> None:
    with one_thread():
        while waiting:
            trial = waiting.popleft()
            try:
                record = bench.do(trial)
            except Exception as error:
                raise _failure(trial, f"{type(error).__name__}: {error}") from error
            waiting.extend(on_record(trial, record))


def _failure(trial: Trial, reason: str) -> TaskError:
    what = f"{trial.contender} at lr={trial.lr:g}, seed {trial.seed}, failed on task {trial.task!r}: {reason}"
    return TaskError(message(what.rstrip("."), do="Finished runs are kept; correct the cause and start again."))


class _Worker:
    """A process that does one trial at a time; a thread waits for its replies."""

    def __init__(self, packed: bytes, replies: "SimpleQueue[tuple[_Worker, Any]]") -> None:
        self.trial: Trial | None = None
        self._replies = replies
        self._complaints = tempfile.TemporaryFile()
        code = f"import sys; sys.path[:] = {sys.path!r}; from descend.compare.worker import main; main()"
        threads = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        # In a session of its own, Ctrl-C reaches only the parent, which ends the workers itself.
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            env={**os.environ, **threads},
            start_new_session=True,
        )
        self._send(packed)
        self._listener = Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _send(self, value: Any) -> None:
        assert self._process.stdin is not None
        try:
            pickle.dump(value, self._process.stdin)
            self._process.stdin.flush()
        except OSError:
            pass  # The process has died; the listening thread reports it.

    def _listen(self) -> None:
        assert self._process.stdout is not None
        while True:
            try:
                reply = pickle.load(self._process.stdout)
            except (EOFError, OSError, ValueError, pickle.UnpicklingError):
                self._replies.put((self, None))
                return
            self._replies.put((self, reply))

    def start(self, trial: Trial) -> None:
        """Give it a trial; the reply comes through the queue."""
        self.trial = trial
        self._send(trial)

    def complaint(self) -> str:
        """The last lines that the process wrote, once it has died."""
        status = self._process.wait()
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").strip().splitlines()
        return " | ".join(lines[-3:]) or f"exit status {status}, without a word"

    def end(self) -> None:
        """End the process now."""
        self._process.kill()
        self._process.wait()
        self._listener.join()
        for stream in (self._process.stdin, self._process.stdout, self._complaints):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    pass  # Unsent bytes for a process that is gone.


class _Pool:
    """Worker processes and what they are doing."""

    def __init__(self, packed: bytes, count: int) -> None:
        self._packed, self._count = packed, count
        self._replies: SimpleQueue[tuple[_Worker, Any]] = SimpleQueue()
        self._workers: list[_Worker] = []
        self._deaths: dict[Trial, int] = {}

    def execute(self, waiting: deque[Trial], on_record: OnRecord) -> None:
        try:
            idle = [self._hire() for _ in range(self._count)]
            while waiting or len(idle) < self._count:
                while idle and waiting:
                    idle.pop().start(waiting.popleft())
                worker, reply = self._next_reply()
                trial = worker.trial
                assert trial is not None
                if reply is None:
                    self._mourn(worker, trial)
                    waiting.appendleft(trial)
                    worker = self._hire()
                elif reply[0] == "error":
                    raise _failure(trial, reply[1].strip().splitlines()[-1])
                else:
                    waiting.extend(on_record(trial, reply[1]))
                worker.trial = None
                idle.append(worker)
        finally:
            for worker in self._workers:
                worker.end()

    def _next_reply(self) -> tuple["_Worker", Any]:
        while True:
            try:  # With a time limit, so that Ctrl-C is noticed on every platform.
                worker, reply = self._replies.get(timeout=0.5)
            except Empty:
                continue
            if worker.trial is None and worker in self._workers:
                raise BackendError(message(f"a worker process does not start: {worker.complaint()}"))
            return worker, reply

    def _hire(self) -> _Worker:
        worker = _Worker(self._packed, self._replies)
        self._workers.append(worker)
        return worker

    def _mourn(self, worker: _Worker, trial: Trial) -> None:
        """A process died at this trial: once may be the machine's fault, twice is the trial's."""
        complaint = worker.complaint()
        worker.end()
        self._workers.remove(worker)
        self._deaths[trial] = self._deaths.get(trial, 0) + 1
        if self._deaths[trial] >= ATTEMPTS:
            place = f"{trial.contender}, lr={trial.lr:g}, task {trial.task!r}"
            what = f"worker processes die at {place}: {complaint}"
            raise BackendError(message(what, do="Look for a lack of memory, or try --workers 0 (or workers=0)."))
