"""Jobs on a Ray cluster: one that runs already, or a local one for the time of the comparison."""

import os
import signal
import socket
import sys
import threading
import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import Any

import torch

from descend.compare.environment import find_versions
from descend.compare.execution import Executor, Losses, OnRecords, accept, describe
from descend.compare.jobs import Answer, Bench, Briefing, Job
from descend.errors import BackendError, TaskError, message, missing_extra
from descend.optim.arguments import check_count

ATTEMPTS = 3
"""How often a job is tried when its worker or node is lost; nodes of a cluster may be taken away at any time."""
AHEAD = 2
"""Jobs handed out for each processor: one runs, one waits, and a cluster that can grow sees that it should."""
LOCAL, PATIENCE = "local", 10
"""Ray's word for a cluster of one's own; seconds in which one elsewhere must answer."""
STORE = 100 * 2**20
"""Bytes of shared memory of a local Ray: jobs and records are small."""


class RayCluster(Executor):
    """Does jobs on a Ray cluster, each as one task on one processor.

    Args:
        address: ``ray://HOST:PORT`` of a cluster; None takes the one that this process is connected to, else that of
            the environment variable ``RAY_ADDRESS``, else starts a local one.
        workers: processors of a local one; a cluster that runs already gives all it has.

    Raises:
        MissingExtraError: Ray is not installed.
        OptionError: a local one would have no processor.
    """

    def __init__(self, address: str | None, workers: int) -> None:
        if find_spec("ray") is None:
            raise missing_extra("ray", "ray", "Running on a Ray cluster")
        check_count("workers", workers, "compare on Ray")
        self._address = address or os.environ.get("RAY_ADDRESS") or LOCAL
        self._workers, self._connected = workers, False

    @cached_property
    def _ray(self) -> Any:
        """The package, connected to the cluster."""
        import ray

        if not ray.is_initialized():
            _connect(ray, self._address, self._workers)
            self._connected = True
        return ray

    @property
    def width(self) -> int:
        """Processors of the cluster."""
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def execute(self, briefing: Briefing, jobs: Iterable[Job], on_records: OnRecords) -> None:
        """Do all jobs and those that follow from them; see :meth:`Executor.execute`."""
        waiting = deque(jobs)
        if not waiting:
            return
        ray = self._ray
        shared, origin = [_share(ray, briefing)], _Origin(uuid.uuid4().hex, find_versions(), tuple(sys.path))
        remote = ray.remote(num_cpus=1, max_retries=0)(_answer)
        losses = Losses(ATTEMPTS, "Look for a lack of memory on the nodes, or compare without --on ray.")
        running: dict[Any, Job] = {}
        while waiting or running:
            # Nothing is taken back once handed out: ray.cancel can end this process where it meets a task that is just
            # finishing (Ray 2.60). What still runs when this ends, ends by itself or with the connection.
            while waiting and len(running) < AHEAD * self.width:
                job = waiting.popleft()
                running[remote.remote(origin, shared, job)] = job
            (done,), _ = ray.wait(list(running))
            job = running.pop(done)
            try:
                answer: Answer = ray.get(done)
            except ray.exceptions.RayTaskError as error:
                raise _refusal(job, error) from error
            except ray.exceptions.RayError as error:
                losses.add(job, _lines(error)[0])
                waiting.append(job)
            else:
                waiting.extend(on_records(job, accept(job, answer)))

    def close(self) -> None:
        """Disconnect; a local cluster ends."""
        if self._connected:
            self._ray.shutdown()
            self._connected = False
            del self._ray


def _connect(ray: Any, address: str, workers: int) -> None:
    """Ray puts a handler of its own in the place of the caller's for SIGTERM: it is put back."""
    handler = signal.getsignal(signal.SIGTERM)
    own = {"num_cpus": workers, "include_dashboard": False, "object_store_memory": STORE}
    try:
        _reach(address)
        with _private(ray) if address == LOCAL else nullcontext():
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", **(own if address == LOCAL else {}))
    except (OSError, ImportError, RuntimeError, ValueError) as error:
        do = (
            "Look whether it runs, is of the same version and wants a token (RAY_AUTH_MODE=token), "
            "or unset RAY_ADDRESS for a local one."
        )
        reason = _lines(error)[0].rstrip(".")
        raise BackendError(message(f"no Ray cluster answers at {address} ({reason})", do=do)) from error
    finally:
        if handler is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def _reach(address: str) -> None:
    """Ray itself would try for minutes where nobody listens."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()


@contextmanager
def _private(ray: Any) -> Iterator[None]:
    """A Ray that starts now listens on the loopback address alone, and reports to nobody.

    Whoever reaches its ports can run code. The constant is what Ray reads from the environment variable of
    RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER, on every system, but only when it is first imported.
    """
    constants, usage = ray._private.ray_constants, "RAY_USAGE_STATS_ENABLED"
    clusters, reports = constants.ENABLE_RAY_CLUSTER, os.environ.get(usage)
    constants.ENABLE_RAY_CLUSTER, os.environ[usage] = False, "0"
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = clusters
        os.environ.pop(usage)
        if reports is not None:
            os.environ[usage] = reports


def _share(ray: Any, briefing: Briefing) -> Any:
    try:
        return ray.put(briefing)
    except TypeError as error:
        reason = _lines(error)[0].rstrip(":.")
        do = "Keep locks, open files and the like out of tasks and contenders."
        raise TaskError(message(f"what is compared cannot travel to the cluster ({reason})", do=do)) from error


def _refusal(job: Job, error: Exception) -> BackendError:
    """A worker that cannot even begin: descend, or what the task imports, is not there or of another version."""
    reason = _lines(error)[-1].rstrip(".")
    do = "Install on every node of the cluster what is installed here, in the same versions."
    return BackendError(message(f"a worker of the Ray cluster cannot begin {describe(job)} ({reason})", do=do))


def _lines(error: Exception) -> list[str]:
    return str(error).strip().splitlines() or [type(error).__name__]


@dataclass(frozen=True)
class _Origin:
    """What a worker must know of the process that asks: name of the execution, versions, where modules are found."""

    name: str
    versions: tuple[str, str]
    path: tuple[str, ...]


_benches: dict[str, Bench] = {}


def _answer(origin: _Origin, shared: list[Any], job: Job) -> Answer:
    """Do a job in a worker of the cluster, which keeps the bench with its data for the next one."""
    if origin.name not in _benches:
        import ray

        if find_versions() != origin.versions:
            raise RuntimeError(f"descend and torch are {find_versions()} there and {origin.versions} here")
        sys.path.extend(folder for folder in origin.path if folder not in sys.path)
        torch.set_num_threads(1)
        _benches.clear()
        _benches[origin.name] = Bench(ray.get(shared[0]))
    return _benches[origin.name].answer(job)
