import json
from pathlib import Path

import pytest

from compare.workloads import CLOUDS
from descend.compare import Campaign, Settings, compare, read_comparison
from descend.errors import RecordError

FEW = {"optimizers": ["sgd", "adam"], "search_seeds": 1, "trials": 2, "workers": 0}


def test_what_is_read_is_what_was_found(tmp_path):
    whole = compare(CLOUDS, **FEW, seeds=5, baseline="sgd", out=tmp_path)
    again = read_comparison(tmp_path)
    assert again.to_data() == whole.to_data() and str(again) == str(whole)
    assert again["clouds"].task.card == CLOUDS.card and again["clouds"].runs("adam", "final")


def test_a_running_comparison_can_be_read(tmp_path):
    def stop(done, total, trial):
        if done == 5:
            raise KeyboardInterrupt

    with Campaign(
        CLOUDS, FEW["optimizers"], Settings(seeds=5, search_seeds=1, trials=2, workers=0, out=tmp_path)
    ) as campaign:
        with pytest.raises(KeyboardInterrupt):
            campaign.run(stop)
        assert read_comparison(tmp_path).to_data() == campaign.comparison().to_data()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda plan: None, "holds no comparison"),
        (lambda plan: "{", "is damaged"),
        (lambda plan: json.dumps({**plan, "schema": 1}), "has another layout: got 1"),
        (lambda plan: json.dumps({"schema": plan["schema"]}), "is damaged"),
        (lambda plan: json.dumps({**plan, "tasks": {"gone": plan["tasks"]["clouds"]}}), "is damaged or missing"),
    ],
)
def test_a_folder_that_holds_no_sound_comparison_is_named(tmp_path, damage, words):
    compare(CLOUDS, **FEW, seeds=1, out=tmp_path)
    path = tmp_path / "comparison.json"
    text = damage(json.loads(path.read_text()))
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(RecordError, match=words):
        read_comparison(tmp_path)


@pytest.mark.parametrize("folder", [5, None, ["results"]])
def test_a_folder_is_a_path(folder):
    with pytest.raises(RecordError, match=r"read_comparison\(folder\).*the path of a folder"):
        read_comparison(folder)


def test_results_of_schema_2_are_shown_with_their_settings():
    found = read_comparison(Path(__file__).parents[2] / "docs" / "results" / "digits")
    assert {result.protocol.schema for result in found.results} == {2} and found.complete
    rows = {row.name: row for row in found["digits-mlp"].rows}
    assert rows["adam"].settings == f"descend.Adam(model.parameters(), lr={rows['adam'].lr:g})"
    assert {record["environment"] for record in found["digits-mlp"].records} == {None}
