"""Jobs side by side: one-thread worker processes, or one after the other in this process."""

import os
import pickle
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import torch

from descend.compare.execution import Executor, Losses, OnRecords, accept, failure
from descend.compare.jobs import Bench, Briefing, Job
from descend.errors import BackendError, message

ATTEMPTS = 2
"""How often a job is tried when its process dies."""


class LocalPool(Executor):
    """Does jobs on this machine.

    Args:
        workers: processes side by side, this one among them where replicas train together: a sweep of seconds would
            else wait for one more process to start. 0 does everything here, as happens to tasks that cannot travel.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers

    @property
    def width(self) -> int:
        """Jobs that it does side by side."""
        return max(1, self._workers)

    def execute(self, briefing: Briefing, jobs: Iterable[Job], on_records: OnRecords) -> None:
        """Do all jobs and those that follow from them; see :meth:`Executor.execute`."""
        waiting, workers = deque(jobs), self._workers
        if not waiting:
            return
        packed = briefing.packed() if workers else None
        if packed is None:
            _execute_here(Bench(briefing), waiting, on_records)
        elif workers > 1 and len(waiting) > 1 and any(job.together for job in waiting):
            with one_thread():
                _Pool(packed, min(workers, len(waiting)) - 1, Bench(briefing)).execute(waiting, on_records)
        else:
            _Pool(packed, min(workers, len(waiting))).execute(waiting, on_records)


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch, as in the workers: with other numbers of threads, sums end in other digits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _execute_here(bench: Bench, waiting: deque[Job], on_records: OnRecords) -> None:
    with one_thread():
        while (job := _take_next(waiting)) is not None:
            waiting.extend(_do(bench, job, on_records))


def _take_next(waiting: deque[Job]) -> Job | None:
    """The next job, which no other thread gets; None if there is none."""
    try:
        return waiting.popleft()
    except IndexError:
        return None


def _do(bench: Bench, job: Job, on_records: OnRecords) -> Iterable[Job]:
    """Do a job in this process; returns those that it makes possible."""
    try:
        records = bench.do(job)
    except Exception as error:
        raise failure(job, f"{type(error).__name__}: {error}") from error
    return on_records(job, records)


class _Worker:
    """A process that does one job after the other.

    A thread waits for its replies and gives it the next job at once: this process may be busy with a job of its own.
    """

    def __init__(self, packed: bytes, waiting: deque[Job], replies: "SimpleQueue[tuple[_Worker, Any]]") -> None:
        self.jobs: deque[Job] = deque()  # that are not answered, or whose answers nobody has acted on yet
        self._waiting, self._replies = waiting, replies
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
            self.start_next()  # first, so that its jobs never seem to be done while there are more
            self._replies.put((self, reply))

    def start_next(self) -> None:
        """Give it the next job, if there is one; the reply comes through the queue."""
        job = _take_next(self._waiting)
        if job is not None:
            self.jobs.append(job)
            self._send(job)

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
    """Worker processes and what they are doing, and this process where it takes part."""

    def __init__(self, packed: bytes, count: int, bench: Bench | None = None) -> None:
        self._packed, self._count, self._bench = packed, count, bench
        self._replies: SimpleQueue[tuple[_Worker, Any]] = SimpleQueue()
        self._workers: list[_Worker] = []
        self._losses = Losses(ATTEMPTS, "Look for a lack of memory, or try --workers 0 (or workers=0).")

    def execute(self, waiting: deque[Job], on_records: OnRecords) -> None:
        try:
            for _ in range(self._count):
                self._hire(waiting)
            while waiting or any(worker.jobs for worker in self._workers):
                for worker in self._workers:
                    if not worker.jobs:
                        worker.start_next()
                job = None if self._bench is None else _take_next(waiting)
                if self._bench is None or job is None:
                    self._take(*self._next_reply(), waiting, on_records)
                    continue
                waiting.extend(_do(self._bench, job, on_records))
                while not self._replies.empty():
                    self._take(*self._next_reply(), waiting, on_records)
        finally:
            for worker in self._workers:
                worker.end()

    def _take(self, worker: "_Worker", reply: Any, waiting: deque[Job], on_records: OnRecords) -> None:
        """Act on what a process has answered to the first of its jobs."""
        if reply is None:
            self._mourn(worker)
            waiting.extendleft(reversed(worker.jobs))
            self._hire(waiting)
            return
        job = worker.jobs.popleft()
        waiting.extend(on_records(job, accept(job, reply)))

    def _next_reply(self) -> tuple["_Worker", Any]:
        while True:
            try:  # With a time limit, so that Ctrl-C is noticed on every platform.
                worker, reply = self._replies.get(timeout=0.5)
            except Empty:
                continue
            if not worker.jobs and worker in self._workers:
                raise BackendError(message(f"a worker process does not start: {worker.complaint()}"))
            return worker, reply

    def _hire(self, waiting: deque[Job]) -> None:
        self._workers.append(_Worker(self._packed, waiting, self._replies))

    def _mourn(self, worker: _Worker) -> None:
        """A process died at the first of its jobs."""
        job, complaint = worker.jobs[0], worker.complaint()
        worker.end()
        self._workers.remove(worker)
        self._losses.add(job, complaint)
