"""``descend tune``: progress, the settings, and what happens on Ctrl-C."""

import ast
import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from descend.cli.exits import DONE, INTERRUPTED
from descend.cli.progress import show_progress
from descend.compare.tuning import tune
from descend.compare.variants import parse_variation
from descend.errors import OptionError, message


@dataclass(frozen=True)
class TuneRequest:
    """What was asked for on the command line."""

    task: str
    optimizer: str
    trials: int
    seeds: int
    steps: int | None
    ranges: Sequence[str]
    storage: str
    prune: bool
    as_json: bool


def parse_tuned(texts: Sequence[str]) -> dict[str, Any]:
    """``weight_decay,betas`` as names that have ranges in the table, None here; with ``=`` as :func:`parse_range` does.

    Raises:
        OptionError: one has neither form.
    """
    found: dict[str, Any] = {}
    for text in texts:
        found |= [parse_range(text, "--tune")] if "=" in text else {name.strip(): None for name in text.split(",")}
    return found


def parse_range(text: str, option: str = "--range") -> tuple[str, Any]:
    """``weight_decay=1e-5..0.1`` as a name and a pair, ``schedule=constant,cosine`` as a name and choices.

    Raises:
        OptionError: it has neither form.
    """
    name, _, values = text.partition("=")
    try:
        if ".." not in values:
            return parse_variation(text, option)
        low, high = (ast.literal_eval(bound.strip()) for bound in values.split(".."))
    except (ValueError, SyntaxError):
        raise OptionError(message(option, got=text, allowed="NAME=LOW..HIGH or NAME=CHOICE,CHOICE")) from None
    return name.strip(), (low, high)


def run_tuning(request: TuneRequest) -> int:
    """Tune and print; returns the exit code.

    Raises:
        DescendError: whatever :func:`descend.compare.tuning.tune` raises.
    """
    notes = Console(stderr=True)
    kept = 0
    with redirect_stdout(sys.stderr), show_progress(notes, "trials", request.trials) as bar:

        def report(done: int, total: int, best: float | None) -> None:
            nonlocal kept
            kept = done
            bar(done, "starting" if best is None else f"best {best:.4g}")

        try:
            found = tune(
                request.task,
                request.optimizer,
                trials=request.trials,
                seeds=request.seeds,
                steps=request.steps,
                ranges=dict(map(parse_range, request.ranges)),
                storage=request.storage,
                prune=request.prune,
                progress=report,
            )
        except KeyboardInterrupt:
            found = None
    if found is None:
        notes.print(f"Interrupted: {kept} of {request.trials} trials are kept. The same command continues.")
        return INTERRUPTED
    if request.as_json:
        sys.stdout.write(json.dumps(found.to_data(), indent=2, allow_nan=False) + "\n")
        return DONE
    console = Console()
    settings, summary = str(found).split("\n", 1)
    console.print(settings, style="bold", highlight=False, soft_wrap=True)
    console.print(summary, highlight=False)
    notes.print("The test part was not read: confirm these settings with descend compare.", highlight=False)
    return DONE
