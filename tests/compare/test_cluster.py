"""A local Ray of two processors; one test kills a worker from outside."""

import os
import signal
import socket
import sys
import threading
import time
from dataclasses import replace
from importlib.util import find_spec
from types import SimpleNamespace

import pytest

from compare.workloads import CLOUDS, FILE
from descend.compare import Contender, compare
from descend.compare.cluster import ATTEMPTS, RayCluster
from descend.compare.jobs import Briefing, Job, portable
from descend.compare.places import find_place
from descend.compare.protocol import Trial, key_of
from descend.errors import BackendError, MissingExtraError, OptionError, TaskError

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="needs ray")

PLAN = {"optimizers": ["sgd", "adam"], "seeds": 2, "search_seeds": 2, "trials": 2}
TIMES = ("seconds", "optimizer_seconds", "first_step_seconds", "seconds_to_target")
VICTIM = """
    try:
        with open(r"{mark}", "x") as stream:
            stream.write(str(os.getpid()) + "\\n")
    except FileExistsError:
        pass
    else:
        import time
        time.sleep(600)
"""
SGD = Contender("sgd", "SGD", "SGD", (0.1,))


def numbers(records):
    return {key_of(r): {k: v for k, v in r.items() if k not in TIMES} for r in records}


def kill(mark):
    """End the process that writes its number into this file, as soon as it has."""
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        if mark.exists() and (text := mark.read_text()).endswith("\n"):
            os.kill(int(text), signal.SIGKILL)
            return
        time.sleep(0.02)


DRAWN = {"search": "tpe", "trials": 7, "tune": ["weight_decay"], "seeds": 1, "search_seeds": 2, "optimizers": ["adam"]}


@pytest.fixture(scope="module")
def cluster():
    """A local Ray; to the comparisons that meet it one that runs already."""
    handler = signal.getsignal(signal.SIGTERM)
    first = RayCluster(None, 2)
    assert first.width == 2
    import ray

    assert ray.util.get_node_ip_address() == "127.0.0.1", "it listens to this machine alone"
    assert signal.getsignal(signal.SIGTERM) is handler
    yield
    assert ray.is_initialized(), "comparisons leave it running"
    first.close()
    assert not ray.is_initialized()


def test_a_killed_worker_costs_nothing_and_the_numbers_are_those_of_this_process(cluster, tmp_path):
    path, mark = tmp_path / "mine.py", tmp_path / "mark"
    path.write_text(FILE.format(extra="pass"))
    here = compare(f"{path}:mine", **PLAN, workers=0)
    path.write_text(FILE.format(extra=VICTIM.format(mark=mark)))
    mark.write_text("while it is checked in this process, the model does not wait to be killed")
    killer = threading.Thread(target=kill, args=(mark,))

    def begin(done, total, trial):
        if trial is None:
            mark.unlink()
            killer.start()

    there = compare(f"{path}:mine", **PLAN, out=tmp_path / "out", on="ray", progress=begin)
    killer.join()
    assert mark.exists(), "a worker has waited to be killed"
    assert numbers(there["mine"].records) == numbers(here["mine"].records)
    assert there["mine"].verdict == here["mine"].verdict
    assert (tmp_path / "out" / "mine" / "runs.jsonl").read_text().count("\n") == 12


def run(briefing, name, on="ray"):
    found = []
    place = find_place(on, 1)
    place.execute(briefing, [Job((Trial(name, "sgd", "i", 0.1, 0, "search"),))], lambda job, r: found.extend(r) or ())
    place.close()
    return found


def brief(tmp_path, extra):
    (tmp_path / "mine.py").write_text(FILE.format(extra=extra))
    return Briefing({"mine": portable(f"{tmp_path / 'mine.py'}:mine")}, [SGD])


def test_a_lambda_travels(cluster):
    task = replace(CLOUDS, loss=lambda outputs, targets: CLOUDS.loss(outputs, targets))
    (record,) = run(Briefing({"clouds": task}, [SGD]), "clouds")
    assert record["updates"] == CLOUDS.steps


def test_a_run_that_fails_is_named(cluster, tmp_path):
    with pytest.raises(TaskError, match="sgd at lr=0.1, seed 0, failed on task 'mine': ValueError: on purpose"):
        run(brief(tmp_path, "raise ValueError('on purpose')"), "mine")


def test_a_job_that_always_loses_its_worker_ends_the_comparison(cluster, tmp_path):
    tried = tmp_path / "tried"
    extra = f"print('x', file=open({str(tried)!r}, 'a'), flush=True), os._exit(3)"
    with pytest.raises(BackendError, match="worker processes die at sgd at lr=0.1, seed 0, task 'mine'.*--on ray"):
        run(brief(tmp_path, extra), "mine")
    assert len(tried.read_text().split()) == ATTEMPTS


def test_nodes_with_another_version_are_refused(cluster, monkeypatch):
    monkeypatch.setattr("descend.compare.cluster.find_versions", lambda: ("0.0", "2.4"))
    with pytest.raises(BackendError, match="cannot begin sgd at .*'0.0', '2.4'.* here.*same versions"):
        run(Briefing({"clouds": CLOUDS}, [SGD]), "clouds")


def test_where_nobody_listens_no_cluster_answers(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: False))
    monkeypatch.setattr("descend.compare.cluster.find_spec", lambda name: True)
    with pytest.raises(BackendError, match=f"no Ray cluster answers at ray://127.0.0.1:{port} .*refused.*same version"):
        run(Briefing({"clouds": CLOUDS}, [SGD]), "clouds", f"ray://127.0.0.1:{port}")


def test_what_cannot_travel_is_refused(cluster):
    held = Contender("sgd", "SGD", "SGD", (0.1,), {"momentum": threading.Lock()})
    with pytest.raises(TaskError, match="cannot travel to the cluster .*lock"):
        run(Briefing({"clouds": CLOUDS}, [held]), "clouds")


def test_without_ray_the_extra_is_named_before_anything_is_written(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"needs ray.*pip install 'descend\[ray\]'"):
        compare(CLOUDS, **PLAN, out=tmp_path / "out", on="ray")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("on", "workers", "words"),
    [("moon", 2, "on: got 'moon'"), ("ray://", 2, "on: got"), ("ray", 0, "on Ray: workers: got 0")],
)
def test_other_places_are_refused(on, workers, words):
    with pytest.raises(OptionError, match=words):
        find_place(on, workers)


def test_a_sampled_search_gives_the_numbers_of_this_process(cluster):
    task = replace(CLOUDS, steps=30, evaluate_every=3)
    here, there = compare(task, **DRAWN, workers=0), compare(task, **DRAWN, on="ray")
    assert numbers(there["clouds"].records) == numbers(here["clouds"].records)
