"""``descend optimizers``."""

import json
import sys

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

import descend


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
        table.add_row(row["name"], " ".join(row["source"]), ", ".join(row["state"]) or "none")
    Console().print(table, "descend show NAME says more.", highlight=False)
