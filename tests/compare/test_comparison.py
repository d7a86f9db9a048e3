from dataclasses import replace

import pytest

from compare.workloads import CLOUDS
from descend.compare import compare
from descend.errors import TaskError

FEW = {"optimizers": ["sgd", "adam"], "seeds": 1, "search_seeds": 1, "trials": 2, "workers": 0}


def test_profiles_need_two_tasks_with_targets():
    assert compare(CLOUDS, **FEW).profiles() == []
    other = replace(CLOUDS, name="other", target=0.9)
    two = compare([CLOUDS, other], **FEW)
    assert [profile.name for profile in two.profiles()] == ["sgd", "adam"]
    assert all(max(p.shares[0] for p in two.profiles()) > 0 for _ in two.results)
    assert compare([CLOUDS, replace(CLOUDS, name="other", target=None)], **FEW).profiles() == []
    assert len(two.to_data()["profiles"]) == 2
    with pytest.raises(TaskError, match="no task 'othr'. Did you mean 'other'"):
        two["othr"]


def test_without_a_target_no_table_has_a_column_for_it():
    assert "steps to target" in repr(compare(CLOUDS, **FEW))
    assert "target" not in repr(compare(replace(CLOUDS, target=None), **FEW))


def test_a_sampled_search_tells_what_was_chosen_and_pruned():
    found = compare(CLOUDS, ["adam"], search="tpe", trials=3, tune=["weight_decay"], seeds=1, search_seeds=1, workers=0)
    (result,) = found.results
    assert result.tell_search() == [f"Adam: {result.rows[0].settings}"] and "weight_decay=" in repr(found)
    pruned = replace(result, rows=[replace(result.rows[0], pruned=2)])
    assert pruned.tell_search()[0].endswith(" (2 of 3 trials pruned)")
    assert compare(CLOUDS, **FEW).results[0].tell_search() == []


def test_a_notebook_shows_the_figure_once_the_drawing_package_is_there():
    import descend
    from descend.compare import comparison

    found = compare(CLOUDS, **FEW)
    assert "<pre>" in found._repr_html_()
    before = comparison.add_picture
    try:
        descend.__getattr__("compare")
        assert "<svg" in found._repr_html_() and found["clouds"].verdict in found._repr_html_()
    finally:
        comparison.add_picture = before
