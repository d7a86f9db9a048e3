"""The bridge: our schedules on torch's optimizers, torch's schedulers on ours, torch's schedulers as schedules."""

import copy
import math

import pytest
import torch

import descend
from descend.errors import CheckpointError, OptionError
from descend.optim import lr_scheduler
from descend.optim.lr_scheduler import attach, from_torch
from descend.schedules import Schedule, constant, cosine, step_decay, warmup

SCHEDULE = warmup(3) * cosine(12, floor=0.1)
MAKERS = {
    "StepLR": lambda o: lr_scheduler.StepLR(o, 4, 0.5),
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [2, 7], 0.5),
    "MultiStepLR, one twice": lambda o: lr_scheduler.MultiStepLR(o, [2, 7, 7], 0.5),
    "MultiStepLR, none": lambda o: lr_scheduler.MultiStepLR(o, [], 0.5),
    "ConstantLR": lambda o: lr_scheduler.ConstantLR(o, 0.3, 5),
    "LinearLR": lambda o: lr_scheduler.LinearLR(o, 0.2, 0.9, 7),
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    "ExponentialLR, growing": lambda o: lr_scheduler.ExponentialLR(o, 1.1),
    "PolynomialLR": lambda o: lr_scheduler.PolynomialLR(o, 9, 0.9),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 14, eta_min=0.01),
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 2, 2, eta_min=0.01),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.5, 15, cycle_momentum=False),
    "OneCycleLR, three phases": lambda o: lr_scheduler.OneCycleLR(
        o, 0.5, 17, pct_start=0.2, anneal_strategy="linear", cycle_momentum=False, three_phase=True),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 0.1, 0.4, 3, 5, cycle_momentum=False),
    "CyclicLR, triangular2": lambda o: lr_scheduler.CyclicLR(o, 0.1, 0.4, 3, mode="triangular2", cycle_momentum=False),
    "CyclicLR, exp_range": lambda o: lr_scheduler.CyclicLR(
        o, 0.0, 0.4, 3, mode="exp_range", gamma=0.9, cycle_momentum=False),
    "SequentialLR": lambda o: lr_scheduler.SequentialLR(
        o,
        [lr_scheduler.LinearLR(o, 0.2, 1.0, 3), lr_scheduler.ExponentialLR(o, 0.9), lr_scheduler.StepLR(o, 2, 0.5)],
        milestones=[3, 8]),
    "ChainedScheduler": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.LinearLR(o, 0.2, 1.0, 3), lr_scheduler.ExponentialLR(o, 0.9)]),
    "ScheduleLR": lambda o: attach(SCHEDULE, o),
    "ScheduleLR, absolute": lambda o: attach(SCHEDULE, o, absolute=True),
}  # fmt: skip
"""Schedulers with a closed form, over 15 updates."""


def parameter() -> torch.nn.Parameter:
    p = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    p.grad = torch.full_like(p, 0.5)
    return p


def sgd(kind=torch.optim.SGD, lr=0.3, **options):
    return kind([parameter()], lr=lr, **options)


def weights(optimizer) -> torch.Tensor:
    return optimizer.param_groups[0]["params"][0]


def follow(optimizer, scheduler, n: int) -> list[float]:
    """The rates of the first group at each of the next n updates."""
    rates = []
    for _ in range(n):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return rates


def test_all_names_of_torch_are_here():
    assert set(torch.optim.lr_scheduler.__all__) <= set(lr_scheduler.__all__)
    assert all(
        getattr(lr_scheduler, n) is getattr(torch.optim.lr_scheduler, n) for n in torch.optim.lr_scheduler.__all__
    )


@pytest.mark.parametrize("name", MAKERS)
def test_from_torch_gives_the_same_rates(name: str):
    optimizer = sgd()
    scheduler = MAKERS[name](optimizer)
    schedule = from_torch(scheduler)
    assert schedule.table(14) == pytest.approx(follow(optimizer, scheduler, 14), rel=1e-11, abs=1e-15)
    assert from_torch(scheduler) == schedule  # counted from the beginning, whatever has been stepped


@pytest.mark.parametrize("name", MAKERS)
def test_a_training_of_ours_with_the_converted_schedule_ends_where_theirs_does(name: str):
    theirs = sgd()
    scheduler = MAKERS[name](theirs)
    ours = sgd(descend.SGD, lr=from_torch(scheduler))
    follow(theirs, scheduler, 14)
    for _ in range(14):
        ours.step()
    torch.testing.assert_close(
        ours.param_groups[0]["params"][0], theirs.param_groups[0]["params"][0], rtol=1e-12, atol=0
    )


@pytest.mark.parametrize("name", MAKERS)
def test_schedulers_of_torch_drive_our_optimizers(name: str):
    theirs, ours = sgd(), sgd(descend.SGD)
    rates = follow(theirs, MAKERS[name](theirs), 14), follow(ours, MAKERS[name](ours), 14)
    assert rates[0] == rates[1]
    torch.testing.assert_close(
        ours.param_groups[0]["params"][0], theirs.param_groups[0]["params"][0], rtol=1e-14, atol=0
    )


def test_groups_with_rates_of_their_own():
    optimizer = torch.optim.SGD([{"params": [parameter()]}, {"params": [parameter()], "lr": 0.6}], lr=0.3)
    scheduler = lr_scheduler.CosineAnnealingLR(optimizer, 4, eta_min=0.03)
    with pytest.raises(OptionError, match=r"from_torch\(scheduler, group=0\)"):
        from_torch(scheduler)
    assert from_torch(scheduler, group=0) == cosine(4, floor=0.1) * 0.3
    assert from_torch(scheduler, group=1) == cosine(4, floor=0.05) * 0.6
    with pytest.raises(OptionError, match="0 to 1"):
        from_torch(scheduler, group=2)


@pytest.mark.parametrize(
    "make",
    [
        lambda o: lr_scheduler.LambdaLR(o, lambda k: 0.9**k),
        lambda o: lr_scheduler.MultiplicativeLR(o, lambda k: 0.9),
        lambda o: lr_scheduler.ReduceLROnPlateau(o),
        lambda o: lr_scheduler.CyclicLR(o, 0.1, 0.4, scale_fn=lambda x: 1.0, cycle_momentum=False),
        lambda o: lr_scheduler.ChainedScheduler([lr_scheduler.LambdaLR(o, lambda k: 0.9**k)]),
    ],
)
def test_what_has_no_closed_form_is_refused(make):
    with pytest.raises(OptionError, match="no closed form"):
        from_torch(make(sgd()))


@pytest.mark.parametrize("schedule", [SCHEDULE, step_decay(3), constant(0.5)], ids=repr)
def test_attach_equals_lambda_lr(schedule: Schedule):
    ours, theirs = sgd(), sgd()
    expected = follow(theirs, lr_scheduler.LambdaLR(theirs, schedule.at), 15)
    assert follow(ours, attach(schedule, ours), 15) == expected == [0.3 * schedule.at(k) for k in range(15)]


def test_each_group_keeps_its_own_base_and_a_later_group_joins():
    optimizer = sgd()
    scheduler = attach(cosine(10), optimizer)
    follow(optimizer, scheduler, 4)
    optimizer.add_param_group({"params": [parameter()], "lr": 0.7})
    follow(optimizer, scheduler, 1)
    assert [g["lr"] for g in optimizer.param_groups] == [0.3 * cosine(10).at(5), 0.7 * cosine(10).at(5)]


def test_absolute_values_are_the_rate_of_all_groups():
    optimizer = torch.optim.SGD([{"params": [parameter()]}, {"params": [parameter()], "lr": 0.6}], lr=0.3)
    attach(constant(0.01), optimizer, absolute=True)
    assert [g["lr"] for g in optimizer.param_groups] == [0.01, 0.01]


def test_a_rate_in_a_tensor_stays_that_tensor():
    rate = torch.tensor(0.5, dtype=torch.float64)
    optimizer = sgd(torch.optim.Adam, lr=rate, capturable=False)
    scheduler = attach(cosine(4), optimizer)
    follow(optimizer, scheduler, 2)
    assert optimizer.param_groups[0]["lr"] is rate
    assert rate.item() == pytest.approx(0.25)
    follow(optimizer, scheduler, 1)
    scheduler.load_state_dict({**scheduler.state_dict(), "last_epoch": 2})
    assert optimizer.param_groups[0]["lr"] is rate
    assert rate.item() == pytest.approx(0.25)


ORDERS = ["build, optimizer, scheduler", "optimizer, build, scheduler", "build, scheduler, optimizer"]


@pytest.mark.parametrize("order", ORDERS)
def test_resume_in_any_order_equals_uninterrupted(order: str):
    whole = sgd(momentum=0.9)
    scheduler = attach(SCHEDULE, whole)
    follow(whole, scheduler, 5)
    saved = copy.deepcopy((whole.state_dict(), scheduler.state_dict(), weights(whole).detach()))
    expected = follow(whole, scheduler, 8)

    resumed = sgd(momentum=0.9)
    weights(resumed).data.copy_(saved[2])
    made = None
    for act in order.split(", "):
        if act == "build":
            made = attach(SCHEDULE, resumed)
        elif act == "optimizer":
            resumed.load_state_dict(saved[0])
        else:
            made.load_state_dict(saved[1])
    assert follow(resumed, made, 8) == expected
    assert torch.equal(weights(resumed), weights(whole))


def test_state_is_plain_and_carries_the_schedule(tmp_path):
    optimizer = sgd()
    scheduler = attach(SCHEDULE, optimizer)
    follow(optimizer, scheduler, 2)
    torch.save(scheduler.state_dict(), tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    other = attach(constant(), sgd())
    other.load_state_dict(state)
    assert other.schedule == SCHEDULE
    assert other.get_last_lr() == pytest.approx([0.3 * SCHEDULE.at(2)])


def test_the_state_of_another_kind_is_refused():
    with pytest.raises(CheckpointError, match="another kind of scheduler"):
        attach(SCHEDULE, sgd()).load_state_dict(lr_scheduler.StepLR(sgd(), 3).state_dict())
    with pytest.raises(CheckpointError, match="another kind of scheduler"):
        attach(SCHEDULE, sgd()).load_state_dict(None)


def test_what_is_no_scheduler_or_optimizer_is_refused():
    with pytest.raises(OptionError, match="from_torch.*got .SGD.; allowed: a scheduler of torch"):
        from_torch(sgd())
    with pytest.raises(OptionError, match="optimizer: got .*; allowed: an optimizer of torch"):
        attach(SCHEDULE, sgd().param_groups)
    with pytest.raises(OptionError, match="group=.: got '0'; allowed: 0 to 0"):
        from_torch(lr_scheduler.StepLR(sgd(), 3), group="0")


def test_attach_takes_the_schedule_first():
    with pytest.raises(OptionError, match="LambdaLR"):
        attach(lambda k: 0.9**k, sgd())


def test_attach_changes_nothing_but_the_rate():
    optimizer = sgd(torch.optim.Adam, betas=(0.8, 0.99))
    before = {k: v for k, v in optimizer.param_groups[0].items() if k not in ("lr", "params")}
    follow(optimizer, attach(SCHEDULE, optimizer), 3)
    after = {k: v for k, v in optimizer.param_groups[0].items() if k not in ("lr", "params", "initial_lr")}
    assert after == before


def test_torchs_cosine_rises_again_where_ours_stays():
    optimizer = sgd()
    scheduler = lr_scheduler.CosineAnnealingLR(optimizer, 5)
    rates = follow(optimizer, scheduler, 11)
    assert math.isclose(rates[10], 0.3)
    assert from_torch(scheduler).at(10) == 0.0
