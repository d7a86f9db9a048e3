"""Schedules on the optimizer's clock: values, groups, conflicts, skipped steps, saving."""

import copy
import io
import pickle

import pytest
import torch

import descend
from descend.errors import OptionError
from descend.schedules import constant, cosine, warmup
from optim.models import assert_equal, copies, parameters, set_gradients, train

PEAK = warmup(3) * cosine(10) * 0.2


def by_hand(params, lrs, **options):
    """The same with a float lr written before each step."""
    twin = copies(params)
    optimizer = descend.SGD(twin, lr=0.2, **options)
    for step, lr in enumerate(lrs):
        optimizer.param_groups[0]["lr"] = lr
        train(optimizer, twin, range(step, step + 1))
    return twin


@pytest.mark.parametrize("backend", ["eager", "cpu"])
@pytest.mark.parametrize("schedule", [PEAK, constant() * 0.1, cosine(4, floor=0.5) * 0.3, warmup(4) * 0.1], ids=repr)
def test_each_step_uses_the_value_of_its_own_k(schedule, backend):
    a = parameters()
    expected = by_hand(a, schedule.table(7), backend=backend)
    ours = descend.SGD(a, lr=schedule, backend=backend)
    assert ours.param_groups[0]["lr"] == schedule.at(0)  # a float, before any step
    for step in range(7):
        train(ours, a, range(step, step + 1))
        assert ours.param_groups[0]["lr"] == schedule.at(step)
    assert_equal(a, expected, rtol=0)
    assert ours.param_groups[0]["schedules"] == {"lr": schedule.to_data()}


@pytest.mark.parametrize("backend", ["eager", "cpu"])
def test_schedules_of_other_numbers(backend):
    a = parameters()
    b = copies(a)
    b1, wd = warmup(4) * 0.8, cosine(5) * 0.3
    ours = descend.AdamW(a, lr=0.1, betas=(b1, 0.99), weight_decay=wd, backend=backend)
    theirs = torch.optim.AdamW(b, lr=0.1, betas=(0.5, 0.99))
    for step in range(6):
        theirs.param_groups[0]["betas"] = (b1.at(step), 0.99)
        theirs.param_groups[0]["weight_decay"] = wd.at(step)
        train(ours, a, range(step, step + 1))
        train(theirs, b, range(step, step + 1))
        assert ours.param_groups[0]["betas"] == (b1.at(step), 0.99)
        assert ours.param_groups[0]["weight_decay"] == wd.at(step)
    assert_equal(a, b)
    assert set(ours.param_groups[0]["schedules"]) == {"betas[0]", "weight_decay"}


def test_a_schedule_that_starts_at_zero_keeps_its_state():
    """A folded zero would have thrown the buffer away at the step where the schedule passes 0."""
    a = parameters()
    b = copies(a)
    momentum = cosine(2) * 0.8  # 0.8, 0.4, 0, 0
    ours = descend.SGD(a, lr=0.1, momentum=momentum)
    theirs = torch.optim.SGD(b, lr=0.1, momentum=0.8)
    for step in range(4):
        theirs.param_groups[0]["momentum"] = max(momentum.at(step), 1e-300)
        train(ours, a, range(step, step + 1))
        train(theirs, b, range(step, step + 1))
    assert_equal(a, b)


@pytest.mark.parametrize(
    "options,expected",
    [
        ({"lr": warmup(3) * -0.1}, "SGD: lr: got -0.03"),
        ({"momentum": constant() * 1.0}, "SGD: momentum: got 1.0; allowed: 0 <= x < 1"),
        ({"nesterov": constant()}, "SGD: nesterov cannot follow a schedule"),
        ({"clip_norm": constant()}, "SGD: clip_norm: got constant"),
        ({"maximize": constant()}, "SGD: maximize cannot follow a schedule"),
    ],
)
def test_schedules_where_none_can_be(options, expected):
    with pytest.raises(OptionError, match=expected):
        descend.SGD(parameters(), **options)


def test_a_schedule_that_leaves_the_range_later_is_refused_in_its_step():
    a = parameters()
    ours = descend.SGD(a, lr=0.1, momentum=warmup(3) * 1.5)  # 0.5, 1.0
    train(ours, a, 1)
    kept = copies(a)
    with pytest.raises(OptionError, match="SGD, group 0: momentum: got 1.0; allowed: 0 <= x < 1"):
        train(ours, a, range(1, 2))
    assert_equal(a, kept, rtol=0)


def test_a_skipped_step_does_not_advance():
    a = parameters()
    ours = descend.SGD(a, lr=PEAK, on_nonfinite="skip")
    train(ours, a, 2)
    set_gradients(a, 2, scale=float("inf"))
    ours.step()
    train(ours, a, range(2, 3))
    assert ours.param_groups[0]["lr"] == PEAK.at(2)
    assert ours.clock.updates == 3


def test_a_step_without_gradients_does_not_advance():
    a = parameters()
    ours = descend.SGD(a, lr=PEAK)
    ours.step()
    train(ours, a, 1)
    assert ours.param_groups[0]["lr"] == PEAK.at(0)


@pytest.mark.parametrize("start,first", [("clock", 2), ("now", 0), (None, 2)])
def test_a_group_added_later(start, first):
    a, more = parameters(), parameters(5)
    ours = descend.SGD(a, lr=PEAK)
    train(ours, a, 2)
    group = {"params": more, "lr": cosine(6) * 0.3} | ({"start": start} if start else {})
    ours.add_param_group(group)
    assert "start" not in ours.param_groups[1]
    for k in range(3):
        train(ours, [*a, *more], range(2 + k, 3 + k))
        assert ours.param_groups[0]["lr"] == PEAK.at(2 + k)
        assert ours.param_groups[1]["lr"] == (cosine(6) * 0.3).at(first + k)


def test_a_group_inherits_the_schedule_of_the_class():
    a, more = parameters(), parameters(5)
    ours = descend.SGD([{"params": a}, {"params": more, "lr": 0.5}], lr=PEAK)
    train(ours, [*a, *more], 2)
    assert [g["lr"] for g in ours.param_groups] == [PEAK.at(1), 0.5]
    assert "schedules" not in ours.param_groups[1]


def test_an_unknown_start_is_refused():
    ours = descend.SGD(parameters(), lr=PEAK)
    with pytest.raises(OptionError, match="SGD, group 1: start: got 'later'; allowed: 'clock', 'now'"):
        ours.add_param_group({"params": parameters(1), "start": "later"})


def test_a_torch_scheduler_over_a_schedule_is_refused_and_both_are_named():
    a = parameters()
    ours = descend.SGD(a, lr=PEAK)
    torch.optim.lr_scheduler.StepLR(ours, 2)
    with pytest.raises(
        OptionError, match=r"Group 0: its lr follows the schedule .*cosine.* and a torch LRScheduler.*Keep"
    ):
        train(ours, a, 1)


def test_a_written_lr_over_a_schedule_is_refused_with_the_way_out():
    a = parameters()
    ours = descend.SGD(a, lr=PEAK)
    train(ours, a, 2)
    kept = copies(a)
    ours.param_groups[0]["lr"] = 0.5
    with pytest.raises(
        OptionError, match=r"Group 0: lr was set to 0.5, but it follows .*Delete group\['schedules'\]\['lr'\]"
    ):
        train(ours, a, range(2, 3))
    assert_equal(a, kept, rtol=0)
    del ours.param_groups[0]["schedules"]["lr"]  # the way out
    train(ours, a, range(2, 3))
    assert_equal(a, [k - 0.5 * p.grad for k, p in zip(kept, a, strict=True)])


def test_a_written_lr_before_the_first_step_is_refused():
    a = parameters()
    ours = descend.SGD(a, lr=PEAK)
    ours.param_groups[0]["lr"] = 0.5
    with pytest.raises(OptionError, match="lr was set to 0.5"):
        train(ours, a, 1)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_an_lr_of_zero_for_one_step_allocates_and_moves_nothing(name):
    """Distributed checkpointing makes an optimizer allocate its states so."""
    a = parameters()
    b = copies(a)
    ours, plain = (getattr(descend, name)(p, lr=PEAK) for p in (a, b))
    kept = copies(a)
    set_gradients(a, 0)
    for p in a:
        p.grad.zero_()
    ours.param_groups[0]["lr"] = 0.0
    ours.step()
    assert_equal(a, kept, rtol=0)
    assert ours.clock.updates == 0
    if name == "Adam":
        assert set(ours.state_dict()["state"][0]) == {"step", "exp_avg", "exp_avg_sq"}
    ours.param_groups[0]["lr"] = PEAK.at(0)
    train(ours, a, 3)
    train(plain, b, 3)
    assert_equal(a, b, rtol=0)


def round_trips():
    def through_file(optimizer):
        buffer = io.BytesIO()
        torch.save(optimizer.state_dict(), buffer)
        buffer.seek(0)
        return torch.load(buffer, weights_only=True)

    def load(optimizer, params, fresh):
        new = descend.Adam(params, lr=fresh)
        new.load_state_dict(through_file(optimizer))
        return new

    def unpickle(optimizer, params, _):
        new = pickle.loads(pickle.dumps(optimizer))
        held = new.param_groups[0]["params"]
        params[:] = held
        return new

    def deepcopy(optimizer, params, _):
        new = copy.deepcopy(optimizer)
        params[:] = new.param_groups[0]["params"]
        return new

    return {
        "into the same schedule": lambda o, p: load(o, p, PEAK),
        "into a float": lambda o, p: load(o, p, 0.7),
        "into another schedule": lambda o, p: load(o, p, cosine(2) * 9.0),
        "pickle": lambda o, p: unpickle(o, p, None),
        "deepcopy": lambda o, p: deepcopy(o, p, None),
    }


@pytest.mark.parametrize("way", round_trips())
def test_a_schedule_travels_with_the_state(way):
    a = parameters()
    ours = descend.Adam(a, lr=PEAK)
    train(ours, a, 4)
    b = copies(a)
    resumed = round_trips()[way](ours, b)
    assert resumed.clock.updates == 4
    train(ours, a, range(4, 8))
    train(resumed, b, range(4, 8))
    assert_equal(a, b, rtol=0)
    assert resumed.param_groups[0]["lr"] == PEAK.at(7)


def test_a_state_may_be_loaded_before_a_group_is_added_with_its_own_start():
    a, b = parameters(), None
    ours = descend.Adam(a, lr=PEAK)
    train(ours, a, 2)
    more = parameters(3)
    ours.add_param_group({"params": more, "start": "now"})
    train(ours, [*a, *more], range(2, 4))
    b, more_too = copies(a), copies(more)
    again = descend.Adam([{"params": b}, {"params": more_too}], lr=0.1)
    again.load_state_dict(ours.state_dict())
    train(ours, [*a, *more], range(4, 6))
    train(again, [*b, *more_too], range(4, 6))
    assert [g["lr"] for g in again.param_groups] == [PEAK.at(5), PEAK.at(3)]
    assert_equal([*a, *more], [*b, *more_too], rtol=0)


def test_a_schedule_that_a_float_checkpoint_does_not_know_goes_on_by_the_clock():
    """A run saved with a plain lr and resumed with a schedule: fine-tuning's second stage."""
    a = parameters()
    plain = descend.Adam(a, lr=0.1)
    train(plain, a, 4)
    ours = descend.Adam(a, lr=PEAK)
    ours.load_state_dict(plain.state_dict())
    train(ours, a, range(4, 5))
    assert ours.param_groups[0]["lr"] == PEAK.at(4)


@pytest.mark.parametrize("backend", ["eager", "cpu"])
@pytest.mark.parametrize("before", [0.2, PEAK, constant() * 0.3], ids=repr)
@pytest.mark.parametrize("done", [0, 2])
def test_a_schedule_written_into_a_group_is_followed_from_then_on(before, done, backend):
    a = parameters()
    b = copies(a)
    ours = descend.SGD(a, lr=before, momentum=0.5, backend=backend)
    theirs = descend.SGD(b, lr=0.2, momentum=0.5, backend=backend)
    after, momentum = cosine(9) * 0.1, warmup(6) * 0.9
    for step in range(5):
        if step == done:
            ours.param_groups[0]["lr"] = after
            ours.param_groups[0]["momentum"] = momentum
        lr = after if step >= done else before
        theirs.param_groups[0]["lr"] = lr if isinstance(lr, float) else lr.at(step)
        theirs.param_groups[0]["momentum"] = momentum.at(step) if step >= done else 0.5
        train(ours, a, range(step, step + 1))
        train(theirs, b, range(step, step + 1))
    assert_equal(a, b, rtol=0)
    group = ours.param_groups[0]
    assert group["schedules"] == {"lr": after.to_data(), "momentum": momentum.to_data()}
    assert (group["lr"], group["lr_start"], group["lr_max"]) == (after.at(4), 0.1, 0.1)


def test_a_part_of_a_tuple_may_become_a_schedule():
    a = parameters()
    ours = descend.Adam(a, lr=0.1)
    train(ours, a, 1)
    ours.param_groups[0]["betas"] = (warmup(10) * 0.9, 0.99)
    train(ours, a, range(1, 3))
    assert ours.param_groups[0]["betas"] == (pytest.approx(0.27), 0.99)


def test_a_schedule_written_later_must_stay_in_range():
    a = parameters()
    ours = descend.SGD(a, lr=0.1)
    train(ours, a, 1)
    ours.param_groups[0]["momentum"] = constant(2.0)
    with pytest.raises(OptionError, match="SGD, group 0: momentum: got 2.0"):
        train(ours, a, 1)
    ours.param_groups[0]["momentum"] = 0.5
    train(ours, a, 1)


def test_schedules_written_as_plain_data_need_no_start():
    a = parameters()
    ours = descend.SGD(a, lr=0.1)
    train(ours, a, 2)
    ours.param_groups[0]["schedules"] = {"lr": PEAK.to_data()}
    train(ours, a, range(2, 3))
    assert ours.param_groups[0]["lr"] == PEAK.at(2)


@pytest.mark.parametrize(
    "schedules,expected",
    [
        (None, r"Group 0: schedules; allowed: plain data, .*Or write group\['lr'\] = cosine\(1000\)"),
        (PEAK, "Group 0: schedules: got .*allowed: plain data"),
        ({"lr": PEAK}, "a schedule's plain data"),
        ({"lrr": PEAK.to_data()}, "Group 0 has no 'lrr' any more"),
        ({"betas[2]": PEAK.to_data()}, r"betas has no betas\[2\]: .*allowed: betas\[0\], betas\[1\]"),
        ({"lr[0]": PEAK.to_data()}, r"lr has no lr\[0\]: .*allowed: one number"),
    ],
)
def test_schedules_written_wrongly_are_refused(schedules, expected):
    a = parameters()
    ours = descend.Adam(a, lr=0.1)
    train(ours, a, 1)
    ours.param_groups[0]["schedules"] = schedules
    with pytest.raises(OptionError, match=expected):
        train(ours, a, 1)
