import json
from dataclasses import replace

import pytest
import torch

import descend.compare
from compare.workloads import CLOUDS
from descend.compare import Campaign, Settings, compare
from descend.errors import OptionError, RecordError, TaskError

FEW = {"optimizers": ["sgd", "adam"], "seeds": 2, "search_seeds": 1, "trials": 2, "workers": 0}


def numbers(comparison):
    data = comparison.to_data()
    for result in data["results"]:
        for row in result["rows"]:
            for key in ("seconds", "seconds_to_target", "optimizer_share", "microseconds_per_step"):
                del row[key]
    return data


def lines(folder):
    return (folder / "clouds" / "runs.jsonl").read_text().splitlines()


def test_every_contender_gets_the_same_trials_and_the_test_part_is_for_final_runs():
    result = compare(CLOUDS, **FEW)["clouds"]
    for name in ("sgd", "adam"):
        search, final = result.runs(name, "search"), result.runs(name, "final")
        assert sorted((r["seed"]) for r in search) == [0, 0] and len({r["lr"] for r in search}) == 2
        assert [r["seed"] for r in final] == [1000, 1001]
        assert all(r["test_metric"] is None for r in search) and all(r["test_metric"] is not None for r in final)


def test_the_same_command_twice_gives_the_same_numbers_also_in_other_folders(tmp_path):
    first = numbers(compare(CLOUDS, **FEW, out=tmp_path / "a"))
    assert numbers(compare(CLOUDS, **FEW, out=tmp_path / "b")) == first == numbers(compare(CLOUDS, **FEW))


class Stop(Exception):
    pass


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("after", [1, 3, 5, 7])
def test_stopped_anywhere_it_continues_and_repeats_nothing(tmp_path, after, together):
    def stop(done, total, trial):
        if done == after:
            raise Stop

    with pytest.raises(Stop):
        compare(CLOUDS, **FEW, out=tmp_path, progress=stop, together=together)
    kept = lines(tmp_path)
    assert len(kept) in ((after, after + 1) if together else (after,)), "two replicas are kept at once"
    whole = compare(CLOUDS, **FEW, out=tmp_path, together=together)
    assert lines(tmp_path)[: len(kept)] == kept and len(lines(tmp_path)) == 8
    assert numbers(whole) == numbers(compare(CLOUDS, **FEW, together=together))


DRAWN = {"optimizers": ["sgd", "adam"], "seeds": 2, "search_seeds": 2, "search": "tpe", "trials": 12}
LONG = replace(CLOUDS, steps=30, evaluate_every=3)


@pytest.mark.parametrize("together", [False, True])
def test_a_sampled_search_is_the_same_with_any_number_of_workers_and_prunes(together):
    plan = {**DRAWN, "together": together, "tune": ["weight_decay"] if together else ()}
    alone = compare(LONG, **plan, workers=0)
    assert numbers(compare(LONG, **plan, workers=3)) == numbers(alone) and alone.complete
    result = alone["clouds"]
    for name in ("sgd", "adam"):
        search, final = result.runs(name, "search"), result.runs(name, "final")
        assert [(r["trial"], r["seed"]) for r in search] == [(t, s) for t in range(12) for s in (0, 1)]
        assert all(r["test_metric"] is None for r in search) and all(r["test_metric"] is not None for r in final)
        row = next(row for row in result.rows if row.name == name)
        gone = {r["trial"] for r in search if r["pruned"]}
        assert row.pruned == len(gone) and min(gone, default=5) >= 5, "the first round has no rivals"
        assert all((r["updates"] < 30) == (r["pruned"] or r["diverged"]) for r in search)
        assert {r["trial"] for r in final} == {next(r["trial"] for r in search if r["settings"] == row.settings)}
        assert {r["trial"] for r in final}.isdisjoint(gone) and not any(r["pruned"] for r in final)
        assert {(r["lr"], r["settings"]) for r in final} == {(row.lr, row.settings)}
    assert any(row.pruned for row in result.rows)
    assert not any(r["pruned"] for r in compare(LONG, **plan, pruning=False, workers=0)["clouds"].records)


@pytest.mark.parametrize("after", [3, 11, 15, 18, 27])
def test_a_sampled_search_goes_on_where_it_stopped(tmp_path, after):
    plan = {**DRAWN, "trials": 7, "workers": 0, "together": False, "tune": {"momentum": [0.5, 0.9], "betas": None}}

    def stop(done, total, trial):
        if done == after:
            raise Stop

    with pytest.raises(Stop):
        compare(CLOUDS, **plan, out=tmp_path, progress=stop)
    kept = lines(tmp_path)
    again = compare(CLOUDS, **plan, out=tmp_path)
    assert lines(tmp_path)[:after] == kept and len(lines(tmp_path)) == 2 * (7 * 2 + 2)
    assert numbers(again) == numbers(compare(CLOUDS, **plan)) == numbers(descend.compare.read_comparison(tmp_path))


@pytest.mark.parametrize(
    "change", [{"search": "random"}, {"trials": 9}, {"pruning": False}, {"search": "grid", "trials": 7}]
)
def test_another_search_in_the_same_folder_is_refused(tmp_path, change):
    with Campaign(CLOUDS, ["sgd"], Settings(search="tpe", trials=8, out=tmp_path)):
        pass
    with pytest.raises(RecordError, match="another protocol"):
        Campaign(CLOUDS, ["sgd"], Settings(**{"search": "tpe", "trials": 8, "out": tmp_path, **change}))


def test_another_space_in_the_same_folder_does_not_mix(tmp_path):
    plan = {**DRAWN, "optimizers": ["sgd"], "trials": 2, "search_seeds": 1, "workers": 0, "out": tmp_path}
    compare(CLOUDS, **plan)
    compare(CLOUDS, **plan, lrs={"sgd": (0.01, 0.1)})
    found = compare(CLOUDS, **plan, tune=["momentum"])["clouds"]
    assert len(lines(tmp_path)) == 3 * 4 and all("momentum" in r["values"] for r in found.records)
    assert found.contenders[0].space == "lr 0.003 to 3, momentum 0.8 or 0.9 or 0.95 or 0.98 or 0.99"


def test_a_stopped_campaign_shows_what_it_has(tmp_path):
    def stop(done, total, trial):
        if done == 5:
            raise KeyboardInterrupt

    with Campaign(CLOUDS, FEW["optimizers"], Settings(seeds=2, search_seeds=1, trials=2, workers=0)) as campaign:
        with pytest.raises(KeyboardInterrupt):
            campaign.run(stop)
        assert (campaign.done, campaign.total) == (5, 8)
        partial = campaign.comparison()
        assert not partial.complete and "Unfinished" in partial["clouds"].verdict
        campaign.run()
        assert campaign.comparison().complete


def test_more_optimizers_reuse_the_folder_and_the_rest_is_not_shown(tmp_path):
    compare(CLOUDS, **FEW, out=tmp_path)
    count = len(lines(tmp_path))
    both = compare(CLOUDS, **{**FEW, "optimizers": ["adam", "lion"]}, out=tmp_path)
    assert len(lines(tmp_path)) == count + 4
    assert {row.name for row in both["clouds"].rows} == {"adam", "lion"}
    assert numbers(both) == numbers(compare(CLOUDS, **{**FEW, "optimizers": ["adam", "lion"]}))


@pytest.mark.parametrize("change", [{"seeds": 3}, {"search_seeds": 2}, {"trials": 3}, {"steps": 9}])
def test_another_protocol_in_the_same_folder_is_refused(tmp_path, change):
    compare(CLOUDS, **FEW, out=tmp_path)
    with pytest.raises(RecordError, match="another protocol"):
        compare(CLOUDS, **{**FEW, **change}, out=tmp_path)


def test_another_model_in_the_same_folder_is_refused(tmp_path):
    compare(CLOUDS, **FEW, out=tmp_path)
    with pytest.raises(RecordError, match="fingerprint"):
        compare(replace(CLOUDS, model=lambda: torch.nn.Linear(2, 3)), **FEW, out=tmp_path)


def test_results_are_data_and_text():
    found = compare(CLOUDS, **FEW)
    json.dumps(found.to_data(), allow_nan=False)
    assert "SGD" in str(found) and found["clouds"].verdict in str(found)
    assert "<pre>" in found._repr_html_()


def test_one_seed_gives_an_infinite_interval_that_json_can_hold():
    row = compare(CLOUDS, **{**FEW, "seeds": 1}).to_data()["results"][0]["rows"][0]
    assert row["score"]["low"] is None and row["score"]["high"] is None


def test_progress_counts_to_the_end():
    seen = []
    compare(CLOUDS, **FEW, progress=lambda done, total, trial: seen.append((done, total)))
    assert seen == [(i, 8) for i in range(9)]


def test_two_tasks_and_another_budget():
    found = compare([CLOUDS, replace(CLOUDS, name="other")], **FEW, steps=5)
    assert [r.task.name for r in found.results] == ["clouds", "other"]
    assert found["other"].records[0]["updates"] == 5


def test_the_package_can_be_called():
    assert descend.compare(CLOUDS, **FEW).complete


@pytest.mark.parametrize(
    ("tasks", "changes", "error", "words"),
    [
        ([], {}, TaskError, "no tasks"),
        ([CLOUDS, CLOUDS], {}, TaskError, "two tasks share a name"),
        ("cluods", {}, TaskError, "no task 'cluods'"),
        (CLOUDS, {"seeds": 0}, OptionError, "seeds: got 0"),
        (CLOUDS, {"workers": -1}, OptionError, "workers: got -1"),
        (CLOUDS, {"steps": 0}, TaskError, "steps"),
        (5, {}, TaskError, "a task: got 5; allowed: a name such as"),
        ([CLOUDS, None], {}, TaskError, "a task; allowed: a name such as"),
        (CLOUDS, {"optimizers": 5}, OptionError, "optimizers: got 5"),
        (CLOUDS, {"on": None}, OptionError, "on; allowed: 'here', 'ray'"),
        (CLOUDS, {"out": 5}, OptionError, "compare: out: got 5; allowed: a folder, or None"),
        (CLOUDS, {"baseline": ["sgd"]}, OptionError, "compare: baseline: got"),
        (CLOUDS, {"together": "yes"}, OptionError, "compare: together: got 'yes'; allowed: True, False"),
        (CLOUDS, {"search": "tpee"}, OptionError, "search: got 'tpee'.*Did you mean 'tpe'"),
        (CLOUDS, {"tune": ["momentum"]}, OptionError, "a grid has learning rates alone.*--search tpe"),
        (CLOUDS, {"search": "tpe", "trials": 0}, OptionError, "trials: got 0"),
        (CLOUDS, {"search": "tpe", "lrs": {"sgd": [0.1]}}, OptionError, "'sgd' has a single learning rate"),
        (CLOUDS, {"search": "tpe", "pruning": 1}, OptionError, "pruning: got 1"),
        (
            CLOUDS,
            {"vary": {"momentun": [0.9]}},
            OptionError,
            "nothing is named 'momentun' to vary. Did you mean 'momentum'",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_before_the_first_run(tasks, changes, error, words):
    with pytest.raises(error, match=words):
        compare(tasks, **{**FEW, **changes})
