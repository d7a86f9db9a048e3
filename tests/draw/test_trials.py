import itertools
from dataclasses import replace

import pytest

from descend.draw.style import ALONE, NARROW
from descend.draw.trials import draw_trials, map_trials


@pytest.fixture(scope="module")
def trials(comparison):
    return map_trials(comparison["clouds"])


def test_there_is_a_cell_for_every_rate_that_was_tried(trials, comparison):
    result = comparison["clouds"]
    tried = {(row, lr) for row, contender in enumerate(result.contenders) for lr in contender.lrs}
    assert {(cell.row, cell.lr) for cell in trials.cells} == tried
    for cell in trials.cells:
        runs = result.runs(result.contenders[cell.row].name, "search", cell.lr)
        assert cell.place == pytest.approx(1 - sum(r["validation_metric"] for r in runs) / len(runs))
        assert (cell.runs, cell.diverged) == (2, sum(r["diverged"] for r in runs))


def test_one_cell_a_row_is_chosen(trials, comparison):
    rates = {row.title: row.lr for row in comparison["clouds"].rows}
    assert {trials.titles[c.row]: c.lr for c in trials.cells if c.chosen} == rates


def test_the_picture_has_the_cells_and_frames(trials):
    (axes,) = draw_trials(trials).figure.axes
    gids = [patch.get_gid() for patch in axes.patches]
    assert gids.count("series-0-best") == gids.count("series-1-best") == 1
    assert gids.count("series-0-cell") == 3 and axes.get_xlabel() == "learning rate"


def test_the_table_has_a_column_a_rate(trials):
    head, rows = trials.tabulate()
    assert len(head) == 1 + len(trials.columns) == len(rows[0]) and [row[0] for row in rows] == list(trials.titles)


def test_diverged_trials_are_marked_and_told(comparison):
    result = comparison["clouds"]
    lost = replace(result, records=[{**r, "diverged": r["contender"] == "adam"} for r in result.records])
    trials = map_trials(lost)
    (axes,) = draw_trials(trials).figure.axes
    assert [line.get_gid() for line in axes.get_lines()] == ["series-1-lost"] * 3
    assert "2 of 2 runs diverged" in trials.describe(trials.cells[-1])
    assert "(2 of 2 diverged)" in trials.tabulate()[1][1][1 + trials.cells[-1].column]


def test_a_sampled_search_has_a_column_a_trial_and_small_cells_for_the_pruned(sampled):
    result = sampled["clouds"]
    trials = map_trials(result)
    assert list(trials.columns) == [str(i) for i in range(1, 13)] and len(trials.cells) == 24
    gone = {(r["contender"], r["trial"]) for r in result.records if r["pruned"]}
    names = [contender.name for contender in result.contenders]
    assert gone and {(names[cell.row], cell.column) for cell in trials.cells if cell.pruned} == gone
    (axes,) = draw_trials(trials).figure.axes
    widths = [patch.get_width() for patch in axes.patches if patch.get_gid().endswith("-cell")]
    assert sum(width < 0.5 for width in widths) == len(gone) and axes.get_xlabel() == "trial"
    told = trials.describe(next(cell for cell in trials.cells if cell.pruned))
    assert "pruned: the value is the last before" in told and "weight_decay=" in told
    assert sum("(pruned)" in cell for row in trials.tabulate()[1] for cell in row) == len(gone)


def test_names_of_columns_do_not_run_into_one_another(comparison):
    trials = map_trials(comparison["clouds"])
    for form in (ALONE, NARROW):
        figure = draw_trials(replace(trials, columns=[f"0.000{i}" for i in range(13)]), form).figure
        figure.draw_without_rendering()
        boxes = [label.get_window_extent() for label in figure.axes[0].get_xticklabels()]
        assert not any(a.overlaps(b) for a, b in itertools.pairwise(boxes))
