"""Saving and loading: matching, refusals, dtypes, copies."""

import copy

import pytest
import torch

import descend
from descend.errors import CheckpointError
from optim.models import assert_equal, copies, parameters, train


def named(params, names="abc"):
    return list(zip(names, params, strict=True))


def test_torchs_layout():
    a = parameters()
    ours, theirs = descend.Adam(named(a)), torch.optim.Adam(named(copies(a)))
    train(ours, a, 2)
    train(theirs, theirs.param_groups[0]["params"], 2)
    mine, other = ours.state_dict(), theirs.state_dict()
    assert set(mine) == set(other) == {"state", "param_groups"}
    assert set(mine["state"]) == set(other["state"]) == {0, 1, 2}
    assert mine["param_groups"][0]["params"] == [0, 1, 2]
    assert mine["param_groups"][0]["param_names"] == ["a", "b", "c"]
    assert set(other["param_groups"][0]) <= set(mine["param_groups"][0])
    for i in range(3):
        for key, value in other["state"][i].items():
            torch.testing.assert_close(mine["state"][i][key], value)


def test_a_state_is_a_copy_unless_asked_otherwise():
    a = parameters()
    ours = descend.Adam(a)
    train(ours, a, 1)
    copied, shared = ours.state_dict(), ours.state_dict(copy=False)
    before = copied["state"][0]["exp_avg"].clone()
    assert shared["state"][0]["exp_avg"] is ours.state[a[0]]["exp_avg"]
    train(ours, a, range(1, 2))
    assert torch.equal(copied["state"][0]["exp_avg"], before)
    assert not torch.equal(shared["state"][0]["exp_avg"], before)
    assert copied["state"][0]["step"] == shared["state"][0]["step"] == 1
    copied["param_groups"][0]["lr"] = 7.0
    assert ours.param_groups[0]["lr"] == 1e-3


def test_loading_copies():
    a, b = parameters(), parameters()
    ours, other = descend.Adam(a), descend.Adam(b)
    train(ours, a, 1)
    saved = ours.state_dict()
    kept = copy.deepcopy(saved)
    other.load_state_dict(saved)
    train(other, b, 2)
    assert torch.equal(saved["state"][0]["exp_avg"], kept["state"][0]["exp_avg"])
    assert saved["param_groups"] == kept["param_groups"]


def test_names_win_over_places():
    a = parameters()
    ours = descend.Adam([{"params": named(a[:2], "ab")}, {"params": named(a[2:], "c"), "lr": 0.5}], lr=0.1)
    train(ours, a, 3)
    b = copies(a)
    swapped = descend.Adam([{"params": named([b[1], b[0]], "ba")}, {"params": named(b[2:], "c")}], lr=0.1)
    swapped.load_state_dict(ours.state_dict())
    for p, q in zip(a, b, strict=True):
        assert torch.equal(ours.state[p]["exp_avg"], swapped.state[q]["exp_avg"])
    train(ours, a, range(3, 5))
    train(swapped, b, range(3, 5))
    assert_equal(a, b, rtol=0)
    assert swapped.param_groups[0]["param_names"] == ["b", "a"]  # stays this model's


@pytest.mark.parametrize("ours,theirs", [("module.", ""), ("", "_orig_mod."), ("_orig_mod.module.", "module.")])
def test_names_without_the_wrappers_of_parallel_and_compiled_models(ours, theirs):
    a, b = parameters(), parameters()
    saved = descend.Adam([(theirs + n, p) for n, p in named(a)])
    train(saved, a, 2)
    other = descend.Adam([(ours + n, p) for n, p in reversed(named(b))])
    other.load_state_dict(saved.state_dict())
    assert torch.equal(other.state[b[0]]["exp_avg"], saved.state[a[0]]["exp_avg"])


def test_a_name_that_only_contains_a_wrappers_word_is_left_alone():
    a, b = parameters()[:2], parameters()[:2]
    saved = descend.Adam(named(a, ["submodule.w", "sub.w"]))
    train(saved, a, 1)
    other = descend.Adam(named(b, ["submodule.w", "sub.w"]))
    other.load_state_dict(saved.state_dict())
    assert torch.equal(other.state[b[0]]["exp_avg"], saved.state[a[0]]["exp_avg"])
    assert torch.equal(other.state[b[1]]["exp_avg"], saved.state[a[1]]["exp_avg"])


def test_a_part_of_the_model_that_is_called_as_a_wrapper_keeps_its_own_states():
    a, b = parameters()[:2], parameters()[:2]
    saved = descend.Adam(named(a, ["module.w", "w"]))
    train(saved, a, 1)
    other = descend.Adam(named(b[::-1], ["w", "module.w"]))
    other.load_state_dict(saved.state_dict())
    assert torch.equal(other.state[b[0]]["exp_avg"], saved.state[a[0]]["exp_avg"])
    assert torch.equal(other.state[b[1]]["exp_avg"], saved.state[a[1]]["exp_avg"])


def test_missing_and_unexpected_names_are_listed():
    a, b = parameters(), parameters()
    saved = descend.Adam(named(a, ["a", "b", "head"]))
    train(saved, a, 1)
    other = descend.Adam(named(b, ["a", "b", "tail"]))
    with pytest.raises(
        CheckpointError,
        match=r"(?s)Adam: the checkpoint does not fit; .*missing     'tail' .*unexpected  'head' .*Rename",
    ):
        other.load_state_dict(saved.state_dict())


def assert_refused(optimizer, state, expected):
    """The load is refused, and the optimizer left as it was."""
    before = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(CheckpointError, match=expected):
        optimizer.load_state_dict(state)
    after = optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]
    assert set(after["state"]) == set(before["state"])
    for i, entry in before["state"].items():
        assert all(torch.equal(after["state"][i][k], v) for k, v in entry.items())


def test_other_shapes_are_refused():
    a = parameters()
    ours = descend.Adam(named(a))
    train(ours, a, 1)
    saved = ours.state_dict()
    saved["state"][1]["exp_avg_sq"] = torch.zeros(7)
    assert_refused(
        ours,
        saved,
        r"(?s)mismatched  'b'  'exp_avg_sq' has shape \(7,\) in the checkpoint, \(4,\) here.*Load into",
    )


def test_other_numbers_of_groups_or_parameters_are_refused():
    a = parameters()
    ours, two = descend.Adam(a), descend.Adam([{"params": a[:1]}, {"params": a[1:]}])
    less = descend.Adam(parameters()[:2])
    assert_refused(ours, two.state_dict(), "Adam: the checkpoint has 2 parameter groups; allowed: 1, as here")
    assert_refused(
        ours, less.state_dict(), "Adam: group 0 of the checkpoint has 2 parameters; allowed: 3, as here.*by name"
    )


@pytest.mark.parametrize("nothing", [None, 3, {}, {"state": {}}, {"model": 1}, [1, 2]], ids=str)
def test_what_is_no_state_is_refused(nothing):
    assert_refused(descend.Adam(parameters()), nothing, "Adam: this is no optimizer's state: it")


@pytest.mark.parametrize(
    "key,value,expected",
    [
        ("exp_avg", "x", "The checkpoint's 'exp_avg' of parameter 0 .*: got 'x'; allowed: a tensor"),
        ("step", None, "The checkpoint's 'step' of parameter 0 .*; allowed: one number"),
        ("step", [1.0, 2.0], "'step' of parameter 0 .*: got .*; allowed: one number"),
    ],
)
def test_states_that_are_no_tensors_are_refused(key, value, expected):
    a = parameters()
    ours = descend.Adam(a)
    train(ours, a, 1)
    saved = ours.state_dict()
    saved["state"][0][key] = value
    assert_refused(ours, saved, expected)


@pytest.mark.parametrize("updates", ["x", float("nan"), -1, 1.5, None, [3]])
def test_a_count_of_updates_that_is_none_is_refused(updates):
    ours = descend.Adam(parameters())
    saved = ours.state_dict()
    saved["param_groups"][0].update(updates=updates, lr=0.5)
    assert_refused(ours, saved, "The checkpoint's 'updates' of group 0.*allowed: a (finite|whole) number")
    assert ours.param_groups[0]["lr"] == 1e-3


@pytest.mark.parametrize(
    "mine,other,expected",
    [
        ("Adam", "SGD", r"\['momentum'|belongs to another method"),
        ("SGD", "Adam", "belongs to another method"),
        ("Adam", "RMSprop", "belongs to another method"),
        ("Lion", "Adam", "belongs to another method"),
        ("Adam", "Lion", r"missing     parameter 0 .*not in the checkpoint: \['exp_avg_sq'\]"),
        ("Adam", "Adamax", r"(?s)another method .*: \['exp_inf'\].*: \['exp_avg_sq'\].*convert_state"),
        ("LAMB", "Adam", "belongs to another method|another method"),
    ],
)
def test_another_methods_checkpoint_is_refused(mine, other, expected):
    a, b = parameters(), parameters()
    ours, theirs = getattr(descend, mine)(a), getattr(descend, other)(b)
    train(ours, a, 1)
    train(theirs, b, 1)
    assert_refused(ours, theirs.state_dict(), expected)
    if hasattr(torch.optim, other):
        theirs = getattr(torch.optim, other)(b)
        train(theirs, b, 1)
        assert_refused(ours, theirs.state_dict(), expected)


def test_a_nonsensical_option_in_a_checkpoint_is_refused():
    a = parameters()
    ours = descend.Adam(a)
    train(ours, a, 1)
    saved = ours.state_dict()
    saved["param_groups"][0]["betas"] = (0.9, 2.0)
    before = ours.param_groups[0]["betas"]
    with pytest.raises(ValueError, match=r"Adam, group 0 of the checkpoint: betas: got \(0.9, 2.0\)"):
        ours.load_state_dict(saved)
    assert ours.param_groups[0]["betas"] == before


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("library", [torch.optim, descend])
def test_low_precision_parameters_keep_float32_states(dtype, library):
    a = parameters(dtype=dtype)
    saved = library.Adam(a, lr=0.1)
    train(saved, a, 2)
    b = copies(a)
    ours = descend.Adam(b, lr=0.1)
    ours.load_state_dict(saved.state_dict())
    for p, q in zip(a, b, strict=True):
        assert ours.state[q]["exp_avg"].dtype == torch.float32
        assert torch.equal(ours.state[q]["exp_avg"], saved.state[p]["exp_avg"].float())
    train(ours, b, range(2, 3))


def test_widening_is_silent_and_narrowing_is_not():
    a = parameters()
    wide = descend.Adam(named(a))
    train(wide, a, 1)
    b = parameters(dtype=torch.float32)
    narrow = descend.Adam(named(b))
    with pytest.warns(
        RuntimeWarning, match=r"Adam: states were narrowed.*exp_avg of .*a.* from torch.float64 to torch.float3"
    ):
        narrow.load_state_dict(wide.state_dict())
    assert narrow.state[b[0]]["exp_avg"].dtype == torch.float32
    wide.load_state_dict(narrow.state_dict())  # any warning is an error
    assert wide.state[a[0]]["exp_avg"].dtype == torch.float64


@pytest.mark.parametrize("step", [3, 3.0, torch.tensor(3), torch.tensor(3.0, dtype=torch.float64)], ids=repr)
def test_old_checkpoints_count_steps_in_ints(step):
    a = parameters()
    b = copies(a)
    theirs, ours = torch.optim.Adam(a, lr=0.1), descend.Adam(b, lr=0.1)
    train(theirs, a, 3)
    train(ours, b, 3)
    saved = copy.deepcopy(theirs.state_dict())
    for entry in saved["state"].values():
        entry["step"] = step
    fresh = descend.Adam(b, lr=0.1)
    fresh.load_state_dict(saved)
    assert fresh.state[b[0]]["step"] == 3 and fresh.state[b[0]]["step"].dtype == torch.float32
    train(theirs, a, range(3, 5))
    train(fresh, b, range(3, 5))
    assert_equal(a, b)


def test_a_checkpoint_without_states_starts_anew():
    a = parameters()
    ours = descend.Adam(a, lr=0.1)
    empty = ours.state_dict()
    assert empty["state"] == {}
    train(ours, a, 3)
    b = copies(a)
    ours.load_state_dict(empty)
    assert not ours.state
    train(ours, a, 2)
    train(descend.Adam(b, lr=0.1), b, 2)
    assert_equal(a, b, rtol=0)


def test_parameters_without_states_stay_without():
    a = parameters()
    ours = descend.Adam(a, lr=0.1)
    train(ours, a[:1], 2)
    assert set(ours.state_dict()["state"]) == {0}
    b = copies(a)
    again = descend.Adam(b, lr=0.1)
    again.load_state_dict(ours.state_dict())
    for p in a:
        p.grad = None
    train(ours, a, range(2, 4))
    train(again, b, range(2, 4))
    assert [again.state[p]["step"].item() for p in b] == [4, 2, 2]
    assert_equal(a, b, rtol=0)


@pytest.mark.parametrize("form", ["classical", "ema"])
def test_a_momentum_buffer_of_another_form_is_not_mistaken(form):
    """torch's checkpoint holds torch's kind of momentum, and so does ours of another form."""
    a = parameters()
    theirs = torch.optim.SGD(a, lr=0.1, momentum=0.9)
    train(theirs, a, 3)
    b = parameters()
    ours = descend.SGD(b, lr=0.1, momentum=0.9, momentum_form=form)
    train(ours, b, 1)
    expected = f"is 'torch' in the checkpoint, under which 'momentum_buffer' means another thing than under '{form}'"
    assert_refused(ours, theirs.state_dict(), expected)
    with pytest.raises(CheckpointError, match=f"momentum_form of group 0  is '{form}' in the checkpoint, under which"):
        descend.SGD(parameters(), lr=0.1, momentum=0.9).load_state_dict(ours.state_dict())


def test_the_kind_of_decay_travels():
    a = parameters()
    theirs = torch.optim.NAdam(a, lr=0.1, weight_decay=0.2, decoupled_weight_decay=True)
    train(theirs, a, 1)
    ours = descend.NAdam(copies(a))
    ours.load_state_dict(theirs.state_dict())
    assert ours.param_groups[0]["decay"] == "decoupled" and ours.param_groups[0]["weight_decay"] == 0.2
    back = torch.optim.NAdam(copies(a))
    back.load_state_dict(ours.state_dict())
    assert back.param_groups[0]["decoupled_weight_decay"] is True


def test_the_updates_of_a_torch_checkpoint_are_its_steps():
    a = parameters()
    theirs = torch.optim.Adam(a)
    train(theirs, a, 5)
    ours = descend.Adam(copies(a), lr=descend.schedules.cosine(10) * 0.1)
    ours.load_state_dict(theirs.state_dict())
    assert ours.clock.updates == 5


def test_a_checkpoint_that_nothing_tells_apart_is_loaded_whole():
    """RAdam has the options and the states of Adam."""
    a, b = parameters(), parameters()
    ours, theirs = descend.Adam(a), descend.RAdam(b)
    train(ours, a, 1)
    train(theirs, b, 3)
    ours.load_state_dict(theirs.state_dict())
    for p, q in zip(a, b, strict=True):
        assert ours.state[p].keys() == theirs.state[q].keys()
        assert all(torch.equal(ours.state[p][k], v) for k, v in theirs.state[q].items())
