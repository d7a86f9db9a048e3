import logging
from dataclasses import replace

import optuna
import pytest
import torch

from compare.workloads import CLOUDS
from descend.compare.tuning import check_ranges, tune
from descend.errors import MissingExtraError, OptionError, RecordError, TaskError

QUICK = {"trials": 4}


def test_it_finds_settings_that_can_be_pasted_and_never_reads_the_test_part():
    sealed = replace(CLOUDS, data=lambda: tuple(_pairs()))
    found = tune(sealed, "adam", **QUICK, ranges={"weight_decay": (1e-4, 1e-1), "schedule": ["constant", "cosine"]})
    assert found.trials == 4 and set(found.values) == {"lr", "weight_decay", "schedule"}
    assert 1e-4 <= found.values["lr"] <= 0.1
    made = eval(found.settings, {"descend": __import__("descend"), "model": torch.nn.Linear(2, 2)})
    assert made.param_groups[0]["weight_decay"] == found.values["weight_decay"]
    assert found.score == max(t.value for t in found.study.get_trials(states=[optuna.trial.TrialState.COMPLETE]))
    assert found.settings in str(found) and "clouds" in found._repr_html_()


def _pairs():
    """Three pairs of which the last, the test part, cannot be used."""
    loaded = CLOUDS.load()
    yield loaded.train.inputs, loaded.train.targets
    yield loaded.validation.inputs, loaded.validation.targets
    yield torch.full((3, 2), float("nan")), torch.zeros(3).long()


def test_the_same_call_twice_gives_the_same_settings():
    assert tune(CLOUDS, "sgd", **QUICK).values == tune(CLOUDS, "sgd", **QUICK).values


def test_a_stopped_search_goes_on_and_repeats_nothing(tmp_path):
    storage = f"sqlite:///{tmp_path / 'kept' / 'tune.db'}"

    def stop(done, total, best):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(CLOUDS, "adam", trials=5, storage=storage, progress=stop)
    seen = []
    found = tune(CLOUDS, "adam", trials=5, storage=storage, progress=lambda done, total, best: seen.append(done))
    assert seen == [2, 3, 4, 5] and found.trials == 5
    again = tune(CLOUDS, "adam", trials=5, storage=storage)
    assert again.values == found.values and again.trials == 5
    assert tune(CLOUDS, "adam", trials=2, storage=storage, steps=6).trials == 2, "another budget is another study"


def test_a_rate_that_diverges_counts_as_untrained():
    found = tune(replace(CLOUDS, steps=40), "sgd", trials=3, ranges={"lr": (1e29, 1e30)})
    assert found.diverged == 3 and found.score < 0.5


def test_trials_that_are_worse_than_most_are_pruned():
    task = replace(CLOUDS, steps=60, evaluate_every=3)
    fixed = optuna.samplers.GridSampler({"lr": [0.1, 0.11, 0.12, 0.13, 0.14, 1e-7, 2e-7]}, seed=0)
    found = tune(task, "sgd", trials=7, ranges={"lr": (1e-7, 1.0)}, sampler=fixed)
    free = optuna.samplers.GridSampler({"lr": [0.1, 0.11, 0.12, 0.13, 0.14, 1e-7, 2e-7]}, seed=0)
    assert tune(task, "sgd", trials=7, ranges={"lr": (1e-7, 1.0)}, sampler=free, prune=False).pruned == 0
    assert found.trials == 7 and found.values["lr"] > 0.05
    states = [t.state.name for t in found.study.trials if t.params["lr"] < 1e-3 and t.number >= 5]
    assert found.pruned >= len(states) and set(states) <= {"PRUNED"}


@pytest.mark.parametrize(
    ("ranges", "words"),
    [
        ({"lr": [0.1, 0.2]}, "range of lr"),
        ({"lr": (0.0, 0.1)}, "range of lr"),
        ({"momentum": (0.9, 0.5)}, "range of momentum"),
        ({"schedule": "cosine"}, "range of schedule"),
        ({"schedule": []}, "range of schedule"),
        ({"momentum": 0.9}, "range of momentum: got 0.9"),
        ([0.1, 0.2], "ranges: got"),
    ],
)
def test_ranges_that_make_no_sense_are_refused(ranges, words):
    with pytest.raises(OptionError, match=words):
        check_ranges(ranges)


def test_an_option_that_the_optimizer_does_not_have_is_named_once(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("optuna"), "propagate", True)
    with pytest.raises(OptionError, match="momentun"):
        tune(CLOUDS, "sgd", **QUICK, ranges={"momentun": (0.5, 0.9)})
    assert caplog.records == []


def test_a_run_that_fails_is_named():
    calls = []

    def model():
        calls.append(1)
        if len(calls) > 4:
            raise ValueError("on purpose")
        return torch.nn.Linear(2, 3)

    with pytest.raises(TaskError, match="failed on task 'clouds': ValueError: on purpose"):
        tune(replace(CLOUDS, model=model), "sgd", **QUICK)


def test_a_storage_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "tune.db").write_text("no database")
    with pytest.raises(RecordError, match="storage sqlite.*cannot be used"):
        tune(CLOUDS, "sgd", **QUICK, storage=f"sqlite:///{tmp_path / 'tune.db'}")


def test_without_optuna_the_way_out_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'descend\[bench\]'"):
        tune(CLOUDS, "sgd", **QUICK)
