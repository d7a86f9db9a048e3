"""``descend compare``: progress, tables, files, and what happens on Ctrl-C."""

import json
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from descend.cli.exits import DONE, INTERRUPTED
from descend.compare import Campaign, Comparison, Row, TaskResult
from descend.compare.protocol import Trial
from descend.draw import write_report
from descend.draw.page import show_bytes

DEFAULT_TASKS = ("digits-mlp", "digits-cnn")

CAPTION = (
    "±: half of the 95 % interval over seeds. Dim: separated from the best. *: at the edge of the grid that "
    "was tried. Time: one run, without evaluations. Step: the optimizer's. Lost: diverged runs."
)


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line."""

    tasks: Sequence[str] | None
    optimizers: Sequence[str] | None
    seeds: int
    search_seeds: int
    trials: int
    steps: int | None
    out: Path
    workers: int
    as_json: bool


def run_comparison(request: Request) -> int:
    """Compare, print and write everything; returns the exit code.

    Raises:
        DescendError: whatever :func:`descend.compare.compare` raises.
    """
    notes = Console(stderr=True)
    # What a user's own task prints must not end up in the tables or in the JSON.
    with redirect_stdout(sys.stderr), _open(request) as campaign:
        interrupted = _train(campaign, notes)
        comparison = campaign.comparison()
        done, total = campaign.done, campaign.total
    pages = write_report(comparison, request.out)
    if request.as_json:
        sys.stdout.write(json.dumps(comparison.to_data(), indent=2, allow_nan=False) + "\n")
    else:
        print_comparison(comparison, Console())
    notes.print(f"Report: {pages[0]}", highlight=False, soft_wrap=True)
    if interrupted:
        notes.print(f"Interrupted: {done} of {total} runs are kept. The same command continues.", style="yellow")
    return INTERRUPTED if interrupted else DONE


def _open(request: Request) -> Campaign:
    return Campaign(
        list(request.tasks or DEFAULT_TASKS),
        request.optimizers,
        seeds_=request.seeds,
        search_seeds=request.search_seeds,
        trials=request.trials,
        steps=request.steps,
        out=request.out,
        workers=request.workers,
    )


def _train(campaign: Campaign, notes: Console) -> bool:
    """Do the runs under a progress bar; returns whether it was interrupted."""
    start = campaign.done
    kept = f", {start} are done already" if start else ""
    notes.print(f"{campaign.total} runs{kept}.", highlight=False)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("runs,"),
        TimeElapsedColumn(),
        TextColumn("gone,"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with _terminable(), Progress(*columns, console=notes, transient=True, speed_estimate_period=20) as bar:
        line = bar.add_task("starting", total=campaign.total, completed=start)

        def report(done: int, total: int, trial: Trial | None) -> None:
            words = "starting" if trial is None else f"{trial.task}: {trial.contender}"
            bar.update(line, completed=done, total=total, description=f"{words:<26}")

        try:
            campaign.run(report)
        except KeyboardInterrupt:
            return True
    return False


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end the runs as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Verdict and table of every task."""
    for result in comparison.results:
        console.print()
        console.print(result.verdict, style="bold", highlight=False)
        console.print(_table(result))


def _table(result: TaskResult) -> Table:
    metric = result.task.score
    table = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        caption=CAPTION,
        caption_justify="left",
    )
    table.add_column("optimizer", no_wrap=True)
    for name in (f"test\n{metric.name}", "lr", "steps to\ntarget", "time", "step", "state", "lost"):
        table.add_column(name, justify="right", no_wrap=True, vertical="bottom")
    for place, row in enumerate(result.rows):
        tied = place == 0 or (row.gap is not None and not row.gap.separated)
        table.add_row(*_cells(result, row), style="" if tied else "dim")
    return table


def _cells(result: TaskResult, row: Row) -> list[str]:
    metric, score = result.task.score, row.score
    value = "-" if score is None else metric.show(score.mean)
    if score is not None and score.count > 1:
        value = metric.show_spread(score.mean, score.half_width)
    reached = "" if row.reached == row.final else f" ({row.reached}/{row.final})"
    return [
        row.title,
        value,
        "-" if row.lr is None else f"{row.lr:g}{'*' if row.at_edge else ''}",
        "-" + reached if row.steps_to_target is None else f"{row.steps_to_target:g}{reached}",
        "-" if row.seconds is None else f"{row.seconds:.2f} s",
        "-" if row.microseconds_per_step is None else f"{row.microseconds_per_step:.0f} µs",
        "-" if row.state_bytes is None else show_bytes(row.state_bytes),
        f"{row.diverged_search + row.diverged_final}/{row.searched + row.final}",
    ]
