import os
from collections import deque
from dataclasses import replace
from queue import SimpleQueue

import pytest
import torch

from compare.workloads import CLOUDS, FILE
from descend.compare.contender import Contender
from descend.compare.jobs import Bench, Briefing, Job, portable
from descend.compare.pool import LocalPool, _Worker
from descend.compare.protocol import Trial
from descend.errors import BackendError, TaskError
from descend.tasks import find, fingerprint

SGD = Contender("sgd", "SGD", "SGD", (0.1,))
TIMES = ("seconds", "optimizer_seconds", "first_step_seconds", "seconds_to_target")


def trial(seed=0, task="mine", stage="search", lr=0.1):
    return Trial(task, "sgd", "i", lr, seed, stage)


def brief(tmp_path, extra="pass"):
    path = tmp_path / "mine.py"
    path.write_text(FILE.format(extra=extra))
    return Briefing({"mine": portable(f"{path}:mine")}, [SGD])


def collect(briefing, trials, workers, follow=lambda trial: ()):
    found = {}

    def on_records(job, records):
        (done,), (record,) = job.trials, records
        found[done.seed] = {k: v for k, v in record.items() if k not in TIMES}
        return [Job((trial,)) for trial in follow(done)]

    LocalPool(workers).execute(briefing, [Job((trial,)) for trial in trials], on_records)
    return found


def test_two_processes_give_what_one_gives_although_the_model_talks(tmp_path):
    briefing = brief(tmp_path)
    trials = [trial(seed) for seed in range(3)]

    def follow(done):
        return [trial(7, stage="final")] if done.seed == 2 else []

    apart = collect(briefing, trials, 2, follow)
    assert set(apart) == {0, 1, 2, 7}
    assert apart == collect(briefing, trials, 0, follow)


def test_this_process_takes_part_where_replicas_train_together(tmp_path):
    briefing, order = brief(tmp_path), []
    jobs = [Job((trial(seed), trial(seed + 10)), together=True) for seed in range(6)]

    def on_records(job, records):
        order.extend((r["seed"], r["together"]) for r in records)
        return [Job((trial(99, stage="final"),))] if job is jobs[0] else []

    before = children()
    LocalPool(2).execute(briefing, jobs, on_records)
    assert sorted(order) == sorted([(s + t, 2) for s in range(6) for t in (0, 10)] + [(99, 1)])
    assert children() == before


def test_a_process_goes_on_by_itself_while_nobody_hands_out_jobs(tmp_path):
    """The process that hands them out may be busy with a job of its own."""
    packed = brief(tmp_path).packed()
    assert packed is not None
    replies = SimpleQueue()
    waiting = deque(Job((trial(seed),)) for seed in range(3))
    worker = _Worker(packed, waiting, replies)
    try:
        worker.start_next()
        answers = [replies.get(timeout=60)[1] for _ in range(3)]
    finally:
        worker.end()
    assert [records[0]["seed"] for records, _ in answers] == [0, 1, 2]
    assert not waiting


def test_a_run_that_fails_is_named_and_no_process_is_left(tmp_path):
    before = children()
    with pytest.raises(TaskError, match="sgd at lr=0.1, seed 0, failed on task 'mine': ValueError: on purpose"):
        collect(brief(tmp_path, "raise ValueError('on purpose')"), [trial()], 2)
    assert children() == before


def test_a_process_that_dies_twice_at_one_trial_ends_the_comparison(tmp_path):
    with pytest.raises(BackendError, match="worker processes die at sgd at lr=0.1, seed 0, task 'mine'.*--workers 0"):
        collect(brief(tmp_path, "os._exit(3)"), [trial()], 1)


def test_a_process_that_dies_once_is_replaced(tmp_path):
    mark = tmp_path / "mark"
    extra = f"os.path.exists({str(mark)!r}) or (open({str(mark)!r}, 'w').close(), os._exit(3))"
    assert set(collect(brief(tmp_path, extra), [trial()], 1)) == {0}


def children():
    return {pid for pid in os.listdir("/proc") if pid.isdigit() and parent_of(pid) == os.getpid()}


def parent_of(pid):
    try:
        with open(f"/proc/{pid}/stat") as stream:
            return int(stream.read().rpartition(")")[2].split()[1])
    except OSError:
        return None


def test_here_a_failing_run_is_named_too(tmp_path):
    with pytest.raises(TaskError, match=".*failed on task 'mine': ValueError: on purpose"):
        collect(brief(tmp_path, "raise ValueError('on purpose')"), [trial()], 0)


def test_here_one_thread_is_used_and_the_callers_number_put_back(tmp_path):
    seen = []
    before = torch.get_num_threads()
    LocalPool(0).execute(
        Briefing({"clouds": CLOUDS}, [SGD]),
        [Job((trial(task="clouds"),))],
        lambda *a: seen.append(torch.get_num_threads()) or (),
    )
    assert seen == [1] and torch.get_num_threads() == before


def test_what_lives_only_here_does_not_travel():
    from dataclasses import replace

    assert Briefing({"clouds": CLOUDS}, [SGD]).packed() is not None
    assert Briefing({"clouds": replace(CLOUDS, loss=lambda o, t: o.mean())}, [SGD]).packed() is None
    scripted = type("Mine", (torch.optim.SGD,), {"__module__": "__main__"})
    assert Briefing({}, [Contender("m", "M", scripted, (0.1,))]).packed() is None


def test_another_budget_reaches_the_runs(tmp_path):
    bench = Bench(Briefing({"clouds": CLOUDS}, [SGD], steps=5))
    (record,) = bench.do(Job((trial(task="clouds"),)))
    assert record["updates"] == 5


@pytest.mark.parametrize("workers", [0, 1])
def test_a_task_that_is_another_in_each_process_is_refused(tmp_path, workers):
    briefing = brief(tmp_path)
    with pytest.raises(TaskError, match=r"data, model or loss differ each time.*torch.manual_seed\(0\)"):
        collect(replace(briefing, fingerprints={"mine": "0" * 12}), [trial()], workers)
    task = find(briefing.tasks["mine"])
    same = replace(briefing, fingerprints={"mine": fingerprint(task, task.load())})
    assert set(collect(same, [trial()], workers)) == {0}
