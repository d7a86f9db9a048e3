import json
import signal

import pytest
from typer.testing import CliRunner

from compare.workloads import FILE
from descend.cli.app import app
from descend.cli.tuning import parse_range, parse_tuned
from descend.compare import tuning
from descend.errors import OptionError


@pytest.fixture
def task(tmp_path):
    (tmp_path / "mine.py").write_text(FILE.format(extra="pass"))
    return f"{tmp_path / 'mine.py'}:mine"


def run(task, tmp_path, *arguments):
    storage = f"sqlite:///{tmp_path / 'tune.db'}"
    command = ["tune", task, "-o", "adam", "--trials", "3", "--storage", storage, *arguments]
    return CliRunner().invoke(app, command, catch_exceptions=False)


def test_settings_to_paste_are_on_standard_output(task, tmp_path):
    done = run(task, tmp_path, "--range", "weight_decay=1e-4..1e-1")
    assert done.exit_code == 0 and done.stdout.startswith("descend.Adam(model.parameters(), lr=")
    assert "weight_decay=" in done.stdout and "3 trials" in done.stdout and "descend compare" in done.stderr


def test_json_alone_is_on_standard_output(task, tmp_path):
    data = json.loads(run(task, tmp_path, "--json").stdout)
    assert data["trials"] == 3 and data["task"] == "mine" and set(data["values"]) == {"lr"}
    assert json.loads(run(task, tmp_path, "--json").stdout) == data, "a second time nothing is trained"


def test_interrupted_it_keeps_its_trials_and_says_so(task, tmp_path, monkeypatch):
    train, calls = tuning.train, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGTERM)
        return train(*arguments)

    monkeypatch.setattr(tuning, "train", interrupted)
    done = run(task, tmp_path)
    assert done.exit_code == 130 and "2 of 3 trials are kept" in done.stderr.replace("\n", " ")
    assert run(task, tmp_path).exit_code == 0 and len(calls) == 4


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("lr=1e-4..1", ("lr", (1e-4, 1))),
        ("batch_size=16..128", ("batch_size", (16, 128))),
        ("schedule=constant,cosine", ("schedule", ["constant", "cosine"])),
    ],
)
def test_ranges_and_choices_are_read(text, found):
    assert parse_range(text) == found


@pytest.mark.parametrize("text", ["lr", "lr=1..", "lr=a..b", "lr=1..2..3", "=1,2"])
def test_what_is_no_range_is_refused(text):
    with pytest.raises(OptionError, match="--range: got .*; allowed: NAME=LOW..HIGH or NAME=CHOICE,CHOICE"):
        parse_range(text)


def test_what_to_tune_is_names_or_ranges():
    found = parse_tuned(["weight_decay, betas", "eps=1e-10..1e-4", "momentum=0.8,0.9", "nus=(0.7, 1.0),(0.8, 1.0)"])
    assert found == {"weight_decay": None, "betas": None, "eps": (1e-10, 1e-4), "momentum": [0.8, 0.9],
                     "nus": [(0.7, 1.0), (0.8, 1.0)]}  # fmt: skip
    with pytest.raises(OptionError, match="--tune: got 'eps=low..high'"):
        parse_tuned(["eps=low..high"])
