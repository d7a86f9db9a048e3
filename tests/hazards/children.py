"""Forked children that cannot hang a test: an alarm ends the child, a deadline the wait."""

import faulthandler
import os
import pickle
import signal
import time
import traceback
from collections.abc import Callable
from typing import Any

Child = tuple[int, int]
"""Process id, and the pipe from which its result is read."""


def start_child(work: Callable[[], Any], *, seconds: int = 30) -> Child:
    """Fork, and do some work in the child."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        faulthandler.disable()  # the parent reports how the child died
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(seconds)
        try:
            result: tuple[bool, Any] = (True, work())
        except BaseException:
            result = (False, traceback.format_exc())
        try:
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(result, pipe)
        finally:
            os._exit(0)
    os.close(writing)
    return pid, reading


def join_child(child: Child, *, seconds: int = 40) -> Any:
    """What the child's work returned.

    Raises:
        AssertionError: if it failed, hung or died.
    """
    pid, reading = child
    deadline = time.monotonic() + seconds
    with os.fdopen(reading, "rb") as pipe:
        data = b""
        os.set_blocking(pipe.fileno(), False)
        while True:
            data += pipe.read() or b""
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                data += pipe.read() or b""
                break
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                raise AssertionError(f"the child still ran after {seconds} s")
            time.sleep(0.005)
    code = os.waitstatus_to_exitcode(status)
    assert code == 0, "the child hung" if code == -signal.SIGALRM else f"the child died with {code}"
    succeeded, result = pickle.loads(data)
    assert succeeded, f"in the child:\n{result}"
    return result


def in_child(work: Callable[[], Any], *, seconds: int = 30) -> Any:
    """What some work returns when a forked child does it."""
    return join_child(start_child(work, seconds=seconds), seconds=seconds + 10)
