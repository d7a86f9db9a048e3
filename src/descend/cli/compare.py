"""``descend compare``: progress, tables, files, and what happens on Ctrl-C."""

import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from descend.cli.exits import DONE, INTERRUPTED
from descend.cli.progress import show_progress
from descend.compare import Campaign, Comparison, Row, Settings, TaskResult, read_comparison
from descend.compare.protocol import Trial
from descend.compare.records import describe_refusal
from descend.draw import write_report
from descend.draw.results_table import show_bytes, show_seconds

DEFAULT_TASKS = ("digits-mlp", "digits-cnn")

CAPTION = (
    "±: half of the 95 % interval over seeds. Dim: separated from the best. *: at the edge of what "
    "was tried. Time: one run, without evaluations. Step: the optimizer's. Lost: diverged runs."
)

WIDE, LONG_TITLE = 110, 20
"""Columns of a terminal from which on there are more columns in the table; longest title that is not folded."""
WIDE_CAPTION = (
    " Share: of the time, in the optimizer. Area: mean of the validation metric over the run. Range: decades of "
    "learning rates that do nearly as well as the best."
)
PROFILE_CAPTION = "Share of the tasks on which it reached the target within so many times the updates of the fastest."


def run_comparison(
    tasks: Sequence[str], optimizers: Sequence[str] | None, settings: Settings, folder: Path, as_json: bool
) -> int:
    """Compare, print and write everything; returns the exit code.

    Args:
        tasks: names, or ``file.py:object``; both digits tasks where there is none.
        optimizers: names, or None for the usual ones.
        settings: how.
        folder: for records, pictures and the page.
        as_json: print JSON instead of tables.

    Raises:
        DescendError: whatever :func:`descend.compare.compare` raises.
    """
    notes = Console(stderr=True)
    # What a user's own task prints must not end up in the tables or in the JSON.
    with (
        redirect_stdout(sys.stderr),
        Campaign(list(tasks or DEFAULT_TASKS), optimizers, replace(settings, out=folder)) as campaign,
    ):
        interrupted = _train(campaign, notes)
        comparison = campaign.comparison()
        done, total = campaign.done, campaign.total
    if interrupted:
        kept = f"Interrupted: {done} of {total} runs are kept. The same command continues."
        notes.print(f"{kept} Writing the report ...", style="yellow", highlight=False)
    _tell(comparison, folder, as_json, notes)
    return INTERRUPTED if interrupted else DONE


def _train(campaign: Campaign, notes: Console) -> bool:
    """Do the runs under a progress bar; returns whether it was interrupted."""
    start = campaign.done
    kept = f", {start} are done already" if start else ""
    notes.print(f"{campaign.total} runs{kept}.", highlight=False)
    if campaign.left_out:
        notes.print(f"Left out: {', '.join(campaign.left_out)}; sparse gradients are not served.", highlight=False)
    for task, reason in campaign.obstacles.items():
        notes.print(f"On {task} every run trains alone: {reason}.", highlight=False, style="dim")
    with show_progress(notes, "runs", campaign.total, start) as bar:

        def report(done: int, total: int, trial: Trial | None) -> None:
            bar(done, "starting" if trial is None else f"{trial.task}: {trial.contender}")

        try:
            campaign.run(report)
        except KeyboardInterrupt:
            return True
    return False


def rebuild_report(folder: Path, as_json: bool) -> int:
    """Write the report of a folder anew, finished or not, without training; returns the exit code.

    Raises:
        RecordError: the folder holds no comparison, or cannot be read or written.
    """
    _tell(read_comparison(folder), folder, as_json, Console(stderr=True))
    return DONE


def _tell(comparison: Comparison, folder: Path, as_json: bool, notes: Console) -> None:
    """Write everything, print the tables."""
    try:
        pages = write_report(comparison, folder)
    except OSError as error:
        do = "The records are kept: make room, or write elsewhere, and run descend report."
        raise describe_refusal(folder, error, do) from error
    if as_json:
        sys.stdout.write(json.dumps(comparison.to_data(), indent=2, allow_nan=False) + "\n")
    else:
        print_comparison(comparison, Console())
    notes.print(f"Report: {pages[0]}", highlight=False, soft_wrap=True)


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Verdict and table of every task."""
    for result in comparison.results:
        console.print()
        console.print(result.verdict, style="bold", highlight=False)
        console.print(_table(result, console.width >= WIDE))
        for line in result.tell_search():
            console.print(line, highlight=False, soft_wrap=True)
    _print_profiles(comparison, console)


def _print_profiles(comparison: Comparison, console: Console) -> None:
    """Over several tasks with targets: on which share of them each contender keeps up with the fastest."""
    profiles = comparison.profiles()
    if not profiles:
        return
    titles = {entry.name: entry.title for entry in comparison.results[0].contenders}
    table = Table(box=SIMPLE_HEAD, pad_edge=False, caption=PROFILE_CAPTION, caption_justify="left")
    table.add_column("optimizer", no_wrap=True)
    for ratio in profiles[0].ratios:
        table.add_column(f"{ratio:g}x", justify="right")
    for profile in sorted(profiles, key=lambda p: p.shares, reverse=True):
        table.add_row(titles[profile.name], *(f"{100 * share:.0f} %" for share in profile.shares))
    console.print(table)


def _table(result: TaskResult, wide: bool) -> Table:
    metric = result.task.score
    table = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        caption=CAPTION + (WIDE_CAPTION if wide else ""),
        caption_justify="left",
    )
    table.add_column("optimizer", no_wrap=all(len(row.title) <= LONG_TITLE for row in result.rows))
    target = () if result.protocol.target is None else ("steps to\ntarget",)
    names = (f"test\n{metric.name}", "lr", *target, "time", "step", "state", "lost")
    for name in (*names, *(("share", "area", "range") if wide else ())):
        table.add_column(name, justify="right", no_wrap=True, vertical="bottom")
    for row in result.rows:
        cells = _cells(result, row) + (_wide_cells(result, row) if wide else [])
        table.add_row(*cells, style="dim" if row.gap is not None and row.gap.separated else "")
    return table


def _wide_cells(result: TaskResult, row: Row) -> list[str]:
    return [
        "-" if row.optimizer_share is None else f"{100 * row.optimizer_share:.0f} %",
        "-" if row.area is None else result.task.score.show(row.area.mean),
        "-" if row.tolerance is None else row.tolerance.show(),
    ]


def _cells(result: TaskResult, row: Row) -> list[str]:
    metric, score = result.task.score, row.score
    value = "-" if score is None else metric.show(score.mean)
    if score is not None and score.count > 1:
        value = metric.show_spread(score.mean, score.half_width)
    reached = "" if row.reached == row.final else f" ({row.reached}/{row.final})"
    steps = "-" if row.steps_to_target is None else f"{row.steps_to_target:g}"
    return [
        row.title,
        value,
        "-" if row.lr is None else f"{row.lr:g}{'*' if row.at_edge else ''}",
        *([] if result.protocol.target is None else [steps + reached]),
        "-" if row.seconds is None else show_seconds(row.seconds),
        "-" if row.microseconds_per_step is None else f"{row.microseconds_per_step:.0f} µs",
        "-" if row.state_bytes is None else show_bytes(row.state_bytes),
        f"{row.diverged_search + row.diverged_final}/{row.searched + row.final}",
    ]
