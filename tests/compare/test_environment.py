import json
import os
import platform

import torch

from compare.workloads import CLOUDS
from descend.compare import compare
from descend.compare.environment import describe_environment, find_environment


def test_it_names_the_machine_and_the_programs():
    found = find_environment()
    assert (found["cores"], found["threads"]) == (os.cpu_count(), torch.get_num_threads())
    assert found["python"] == platform.python_version() and found["torch"] == torch.__version__
    assert found["processor"] and found["system"].startswith(platform.system())
    assert json.loads(json.dumps(found)) == found


def test_it_is_told_in_a_line():
    found = {"processor": "Fast 1", "cores": 1, "system": "Linux x86_64", "threads": 1}
    found |= {"python": "3.11.7", "torch": "2", "descend": "0"}
    told = describe_environment(found)
    assert told == "Fast 1, 1 core (Linux x86_64) · Python 3.11.7 · torch 2 · descend 0 · 1 thread a run"
    assert "4 cores" in describe_environment({**found, "cores": 4})


def test_every_run_tells_where_it_happened_and_another_machine_goes_on(tmp_path, monkeypatch):
    plan = {"optimizers": ["sgd"], "seeds": 1, "search_seeds": 1, "workers": 0, "out": tmp_path}

    def stop(done, total, trial):
        if done == 2:
            raise KeyboardInterrupt

    try:
        compare(CLOUDS, **plan, trials=3, together=False, progress=stop)
    except KeyboardInterrupt:
        pass
    elsewhere = {**find_environment(), "processor": "Other", "threads": 1}
    monkeypatch.setattr("descend.compare.jobs.find_environment", lambda: elsewhere)
    records = compare(CLOUDS, **plan, trials=3, together=False)["clouds"].records
    assert [r["environment"]["processor"] == "Other" for r in records] == [False, False, True, True]
    assert all(r["environment"]["threads"] == 1 for r in records)
