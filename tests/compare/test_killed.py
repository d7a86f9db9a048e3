"""SIGKILL at random moments: no finished run is lost, none is repeated, the table is the same in the end."""

import json
import os
import random
import signal
import time

import pytest

from compare.workloads import CLOUDS
from descend.compare import compare
from descend.compare.protocol import key_of
from descend.compare.records import read_runs

GRID = {"optimizers": ["sgd", "adam"], "seeds": 8, "search_seeds": 3, "trials": 5, "workers": 0}
# As many runs, in rounds of five trials, of which the later may be pruned.
SAMPLED = {"search": "tpe", "seeds": 6, "search_seeds": 1, "trials": 17, "tune": ["weight_decay", "betas"]}
PLANS = {"grid": GRID, "tpe": {**GRID, **SAMPLED}}
RUNS = 2 * (5 * 3 + 8)
KILLS = 20
TIMES = ("seconds", "optimizer_seconds", "first_step_seconds", "seconds_to_target")


def start(out, plan):
    """The comparison in a process of its own; forked, because one that imports torch anew takes seconds."""
    pid = os.fork()
    if not pid:
        try:
            compare(CLOUDS, **plan, out=out)
        finally:
            os._exit(0)
    return pid


def count(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


def numbers(records):
    return {key_of(r): {k: v for k, v in r.items() if k not in TIMES} for r in records}


@pytest.mark.parametrize("search", ["grid", "tpe"])
@pytest.mark.parametrize("together", [False, True])
def test_killed_twenty_times_it_loses_and_repeats_nothing(tmp_path, together, search):
    moment, path = random.Random(0), tmp_path / "out" / "clouds" / "runs.jsonl"
    plan = {**PLANS[search], "together": together}
    whole = compare(CLOUDS, **plan)
    kept = b""
    for _ in range(KILLS):
        pid, before, wanted = start(tmp_path / "out", plan), count(path), moment.randrange(3)
        deadline = time.monotonic() + 30
        while count(path) < min(before + wanted, RUNS) and time.monotonic() < deadline:
            time.sleep(0.0005)
        time.sleep(moment.uniform(0, 0.01))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        now = path.read_bytes() if path.exists() else b""
        assert now.startswith(kept), "a finished run was lost or rewritten"
        kept = now[: now.rfind(b"\n") + 1]
    assert 0 < kept.count(b"\n") < RUNS or together, "the kills came in the middle"
    again = compare(CLOUDS, **plan, out=tmp_path / "out")
    assert path.read_bytes().startswith(kept)
    found, _ = read_runs(path)
    assert len(found) == RUNS and len(numbers(found)) == RUNS
    assert numbers(again["clouds"].records) == numbers(whole["clouds"].records)
    assert [row.name for row in again["clouds"].rows] == [row.name for row in whole["clouds"].rows]
    assert again["clouds"].verdict == whole["clouds"].verdict
    json.dumps(again.to_data(), allow_nan=False)
