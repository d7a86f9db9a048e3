"""``descend show adam``."""

import json
import sys
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

import descend


def describe(name: str) -> dict[str, Any]:
    """Everything that ``show`` prints, as plain data.

    Raises:
        DescendError: there is no such optimizer; with a "did you mean".
    """
    known = {key.lower(): key for key in descend.optimizers()}
    cls = descend.get(known.get(name.lower(), name))
    rule = cls.rule
    options = [
        {"name": key, "default": _plain(hyper.default), "allowed": hyper.describe_range()}
        for key, hyper in rule.hypers.items()
    ]
    passes = [_plain(vars(one) if hasattr(one, "__dict__") else one) for one in cls.cost()]
    return {
        "name": cls.__name__,
        "about": rule.doc.split("\n\n")[0],
        "formula": rule.text(),
        "source": list(rule.cite),
        "derives_from": list(rule.derives_from),
        "state": {letter: state.key for letter, state in rule.states.items()},
        "options": options,
        "cost": passes,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def print_optimizer(name: str, as_json: bool) -> None:
    """One optimizer, as text or as JSON."""
    facts = describe(name)
    if as_json:
        sys.stdout.write(json.dumps(facts, indent=2) + "\n")
        return
    console = Console()
    console.print(f"[bold]descend.{facts['name']}[/]", highlight=False)
    console.print(escape(facts["about"]), highlight=False)
    console.print()
    for line in facts["formula"].splitlines():
        console.print(f"    {escape(line)}", highlight=False, soft_wrap=True)
    console.print()
    console.print(f"Source: {', '.join(facts['source']) or 'none given'}", highlight=False)
    table = Table("option", "default", "allowed")
    for option in facts["options"]:
        table.add_row(option["name"], repr(option["default"]), escape(option["allowed"]))
    console.print(table)
    for number, cost in enumerate(facts["cost"], start=1):
        console.print(f"Pass {number}: {_words(cost)} per coordinate in float32", highlight=False)


def _words(cost: dict[str, Any]) -> str:
    return ", ".join(
        f"{value:g} {key.replace('_', ' ')}" for key, value in cost.items() if isinstance(value, int | float)
    )
