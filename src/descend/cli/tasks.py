"""``descend tasks``, ``descend tasks get NAME`` and ``descend tasks show NAME``."""

import json
import sys
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from descend.tasks import Task, card, describe, find, get, tasks

WIDE = 120
"""Columns of a terminal from which on the table says in words what the data are."""


def print_tasks(as_json: bool) -> None:
    """All tasks with size, time, target and what is missing, as a table or as JSON."""
    if as_json:
        sys.stdout.write(json.dumps([describe(task) for task in tasks().values()], indent=2) + "\n")
        return
    console = Console()
    wide = console.width >= WIDE
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("task", no_wrap=True)
    for name in ("parameters", "updates", "time", "target", "missing"):
        table.add_column(name, justify="right", no_wrap=True)
    if wide:
        table.add_column("data")
    for task in tasks().values():
        table.add_row(*_cells(task), *([_data(task)] if wide else []))
    console.print(table)
    console.print("descend tasks show NAME says more, descend tasks get NAME fetches data.", highlight=False)


def _cells(task: Task) -> list[str]:
    facts, absent = task.facts, sum(package.megabytes for package in task.missing)
    target = "-" if task.target is None else f"{task.score.name} {task.score.show(task.target)}"
    return [
        task.name,
        "-" if facts is None else f"{facts.parameters:,}",
        f"{task.steps:,}",
        "-" if facts is None else f"{facts.seconds:g} s",
        target,
        f"{absent:.2g} MB" if task.missing else "",
    ]


def _data(task: Task) -> str:
    return "-" if task.facts is None else task.facts.examples


def print_card(name: str, as_json: bool) -> None:
    """One task, as text or as JSON.

    Raises:
        TaskError: there is no such task; with a "did you mean".
    """
    task = find(name)
    if as_json:
        sys.stdout.write(json.dumps(describe(task), indent=2) + "\n")
        return
    console = Console(highlight=False)
    console.print(f"[bold]{task.name}[/]")
    console.print(escape(card(task)))
    if task.missing:
        console.print(f"Missing here: {', '.join(p.name for p in task.missing)}. Run: descend tasks get {task.name}")


def fetch_tasks(names: Sequence[str]) -> None:
    """Fetch the data of these tasks.

    Raises:
        TaskError: there is no such task.
        DataError: something cannot be fetched; says what to do by hand.
    """
    console = Console(stderr=True, highlight=False)
    for task in [find(name) for name in names]:
        for package in task.missing:
            console.print(f"{task.name}: fetching {package.name} {package.version}, {package.megabytes:g} MB")
        folders = get(task)
        where = ", ".join(str(folder) for folder in folders) or "comes with descend or scikit-learn"
        console.print(f"{task.name}: {where}", soft_wrap=True)
