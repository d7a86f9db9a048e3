"""Comparisons out of folders: what was compared, and its results without training anything."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

from descend.compare.comparison import Comparison, conclude
from descend.compare.contender import Entry
from descend.compare.protocol import READABLE, SCHEMA, Heading, Protocol
from descend.compare.records import (
    ELSEWHERE,
    PROTOCOL,
    RUNS,
    describe_refusal,
    read_protocol,
    read_runs,
    write_atomically,
)
from descend.errors import RecordError, message
from descend.tasks import Metric

PLAN = "comparison.json"


def describe(metric: Metric) -> tuple[str, bool, bool]:
    """What can be written of a metric: its name, whether higher is better, whether it is a percentage."""
    return metric.name, metric.higher_is_better, metric.percent


def save_plan(folder: Path, tasks: Mapping[str, tuple[Heading, Sequence[Entry]]], baseline: str | None) -> None:
    """Write down what the last comparison in a folder compared; the folder may hold runs of others too.

    Raises:
        RecordError: the folder cannot be written.
    """
    plan = {
        "schema": SCHEMA,
        "baseline": baseline,
        "tasks": {
            name: {"card": heading.card, "contenders": [asdict(entry) for entry in entries]}
            for name, (heading, entries) in tasks.items()
        },
    }
    try:
        write_atomically(folder / PLAN, json.dumps(plan, indent=2) + "\n")
    except OSError as error:
        raise describe_refusal(folder, error, ELSEWHERE) from error


def read_comparison(folder: str | Path) -> Comparison:
    """The results of the last comparison in a folder, finished or not, also while it is running.

    Raises:
        RecordError: the folder holds no comparison, one of another layout, or a damaged one.
    """
    if not isinstance(folder, str | PathLike):
        raise RecordError(message("read_comparison(folder)", got=folder, allowed="the path of a folder"))
    folder = Path(folder)
    if not (folder / PLAN).exists():
        do = "Give the folder that descend compare --out wrote to."
        raise RecordError(message(f"{folder} holds no comparison", do=do))
    plan = read_protocol(folder / PLAN)
    if plan.get("schema") not in READABLE:
        do = "Read it with the version of descend that wrote it."
        raise RecordError(message(f"{folder / PLAN} has another layout", got=plan.get("schema"), do=do))
    try:
        return Comparison([_read_task(folder, name, told, plan["baseline"]) for name, told in plan["tasks"].items()])
    except (KeyError, TypeError, AttributeError) as error:
        raise RecordError(message(f"{folder / PLAN} is damaged ({error})", do="Use another folder.")) from error


def _read_task(folder: Path, name: str, told: Mapping[str, Any], baseline: str | None) -> Any:
    protocol = Protocol.from_data(read_protocol(folder / name / PROTOCOL))
    entries = [Entry(**{**e, "lrs": tuple(e["lrs"]), "settings": tuple(e["settings"])}) for e in told["contenders"]]
    records, _ = read_runs(folder / name / RUNS, protocol.digest)
    if protocol.schema != SCHEMA:  # Then the plan alone says what to paste.
        lines = {(e.name, lr): line for e in entries for lr, line in zip(e.lrs, e.settings, strict=True)}
        records = [{**r, "settings": lines.get((r["contender"], r["lr"]), "")} for r in records]
    label, higher, percent = protocol.metric
    heading = Heading(name, Metric(label, _refuse, higher, percent), protocol.target, told["card"])
    return conclude(heading, protocol, entries, records, baseline)


def _refuse(*arguments: object) -> float:
    raise RecordError("A metric that was read from a folder cannot be computed again: only its name was kept.")
