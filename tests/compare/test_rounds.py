import sys

import pytest

from compare.workloads import protocol, record
from descend.compare import Contender
from descend.compare.protocol import Trial
from descend.compare.rounds import GridSearch, Rivals, SampledSearch
from descend.compare.samplers import ROUND
from descend.errors import MissingExtraError
from descend.tasks import Evaluation

ADAM = Contender("adam", "Adam", "Adam", (1e-4, 1e-1), space={"lr": (1e-4, 1e-1), "clip": [None, 1.0]})
SGD = Contender("sgd", "SGD", "SGD", (1e-3, 1.0), space={"lr": (1e-3, 1.0)})


def sampled(**changes):
    return protocol(**{"trials": 12, "search": "tpe", "pruning": True, "optuna": "0", **changes})


def answer(trial, metric=None, **changes):
    """The record of a trial that is the better the nearer its rate is to 0.01."""
    metric = 1 / (1 + abs(trial.lr - 0.01)) if metric is None else metric
    own = {"trial": trial.number, "values": dict(trial.values), "identity": trial.identity, **changes}
    return record(trial.contender, lr=trial.lr, seed=trial.seed, metric=metric, **own)


def play(search, **changes):
    """All records of a search that is done round by round."""
    records = []
    while trials := search.find_open(records)[0]:
        records += [answer(trial, **changes) for trial in trials]
    return records


@pytest.mark.parametrize("name", ["tpe", "random"])
def test_rounds_follow_from_seed_and_records_alone(name):
    rules = sampled(search=name)
    records = play(SampledSearch(ADAM, rules))
    assert [r["trial"] for r in records[::2]] == list(range(12)) and all(1e-4 <= r["lr"] <= 1e-1 for r in records)
    assert len({r["lr"] for r in records}) == 12 and {r["values"]["clip"] for r in records} == {None, 1.0}
    for cut in (0, 3, 10, 17, 23):
        # A stop in the middle of a round, and records that came back in another order.
        kept, again = list(reversed(records[:cut])), SampledSearch(ADAM, rules)
        while trials := again.find_open(kept)[0]:
            kept += [answer(trial) for trial in reversed(trials)]
        assert sorted(kept, key=lambda r: (r["trial"], r["seed"])) == records


def test_a_round_is_open_until_all_its_runs_are_there():
    search = SampledSearch(SGD, sampled())
    first, rivals = search.find_open([])
    assert len(first) == 2 * ROUND and {t.number for t in first} == set(range(ROUND)) and rivals is None
    left, _ = search.find_open([answer(trial) for trial in first[:-1]])
    assert left == first[-1:]
    second, rivals = search.find_open([answer(trial) for trial in first])
    assert {t.number for t in second} == set(range(ROUND, 2 * ROUND)) and rivals is not None
    assert search.find_open([answer(t) for t in first])[0] == second
    assert SampledSearch(SGD, sampled(pruning=False)).find_open([answer(trial) for trial in first])[1] is None


def test_every_contender_starts_at_the_same_places_of_its_range():
    alone = Contender("adam", "Adam", "Adam", (1e-4, 1e-1), space={"lr": (1e-4, 1e-1)})
    adam, sgd = (SampledSearch(c, sampled(search="random")).find_open([])[0] for c in (alone, SGD))
    assert [t.lr for t in sgd] == pytest.approx([10 * t.lr for t in adam], rel=0.01)


def test_tpe_looks_where_it_was_good_and_random_does_not():
    def near(name):
        records = play(
            SampledSearch(SGD, sampled(search=name, trials=30)), steps=[0, 12], validation_metrics=[0.1, 0.2]
        )
        return sum(0.003 < r["lr"] < 0.03 for r in records if r["trial"] >= 10)

    assert near("tpe") > 1.5 * near("random")


def test_tpe_learns_that_pruned_trials_are_bad():
    search = SampledSearch(SGD, sampled(trials=10))
    first = search.find_open([])[0]
    whole = [answer(t, 0.9) for t in first]
    good = max(t.lr for t in first)
    told = [answer(t, 0.9, pruned=t.lr < good, validation_metrics=[0.1, 0.2, 0.2, 0.2]) for t in first]
    other = SampledSearch(SGD, sampled(trials=10)).find_open(told)[0]
    assert [t.lr for t in search.find_open(whole)[0]] != [t.lr for t in other]


def follow(rivals, metrics, seed=0):
    look = rivals.watch()(Trial("clouds", "sgd", "i", 0.1, seed, "search", 7))
    return [look(step, Evaluation(0.5, metric)) for step, metric in metrics]


def test_a_run_must_keep_up_with_the_median_of_its_own_seed():
    curves = tuple(((10, level / 10), (20, level / 10 + 0.1), (30, level / 10 + 0.2)) for level in (1, 2, 3, 4, 5))
    rivals = Rivals(((0, curves), (1, curves[:4])), higher_is_better=True, steps=60)
    assert follow(rivals, [(10, 0.0), (20, 0.39), (30, 0.49)]) == [False, True, True], "not in the first fifth"
    assert follow(rivals, [(10, 0.0), (20, 0.41), (30, 0.51)]) == [False, False, False]
    assert follow(rivals, [(20, 0.0)], seed=1) == [False], "four are too few"
    errors = Rivals(((0, curves),), higher_is_better=False, steps=60)
    assert follow(errors, [(20, 0.41)]) == [True] and follow(errors, [(20, 0.39)]) == [False]


def test_pruned_trials_are_no_rivals():
    search = SampledSearch(SGD, sampled())
    told = [answer(t, pruned=t.number == 0 and t.seed == 1) for t in search.find_open([])[0]]
    rivals = search.find_open(told)[1]
    assert [(seed, len(curves)) for seed, curves in rivals.curves] == [(0, ROUND - 1), (1, ROUND - 1)]
    assert {curve[-1] for curve in rivals.curves[0][1]} == {(12, r["validation_metric"]) for r in told[2::2]}
    assert rivals.curves[0][1][0][:2] == ((4, 0.5), (8, 0.7))


def test_a_grid_is_open_at_once():
    search = GridSearch(Contender("a", "A", "Adam", (0.1, 0.3)), protocol())
    trials, rivals = search.find_open([])
    assert [(t.lr, t.seed, t.number) for t in trials] == [
        (0.1, 0, None),
        (0.1, 1, None),
        (0.3, 0, None),
        (0.3, 1, None),
    ]
    assert rivals is None


def test_without_optuna_the_way_out_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"A sampled search needs optuna.*descend\[bench\]"):
        SampledSearch(SGD, sampled())
