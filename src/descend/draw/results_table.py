"""The table of results on the page: its columns, and its cells with what they are sorted by."""

from dataclasses import dataclass

from descend.compare import Row, TaskResult
from descend.compare.statistics import Estimate
from descend.tasks import Metric

LAST = 1e300
"""Sorts what is missing after everything else."""


@dataclass(frozen=True)
class Cell:
    """A cell of the results: what is shown, what it is sorted by, a remark in small print."""

    text: str
    order: float | str
    remark: str = ""


def list_columns(result: TaskResult) -> list[tuple[str, str]]:
    """Heads of the columns, each with what it means."""
    target = [("steps to target", "median over seeds; in brackets how many reached it")]
    return [
        ("optimizer", "sort by name"),
        (f"test {result.task.score.name}", "mean over seeds ± half of the 95 % interval (Student's t)"),
        (
            "behind the best",
            "paired difference to the best, its interval after Holm's correction; a draw if not separated",
        ),
        ("learning rate", "chosen on the validation part"),
        *([] if result.protocol.target is None else target),
        ("training time", "seconds of one run, without evaluations"),
        ("optimizer step", "microseconds of one step, and its share of the training time"),
        ("state", "memory that the optimizer keeps beside the parameters"),
        ("diverged", "runs that were given up, search and final runs together"),
    ]


def fill_cells(result: TaskResult, row: Row) -> list[Cell]:
    """The cells of one contender, without its name."""
    metric = result.task.score
    score, gap = row.score, row.gap
    sign = -1.0 if metric.higher_is_better else 1.0
    if score is None:
        accuracy = Cell("–", LAST)
    else:
        accuracy = Cell(metric.show(score.mean), sign * score.mean, show_half(metric, score))
    if gap is None:
        behind = Cell("–", -LAST if row is result.rows[0] else LAST)
    else:
        bounds = f"{metric.show_gap(gap.interval.low)} to {metric.show_gap(gap.interval.high)}"
        mark = "" if gap.separated else " (a draw)"
        behind = Cell(metric.show_gap(gap.interval.mean) + mark, gap.interval.mean, bounds)
    runs, lost = row.searched + row.final, row.diverged_search + row.diverged_final
    reached = f"{row.reached} of {row.final}" if row.final else ""
    share = "" if row.optimizer_share is None else f"{100 * row.optimizer_share:.0f} % of the time"
    edge = f"at the edge of its {'grid' if result.protocol.search == 'grid' else 'range'}" if row.at_edge else ""
    pruned = f"{row.pruned} of {result.protocol.trials} trials pruned" if row.pruned else ""
    return [
        accuracy,
        behind,
        _number(row.lr, "g", remark=edge),
        *([] if result.protocol.target is None else [_number(row.steps_to_target, "g", remark=reached)]),
        Cell("–", LAST) if row.seconds is None else Cell(show_seconds(row.seconds), row.seconds),
        _number(row.microseconds_per_step, ".0f", " µs", remark=share),
        Cell("–", LAST) if row.state_bytes is None else Cell(show_bytes(row.state_bytes), row.state_bytes),
        Cell(f"{lost} of {runs}", lost, pruned),
    ]


def show_half(metric: Metric, score: Estimate) -> str:
    """Half of the interval for the small print."""
    if score.count == 1:
        return "one seed"
    return "± " + metric.show_spread(score.mean, score.half_width).partition(" ± ")[2]


def _number(value: float | None, form: str, unit: str = "", remark: str = "") -> Cell:
    return Cell("–", LAST, remark) if value is None else Cell(f"{value:{form}}{unit}", value, remark)


def show_seconds(seconds: float) -> str:
    """A duration as people say it: ``1.52 s``, ``31 ms``, ``6.8 ms``."""
    milliseconds = 1000 * seconds
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{milliseconds:.{0 if milliseconds >= 10 else 1}f} ms"


def show_bytes(count: int) -> str:
    """A number of bytes as people say it: ``70.1 kB``."""
    size, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
