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
