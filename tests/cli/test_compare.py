import json
import os
import signal
import subprocess
import sys
import time

import pytest
from rich.console import Console
from typer.testing import CliRunner

from compare.workloads import FILE
from descend.cli.app import app

PATIENCE = 300
"""Seconds until a test stops waiting; all wait for a condition, so only a failure takes as long."""
WAITING = """
    import time
    while os.path.exists({records!r}) and open({records!r}, "rb").read().count(b"\\n") >= 3:
        if os.path.exists({gate!r}):
            break
        time.sleep(0.02)
"""
"""A model that is not built once three runs are recorded, until a gate opens: the comparison cannot be over before."""
QUICK = ["-o", "adam,sgd", "--seeds", "2", "--search-seeds", "1", "--trials", "2"]


@pytest.fixture
def task(tmp_path):
    (tmp_path / "mine.py").write_text(FILE.format(extra="pass"))
    return f"{tmp_path / 'mine.py'}:mine"


def run(*arguments):
    return CliRunner().invoke(app, ["compare", *arguments], catch_exceptions=False)


def test_a_task_of_ones_own_is_compared_and_reported(task, tmp_path):
    out = tmp_path / "out"
    done = run(task, *QUICK, "--workers", "0", "--out", str(out))
    assert done.exit_code == 0
    assert "On mine," in done.stdout and "Adam" in done.stdout and "SGD" in done.stdout
    assert "8 runs" in done.stderr and "report.html" in done.stderr
    assert len((out / "mine" / "runs.jsonl").read_text().splitlines()) == 8
    assert (out / "report.html").exists() and (out / "mine" / "curves.png").exists()


def test_json_alone_is_on_standard_output(task, tmp_path):
    done = run(task, *QUICK, "--workers", "0", "--out", str(tmp_path / "out"), "--json")
    data = json.loads(done.stdout)
    assert data["complete"] and data["results"][0]["task"] == "mine"


def test_settings_are_sampled_and_named_ranges_too(task, tmp_path):
    sampled = ["--search", "tpe", "--trials", "6", "--tune", "betas,weight_decay", "--tune", "warmup=0,0.1"]
    plan = ["-o", "adam", "--seeds", "2", "--search-seeds", "1", "--workers", "0", "--no-pruning", *sampled]
    done = run(task, *plan, "--out", str(tmp_path / "out"), "--json")
    (row,) = json.loads(done.stdout)["results"][0]["rows"]
    assert row["searched"] == 6 and row["pruned"] == 0 and "betas=" in row["settings"]
    records = [json.loads(line) for line in (tmp_path / "out" / "mine" / "runs.jsonl").read_text().splitlines()]
    assert all(set(r["values"]) == {"betas", "weight_decay", "warmup"} for r in records)
    assert "8 runs, 8 are done already" in run(task, *plan, "--out", str(tmp_path / "out")).stderr


def test_a_second_time_nothing_is_trained(task, tmp_path):
    first = run(task, *QUICK, "--workers", "0", "--out", str(tmp_path / "out"))
    again = run(task, *QUICK, "--workers", "0", "--out", str(tmp_path / "out"))
    assert "8 runs, 8 are done already" in again.stderr
    table = [done.stdout[done.stdout.index("On mine") :] for done in (first, again)]
    assert table[0] == table[1]


def test_interrupted_it_keeps_what_is_done_says_how_to_go_on_and_goes_on(tmp_path):
    out = tmp_path / "out"
    records = out / "mine" / "runs.jsonl"
    waiting = WAITING.format(records=str(records), gate=str(tmp_path / "gate"))
    (tmp_path / "mine.py").write_text(FILE.format(extra=waiting))
    command = [sys.executable, "-m", "descend.cli", "compare", f"{tmp_path / 'mine.py'}:mine", *QUICK, "--seeds", "12",
               "--workers", "2", "--out", str(out)]  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        deadline = time.monotonic() + PATIENCE
        while not (records.exists() and records.read_bytes().count(b"\n") >= 3):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        said, notes = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, notes
    assert "Unfinished on mine" in said and "Interrupted: " in notes and "Traceback" not in notes
    assert "unfinished" in (out / "report.html").read_text()
    kept = records.read_text().splitlines()
    assert 3 <= len(kept) < 28
    assert f"{len(kept)} of 28 runs are kept" in notes
    (tmp_path / "mine.py").write_text(FILE.format(extra="pass"))
    again = run(*command[4:])
    assert again.exit_code == 0 and f"{len(kept)} are done already" in again.stderr
    assert records.read_text().splitlines()[: len(kept)] == kept


def test_the_table_fits_eighty_columns_and_marks_the_edge(task, tmp_path):
    from descend.cli.compare import print_comparison
    from descend.compare import compare
    from descend.tasks import find

    console = Console(width=80, record=True, file=open(os.devnull, "w"))
    with console.file:
        print_comparison(compare(find(task), ["sgd-momentum"], seeds=2, search_seeds=1, trials=2, workers=0), console)
    text = console.export_text()
    row = next(line for line in text.splitlines() if "SGD + momentum " in line and "±" in line)
    assert "*" in row and "±" in row and len(row) <= 80 and "…" not in text


def test_a_sweep_with_a_baseline_and_its_report_without_training(task, tmp_path):
    out = tmp_path / "out"
    done = run(task, "-o", "adam", "--vary", "schedule=constant,cosine", "--baseline", "adam@schedule=constant",
               "--seeds", "5", "--search-seeds", "1", "--trials", "2", "--workers", "0", "--out", str(out))  # fmt: skip
    told = done.stdout.replace("\n", " ")
    assert done.exit_code == 0 and "Against Adam (schedule constant), Adam (schedule cosine) is" in " ".join(
        told.split()
    )
    (out / "report.html").unlink()
    records = (out / "mine" / "runs.jsonl").read_bytes()
    again = CliRunner().invoke(app, ["report", str(out)], catch_exceptions=False)
    assert again.exit_code == 0 and (out / "report.html").exists()
    assert again.stdout == done.stdout and (out / "mine" / "runs.jsonl").read_bytes() == records


def test_a_report_that_cannot_be_written_keeps_the_records(task, tmp_path, monkeypatch):
    import descend.cli.compare as command
    from descend.errors import RecordError

    def full(comparison, folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(command, "write_report", full)
    with pytest.raises(RecordError, match="No space left on device.*descend report"):
        run(task, *QUICK, "--workers", "0", "--out", str(tmp_path / "out"))
    assert len((tmp_path / "out" / "mine" / "runs.jsonl").read_text().splitlines()) == 8


def test_killed_it_leaves_no_worker_and_goes_on(tmp_path):
    out = tmp_path / "out"
    records, gate = out / "mine" / "runs.jsonl", tmp_path / "gate"
    (tmp_path / "mine.py").write_text(FILE.format(extra=WAITING.format(records=str(records), gate=str(gate))))
    command = [sys.executable, "-m", "descend.cli", "compare", f"{tmp_path / 'mine.py'}:mine", *QUICK, "--seeds", "9",
               "--workers", "2", "--out", str(out)]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + PATIENCE
        while not (records.exists() and records.read_bytes().count(b"\n") >= 3):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.02)
        workers = [pid for pid in os.listdir("/proc") if pid.isdigit() and _parent(pid) == process.pid]
        assert workers
        process.kill()
    gate.touch()
    kept = records.read_bytes()
    kept = kept[: kept.rfind(b"\n") + 1]
    while any(os.path.exists(f"/proc/{pid}") for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (tmp_path / "mine.py").write_text(FILE.format(extra="pass"))
    assert run(*command[4:]).exit_code == 0
    assert records.read_bytes().startswith(kept) and records.read_bytes().count(b"\n") == 22


def _parent(pid):
    try:
        with open(f"/proc/{pid}/stat") as stream:
            return int(stream.read().rpartition(")")[2].split()[1])
    except OSError:
        return None


def test_learning_rates_are_those_that_were_asked_for(task, tmp_path):
    out = tmp_path / "out"
    done = run(task, "-o", "adam,sgd", "--lrs", "adam=0.002,0.02", "--lrs", "sgd=0.07,0.3", "--seeds", "1",
               "--search-seeds", "1", "--workers", "0", "--out", str(out))  # fmt: skip
    runs = [json.loads(line) for line in (out / "mine" / "runs.jsonl").read_text().splitlines()]
    tried = {(r["contender"], r["lr"]) for r in runs if r["stage"] == "search"}
    assert done.exit_code == 0
    assert tried == {("adam", 0.002), ("adam", 0.02), ("sgd", 0.07), ("sgd", 0.3)}


def test_only_what_is_separated_from_the_best_is_dim():
    from compare.workloads import CLOUDS
    from descend.cli.compare import print_comparison
    from descend.compare import Campaign, Settings

    settings = Settings(seeds=2, search_seeds=1, trials=2, workers=0)
    with Campaign(CLOUDS, ["adam", "sgd"], settings) as campaign, open(os.devnull, "w") as nowhere:
        console = Console(width=80, record=True, file=nowhere, force_terminal=True)
        print_comparison(campaign.comparison(), console)
    row = next(line for line in console.export_text(styles=True).splitlines() if "SGD" in line)
    assert "\x1b[2m" not in row, "nothing is measured yet"
