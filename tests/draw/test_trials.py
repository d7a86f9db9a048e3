import pytest

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
    from dataclasses import replace

    result = comparison["clouds"]
    lost = replace(result, records=[{**r, "diverged": r["contender"] == "adam"} for r in result.records])
    trials = map_trials(lost)
    (axes,) = draw_trials(trials).figure.axes
    assert [line.get_gid() for line in axes.get_lines()] == ["series-1-lost"] * 3
    assert "2 of 2 runs diverged" in trials.describe(trials.cells[-1])
    assert "(2 of 2 diverged)" in trials.tabulate()[1][1][1 + trials.cells[-1].column]
