"""The progress bar of long commands, and how they end early."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from typer.core import TyperGroup

from descend.cli.exits import INTERRUPTED

Advance = Callable[[int, str], None]
"""Takes how many are done, and what is going on."""


@contextmanager
def show_progress(notes: Console, unit: str, total: int, done: int = 0) -> Iterator[Advance]:
    """A bar with the time gone and the time left.

    Args:
        notes: where it is drawn.
        unit: what is counted.
        total: how many there are.
        done: how many are done from the start.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(f"{unit},"),
        TimeElapsedColumn(),
        TextColumn("gone,"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=notes, transient=True, speed_estimate_period=20) as bar:
        line = bar.add_task("starting", total=total, completed=done)
        yield lambda count, words: bar.update(line, completed=count, description=f"{words:<26}")


class Interruptible(TyperGroup):
    """Commands that say so when Ctrl-C or SIGTERM ends them before they can say more themselves."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            with terminable():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            sys.stderr.write("Interrupted. Finished runs are kept; the same command continues.\n")
            sys.exit(INTERRUPTED)


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end a command as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
