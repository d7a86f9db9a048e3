"""Threads for the CPU backend: torch's own OpenMP team, or a small pool where that cannot be used.

After a torch operation the workers of its OpenMP library keep spinning, so a pool of Python threads would share
their cores just when a step runs, right after ``backward()``: measured no faster than one thread. Handing the
shares to the very same workers halves the serial time. Their library hangs in a forked child, though; there, and
where torch has none (macOS, Windows), shares go to a pool of threads.
"""

import ctypes
import functools
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass

import torch

_pool: ThreadPoolExecutor | None = None
forks = ctypes.c_int64(0)
"""How many forks lie between this process and the one that imported descend; compiled code reads it too."""


def _begin_child() -> None:
    global _pool
    _pool = None  # its threads live in the parent only
    forks.value += 1


os.register_at_fork(after_in_child=_begin_child)


@dataclass(frozen=True)
class OpenMP:
    """Addresses of the functions that hand shares to the team, and of the one that says how large it is at most."""

    parallel: int
    thread_number: int
    team_size: int
    most_threads: int


@functools.cache
def find_openmp() -> OpenMP | None:
    """The libgomp that torch has loaded, or None."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        with open("/proc/self/maps") as maps:
            path = next((line.split(maxsplit=5)[5].strip() for line in maps if "libgomp" in line), None)
        if path is None:
            return None
        library = ctypes.CDLL(path)
        names = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads", "omp_get_max_threads")
        return OpenMP(*(_address(getattr(library, n)) for n in names))
    except (OSError, AttributeError):
        return None


def _address(function: object) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0  # type: ignore[arg-type]


def usable_openmp() -> OpenMP | None:
    """The OpenMP team, unless this is a forked child, where it would hang."""
    return None if forks.value else find_openmp()


@functools.cache
def _callable(address: int) -> Callable[[], int]:
    """The C function ``int f(void)`` at an address."""
    return ctypes.CFUNCTYPE(ctypes.c_int)(address)


def describe() -> dict[str, int] | None:
    """Which threads this thread can ask for now, for compiled code that must notice when that has changed.

    Returns:
        Where the number of forks is found and what it is, this thread, how many threads it can ask for and the function
        that says so; None if compiled code cannot ask.
    """
    openmp, threads = usable_openmp(), torch.get_num_threads()
    if openmp is None or _callable(openmp.most_threads)() != threads:
        return None
    fork = {"forks": ctypes.addressof(forks), "forked": forks.value}
    return fork | {"thread": threading.get_ident(), "threads": threads, "most_threads": openmp.most_threads}


def run_on_pool(share: Callable[[int, int, int], None], context: int, threads: int) -> None:
    """Run one share on each of ``threads`` threads, the calling one included.

    Args:
        share: ``(context, me, team)``, a compiled function that releases the interpreter's lock.
        context: address of the context.
        threads: how many shares.
    """
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(max_workers=max(1, (os.cpu_count() or 2) - 1), thread_name_prefix="descend")
    others = [_pool.submit(share, context, me, threads) for me in range(1, threads)]
    try:
        share(context, 0, threads)
    finally:
        wait(others)  # all of them, before an error lets the caller free what they write to
    for other in others:
        other.result()
