import pytest

from compare.workloads import CLOUDS, protocol, record
from descend.compare.contender import Contender
from descend.compare.protocol import FINAL_SEED, choose, key_of, missing, plan_final, plan_search, seeds
from descend.errors import OptionError

ADAM = Contender("adam", "Adam", "Adam", (0.1, 0.3)).enter(steps=12)


def runs(table):
    """Two records a learning rate: {lr: ((metric, loss), (metric, loss))}."""
    return [record(lr=lr, seed=s, metric=m, loss=x) for lr, pair in table.items() for s, (m, x) in enumerate(pair)]


def test_search_tries_every_rate_with_every_seed_and_final_uses_fresh_seeds():
    plan = plan_search(protocol(), ADAM)
    assert {(t.lr, t.seed) for t in plan} == {(0.1, 0), (0.1, 1), (0.3, 0), (0.3, 1)}
    final = plan_final(protocol(), ADAM, record(lr=0.3))
    assert {t.lr for t in final} == {0.3}
    assert not {t.seed for t in plan} & {t.seed for t in final}


def test_the_best_mean_metric_wins_not_the_best_single_run():
    assert choose(CLOUDS.score, runs({0.1: ((0.9, 1), (0.9, 1)), 0.3: ((1.0, 1), (0.7, 1))}))["lr"] == 0.1


def test_ties_go_to_the_lower_loss_then_to_the_smaller_rate():
    assert choose(CLOUDS.score, runs({0.1: ((0.9, 0.5), (0.9, 0.5)), 0.3: ((0.9, 0.4), (0.9, 0.4))}))["lr"] == 0.3
    assert choose(CLOUDS.score, runs({0.3: ((0.9, 0.5), (0.9, 0.5)), 0.1: ((0.9, 0.5), (0.9, 0.5))}))["lr"] == 0.1


def test_where_lower_is_better_the_lowest_is_chosen():
    from dataclasses import replace

    assert (
        choose(replace(CLOUDS, metric=None).score, runs({0.1: ((0.9, 1), (0.9, 1)), 0.3: ((0.2, 1), (0.2, 1))}))["lr"]
        == 0.3
    )


def test_a_tie_goes_against_a_rate_that_diverged():
    records = [record(lr=0.1, metric=0.3, loss=0.1, diverged=True), record(lr=0.3, metric=0.3, loss=5.0)]
    assert choose(CLOUDS.score, records)["lr"] == 0.3


def test_a_trial_that_was_pruned_is_not_chosen_and_final_runs_have_all_its_values():
    good, best = ({"trial": n, "values": {"clip": n}} for n in (3, 4))
    records = [record(lr=0.1, metric=0.8, **good), record(lr=0.1, seed=1, metric=0.7, **good),
               record(lr=0.1, metric=0.9, **best), record(lr=0.1, seed=1, metric=0.9, pruned=True, **best)]  # fmt: skip
    chosen = choose(CLOUDS.score, records)
    assert chosen["trial"] == 3
    assert {(t.number, t.values, t.lr) for t in plan_final(protocol(), ADAM, chosen)} == {(3, (("clip", 3),), 0.1)}
    with pytest.raises(OptionError, match="no search run"):
        choose(CLOUDS.score, records[2:])


def test_missing_is_what_no_record_answers():
    plan = plan_search(protocol(), ADAM)
    done = [record(lr=t.lr, seed=t.seed, identity=t.identity) for t in plan[:3]]
    assert missing(plan, done) == plan[3:]
    assert missing(plan, [record(lr=t.lr, seed=t.seed, identity="older formula") for t in plan]) == plan
    assert key_of(done[0]) == plan[0].key


def test_the_digest_changes_with_every_field():
    changed = [
        {"task": "x"}, {"fingerprint": "x"}, {"steps": 1}, {"batch_size": 1}, {"evaluate_every": 1},
        {"target": None}, {"trials": 1}, {"search_seeds": (0,)}, {"final_seeds": (1,)}, {"versions": ("1", "0")},
        {"schema": 1}, {"together": True}, {"search": "tpe"}, {"pruning": True}, {"optuna": "5"},
        {"metric": ("loss", False, False)},
    ]  # fmt: skip
    digests = {protocol(**change).digest for change in changed}
    assert len(digests | {protocol().digest}) == len(changed) + 1


def test_seeds_are_consecutive_and_at_least_one():
    assert seeds(3, FINAL_SEED, "seeds") == (1000, 1001, 1002)
    for wrong in (0, -1, 2.0, True):
        with pytest.raises(OptionError, match="seeds: got"):
            seeds(wrong, 0, "seeds")
