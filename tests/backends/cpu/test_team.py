"""Threads: every share runs once, errors reach the caller, and a forked child does without its parent's."""

import os
import sys
import threading
import time

import pytest

from descend.backends.cpu import team


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_every_share_runs_once(threads):
    seen, lock = [], threading.Lock()

    def share(context, me, count):
        with lock:
            seen.append((context, me, count))

    team.run_on_pool(share, 1234, threads)
    assert sorted(seen) == [(1234, me, threads) for me in range(threads)]


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_an_error_reaches_the_caller_after_all_shares_have_ended(failing):
    ended = []

    def share(context, me, count):
        if me == failing:
            raise FloatingPointError(f"share {me}")
        time.sleep(0.05)
        ended.append(me)

    with pytest.raises(FloatingPointError, match=f"share {failing}"):
        team.run_on_pool(share, 0, 3)
    assert sorted(ended) == sorted({0, 1, 2} - {failing})
    team.run_on_pool(lambda context, me, count: ended.append(me), 0, 2)  # the pool has survived
    assert len(ended) == 4


def test_two_callers_share_the_pool():
    sums = [0, 0]

    def work(caller):
        def share(context, me, count):
            sums[caller] += context * (me + 1)

        for _ in range(20):
            team.run_on_pool(share, caller + 1, 2)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sums == [20 * 3, 2 * 20 * 3]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="torch brings libgomp on Linux")
def test_openmp_is_the_one_that_torch_has_loaded():
    found = team.find_openmp()
    assert found is not None
    assert all((found.parallel, found.thread_number, found.team_size))
    assert team.usable_openmp() == found


@pytest.mark.skipif(sys.platform.startswith("linux"), reason="not on Linux")
def test_elsewhere_there_is_no_openmp():
    assert team.find_openmp() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_has_neither_team_nor_pool():
    team.run_on_pool(lambda context, me, count: None, 0, 2)
    assert team._pool is not None
    child = os.fork()
    if child == 0:
        done = team.usable_openmp() is None and team._pool is None
        seen = []
        team.run_on_pool(lambda context, me, count: seen.append(me), 0, 2)
        os._exit(0 if done and sorted(seen) == [0, 1] else 1)
    deadline = time.monotonic() + 20
    status = (0, 0)
    while status[0] == 0 and time.monotonic() < deadline:
        status = os.waitpid(child, os.WNOHANG)
        time.sleep(0.01)
    if status[0] == 0:
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert status[0] == child and os.waitstatus_to_exitcode(status[1]) == 0
