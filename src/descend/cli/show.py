"""``descend show adam``."""

import inspect
import json
import re
import sys
from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import descend


def describe(name: str) -> dict[str, Any]:
    """Everything that ``show`` prints, as plain data.

    Raises:
        DescendError: there is no such optimizer; with a "did you mean".
    """
    cls = descend.get(name)
    rule = cls.rule
    meanings = read_meanings(rule.doc)
    options = [
        {
            "name": key,
            "default": hyper.default,
            "allowed": hyper.describe_range(),
            "meaning": meanings.get(key, ""),
        }
        for key, hyper in rule.hypers.items()
    ]
    shared = [
        {"name": key, "default": parameter.default}
        for key, parameter in inspect.signature(cls).parameters.items()
        if key != "params" and key not in rule.hypers
    ]
    return {
        "name": cls.__name__,
        "about": rule.doc.split("\n\n")[0],
        "formula": rule.text(),
        "sources": rule.sources,
        "derives_from": list(rule.derives_from),
        "state": {letter: state.key for letter, state in rule.states.items()},
        "options": options,
        "shared_options": shared,
        "cost": [asdict(one) for one in cls.cost()],
    }


def read_meanings(doc: str) -> dict[str, str]:
    """What the ``Args:`` part of a docstring says about each name."""
    _, _, arguments = doc.partition("Args:\n")
    found: dict[str, str] = {}
    name = ""
    for line in arguments.splitlines():
        entry = re.match(r" {4}(\w+): (.*)", line)
        if entry:
            name = entry[1]
            found[name] = entry[2]
        elif name and line.startswith(" " * 8):
            found[name] += " " + line.strip()
        elif line.strip():
            break
    return found


def print_optimizer(name: str, as_json: bool) -> None:
    """One optimizer, as text or as JSON."""
    facts = describe(name)
    if as_json:
        sys.stdout.write(json.dumps(facts, indent=2) + "\n")
        return
    console = Console(highlight=False)
    console.print(f"[bold]descend.{facts['name']}[/]  {escape(facts['about'])}\n")
    for line in facts["formula"].splitlines():
        console.print(f"    {escape(line)}", soft_wrap=True)
    console.print()
    for source in facts["sources"]:
        console.print(f"Source: {escape(source)}")
    if facts["derives_from"]:
        console.print(f"Grew out of: {', '.join(facts['derives_from'])}")
    console.print(_options(facts))
    shared = ", ".join(f"{one['name']}={one['default']!r}" for one in facts["shared_options"])
    console.print(f"On every optimizer: {escape(shared)}\n")
    for number, one in enumerate(facts["cost"], start=1):
        console.print(
            f"Pass {number} over memory: {one['bytes_read']} bytes read, {one['bytes_written']} bytes written, "
            f"{one['operations']} operations a coordinate in float32"
        )


def _options(facts: dict[str, Any]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("option", "default", "allowed", "meaning"):
        table.add_column(column)
    for one in facts["options"]:
        table.add_row(one["name"], repr(one["default"]), escape(one["allowed"]), escape(one["meaning"]))
    return table
