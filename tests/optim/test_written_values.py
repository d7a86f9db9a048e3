"""Values, members and states written by hand between steps: taken over, or refused and nothing changed."""

import numpy as np
import pytest
import torch

import descend
from descend.errors import OptionError, ParameterError
from optim.models import assert_equal, copies, pair, parameters, set_gradients, train


def test_a_group_written_by_hand():
    ours, a, theirs, b = pair("Adam", lr=0.1)
    for step in range(4):
        for optimizer, params in ((ours, a), (theirs, b)):
            group = optimizer.param_groups[0]
            group["lr"] = 0.1 / (step + 1)
            if step == 2:
                group["betas"], group["eps"], group["weight_decay"] = (0.5, 0.9), 1e-3, 0.1
            train(optimizer, params, range(step, step + 1))
    assert_equal(a, b)


@pytest.mark.parametrize(
    "key,value,expected",
    [
        ("lr", -1.0, r"SGD, group 0: lr: got -1.0; allowed: 0 <= x"),
        ("lr", float("nan"), "SGD, group 0: lr: got nan"),
        ("lr", "fast", "SGD, group 0: lr: got 'fast'"),
        ("momentum", 1.0, "SGD, group 0: momentum: got 1.0; allowed: 0 <= x < 1"),
        ("nesterov", "yes", "SGD, group 0: nesterov: got 'yes'; allowed: False | True"),
        ("weight_decay", -0.1, "SGD, group 0: weight_decay: got -0.1"),
        ("lr", np.array([0.1, 0.2]), r"SGD, group 0: lr: got array\(\[0.1, 0.2\]\); allowed: 0 <= x"),
        ("lr", torch.ones(2), "SGD, group 0: lr: got tensor"),
        ("lr", 10**400, "SGD, group 0: lr: got 1000"),
        ("weight_decay", np.ones(2), "SGD, group 0: weight_decay: got array"),
        ("maximize", np.ones(2), "SGD, group 0: maximize: got array"),
        ("nesterov", torch.ones(2), "SGD, group 0: nesterov: got tensor"),
        ("nesterov", descend.schedules.cosine(9), "SGD, group 0: nesterov cannot follow a schedule"),
        ("decay", "decopled", "SGD, group 0: decay: got 'decopled'; allowed: None, 'l2', .*Did you mean 'decoupled'?"),
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_nonsense_written_into_a_group_is_refused_and_changes_nothing(key, value, expected, when):
    a = parameters()
    ours = descend.SGD(a, lr=0.1, momentum=0.5)
    if when == "after":
        train(ours, a, 2)
    kept = copies(a)
    good = ours.param_groups[0][key]
    ours.param_groups[0][key] = value
    set_gradients(a, 2)
    for _ in range(2):  # and is refused again, not taken over
        with pytest.raises(OptionError, match=expected):
            ours.step()
    assert_equal(a, kept, rtol=0)
    ours.param_groups[0][key] = good
    ours.step()


@pytest.mark.parametrize("backend", ["eager", "cpu"])
@pytest.mark.parametrize(
    "name,options,momenta",
    [
        ("SGD", {}, (0.0, 0.9, 0.0, 0.5)),
        ("SGD", {"momentum": 0.9, "dampening": 0.5}, (0.9, 0.0, 0.5)),
        ("RMSprop", {"momentum": 0.5}, (0.5, 0.0, 0.5)),
    ],
)
def test_momentum_switched_on_and_off(name, options, momenta, backend):
    """Without momentum a buffer that exists stands still, and one that does not is not made."""
    a = parameters()
    b = copies(a)
    ours = getattr(descend, name)(a, lr=0.1, backend=backend, **options)
    theirs = getattr(torch.optim, name)(b, lr=0.1, **options)
    for i, momentum in enumerate(momenta):
        for optimizer, params in ((ours, a), (theirs, b)):
            optimizer.param_groups[0]["momentum"] = momentum
            train(optimizer, params, range(2 * i, 2 * i + 2))
        assert_equal(a, b)
        made = [optimizer.state[params[0]].get("momentum_buffer") for optimizer, params in ((ours, a), (theirs, b))]
        assert (made[0] is None) == (made[1] is None)


@pytest.mark.parametrize("backend", ["eager", "cpu"])
@pytest.mark.parametrize(
    "name,options,changes",
    [
        ("SGD", {"lr": 0.1, "momentum": 0.9}, {"nesterov": True}),
        ("SGD", {"lr": 0.1, "momentum": 0.9}, {"maximize": True}),
        ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}, {"dampening": 0.1}),
        ("Adam", {"lr": 0.1}, {"weight_decay": 0.1}),
        ("Adam", {"lr": 0.1}, {"maximize": True}),
        ("Adam", {"lr": 0.1, "betas": (0.0, 0.9)}, {"betas": (0.5, 0.9)}),
    ],
)
def test_options_that_decide_the_structure_change_between_steps(name, options, changes, backend):
    a = parameters()
    b = copies(a)
    ours, theirs = getattr(descend, name)(a, **options, backend=backend), getattr(torch.optim, name)(b, **options)
    for optimizer, params in ((ours, a), (theirs, b)):
        train(optimizer, params, 3)
        optimizer.param_groups[0].update(changes)
        train(optimizer, params, range(3, 6))
    assert_equal(a, b)


@pytest.mark.parametrize("backend", ["eager", "cpu"])
def test_members_of_a_group_changed_by_hand(backend):
    a = parameters()
    b = copies(a)
    ours, theirs = descend.Adam(a[:2], lr=0.1, backend=backend), torch.optim.Adam(b[:2], lr=0.1)
    for optimizer, params in ((ours, a), (theirs, b)):
        train(optimizer, params, 2)
        optimizer.param_groups[0]["params"].append(params[2])
        train(optimizer, params, range(2, 4))
        optimizer.param_groups[0]["params"].pop(0)
        train(optimizer, params, range(4, 6))
    assert_equal(a, b)


def test_the_meaning_of_a_buffer_changed_by_hand_is_refused():
    a = parameters()
    ours = descend.SGD(a, lr=0.1, momentum=0.9)
    train(ours, a, 2)
    ours.param_groups[0]["momentum_form"] = "classical"
    with pytest.raises(OptionError, match="momentum_form was changed to 'classical' while 'momentum_buffer' holds"):
        train(ours, a, range(2, 3))


def test_a_contradiction_written_later_is_refused():
    a = parameters()
    ours = descend.SGD(a, lr=0.1)
    train(ours, a, 1)
    ours.param_groups[0]["nesterov"] = True
    with pytest.raises(OptionError, match="SGD, group 0: nesterov=True needs momentum > 0 and dampening = 0"):
        train(ours, a, range(1, 2))


@pytest.mark.parametrize("backend", ["eager", "cpu"])
@pytest.mark.parametrize("name", ["SGD", "AdamW", "LAMB"])
def test_a_tensor_lr_changed_in_place(name, backend):
    a = parameters()
    b = copies(a)
    lr = torch.tensor(0.1, dtype=torch.float64)
    ours, plain = (getattr(descend, name)(p, lr=x, backend=backend) for p, x in ((a, lr), (b, 0.1)))
    for step in range(4):
        lr.fill_(0.1 / (step + 1))
        plain.param_groups[0]["lr"] = 0.1 / (step + 1)
        train(ours, a, range(step, step + 1))
        train(plain, b, range(step, step + 1))
    assert_equal(a, b, rtol=0)
    assert ours.param_groups[0]["lr"] is lr
    lr.fill_(-1.0)
    with pytest.raises(OptionError, match=rf"{name}, group 0: lr: got tensor\(-1., dtype=torch.float64\)"):
        train(ours, a, 1)


def test_tensor_betas():
    ours, a, theirs, b = pair("Adam", lr=torch.tensor(0.1), betas=(0.8, 0.9))
    beta = torch.tensor(0.8, dtype=torch.float64)
    ours.param_groups[0]["betas"] = (beta, 0.9)
    train(ours, a, 3)
    train(theirs, b, 3)
    beta.fill_(0.5)
    theirs.param_groups[0]["betas"] = (0.5, 0.9)
    train(ours, a, range(3, 5))
    train(theirs, b, range(3, 5))
    assert_equal(a, b, rtol=1e-6)  # torch keeps lr in float32


@pytest.mark.parametrize("backend", ["eager", "cpu"])
def test_a_meddled_state_is_taken_over(backend):
    """Writing to ``optimizer.state`` works as in torch: kernels hold addresses, and must notice."""
    a = parameters()
    b = copies(a)
    ours, theirs = descend.Adam(a, lr=0.1, backend=backend), torch.optim.Adam(b, lr=0.1)
    for optimizer, params in ((ours, a), (theirs, b)):
        train(optimizer, params, 2)
        optimizer.state[params[0]]["exp_avg"] = torch.full_like(params[0], 0.5)
        optimizer.state[params[1]]["exp_avg_sq"].mul_(4)
        optimizer.state[params[2]]["step"].fill_(100)
        train(optimizer, params, range(2, 4))
        optimizer.state.clear()
        train(optimizer, params, range(4, 6))
    assert_equal(a, b)
    del ours.state[a[0]]
    train(ours, a, range(6, 7))
    assert ours.state[a[0]]["step"] == 1 and ours.state[a[1]]["step"] == 3


@pytest.mark.parametrize("schedule", [False, True])
@pytest.mark.parametrize("name", ["lr", "betas", "eps", "weight_decay", "maximize"])
def test_an_option_taken_out_of_a_group_is_named(name, schedule):
    lr = descend.schedules.cosine(9) * 0.1 if schedule else 0.1
    betas = (descend.schedules.linear(9) * 0.9, 0.99) if schedule else (0.9, 0.99)
    a = parameters()
    ours = descend.Adam([{"params": a[:1]}, {"params": a[1:]}], lr=lr, betas=betas)
    for _ in range(2):
        taken = ours.param_groups[1].pop(name)
        set_gradients(a, 0)
        with pytest.raises(OptionError, match=rf"[Gg]roup 1 has no '{name}' any more. Write group\['{name}'\]"):
            ours.step()
        ours.param_groups[1][name] = taken
        ours.step()


@pytest.mark.parametrize("members", [None, 5, torch.ones(2), [0.1], (torch.ones(2),), {"a": 1}, "ab"], ids=repr)
@pytest.mark.parametrize("steps", [0, 1])
def test_members_replaced_by_no_tensors_are_refused(members, steps):
    a = parameters()
    ours = descend.SGD(a, lr=0.1)
    train(ours, a, steps)
    ours.param_groups[0]["params"] = members
    with pytest.raises(ParameterError, match="SGD, group 0: params.*; allowed: a list of tensors"):
        ours.step()
