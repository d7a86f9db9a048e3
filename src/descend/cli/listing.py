"""``descend optimizers`` and ``descend tasks``."""

import json
import sys

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

import descend
from descend.tasks import tasks


def print_optimizers(as_json: bool) -> None:
    """All optimizers with their sources, as a table or as JSON."""
    rows = [
        {
            "name": name,
            "source": cls.rule.sources,
            "state": [state.key for state in cls.rule.states.values()],
        }
        for name, cls in descend.optimizers().items()
    ]
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return
    table = Table("optimizer", "source", "state that it may keep", box=SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(row["name"], "; ".join(row["source"]), ", ".join(row["state"]) or "none")
    Console().print(table, "descend show NAME says more.", highlight=False)


def print_tasks(as_json: bool) -> None:
    """All tasks with their cards, as a table or as JSON."""
    rows = [
        {
            "name": task.name,
            "metric": task.score.name,
            "target": task.target,
            "steps": task.steps,
            "batch_size": task.batch_size,
            "card": task.card,
        }
        for task in tasks().values()
    ]
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return
    table = Table("task", "metric", "target", "updates", "batch", "what it is", box=SIMPLE_HEAD, pad_edge=False)
    for task in tasks().values():
        target = "-" if task.target is None else task.score.show(task.target)
        table.add_row(task.name, task.score.name, target, str(task.steps), str(task.batch_size), task.card)
    Console().print(table)
