import pytest

from descend.optim.names import align


@pytest.mark.parametrize(
    "own,saved",
    [
        (["a.w", "b"], ["module.a.w", "module.b"]),
        (["_orig_mod.module.a.w"], ["module.a.w"]),
        (["model.module.w"], ["module.model.w"]),
    ],
)
def test_wrappers_are_left_out(own, saved):
    ours, theirs = align(own, saved)
    assert ours.keys() == theirs.keys()
    assert sorted(ours.values()) == sorted(own) and sorted(theirs.values()) == sorted(saved)


def test_names_that_are_alike_stay_whole():
    names = ["module.w", "w"]
    assert align(names, names) == ({n: n for n in names}, {n: n for n in names})


def test_a_side_on_which_two_names_would_become_one_stays_whole():
    ours, _ = align(["module.w", "w"], ["module.w"])
    assert ours == {"module.w": "module.w", "w": "w"}


def test_a_parameter_that_is_called_as_a_wrapper_keeps_its_name():
    assert align(["a.module"], ["module.a.module"])[0] == {"a.module": "a.module"}
