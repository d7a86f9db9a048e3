"""The surface of ``torch.optim.Optimizer``: closures, hooks, groups, schedulers, scalers, copies."""

import copy

import pytest
import torch
from torch.optim import lr_scheduler as schedulers
from torch.optim import optimizer as torch_optimizer

import descend
from descend.errors import NonFiniteError, OptionError, ParameterError
from optim.models import assert_equal, copies, parameters, set_gradients, train

PAIRS = [
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.1}),
    ("AdamW", {"lr": 0.1}),
    ("RMSprop", {"lr": 0.1, "momentum": 0.5}),
]


def pair(name="SGD", params=None, **options):
    ours = params if params is not None else parameters()
    theirs = copies(ours)
    return getattr(descend, name)(ours, **options), ours, getattr(torch.optim, name)(theirs, **options), theirs


def test_it_is_a_torch_optimizer():
    optimizer = descend.Adam(parameters())
    assert isinstance(optimizer, torch.optim.Optimizer)
    assert isinstance(optimizer, descend.Optimizer)


@pytest.mark.parametrize("name,options", PAIRS)
def test_a_closure_is_called_with_gradients_and_its_loss_returned(name, options):
    ours, a, theirs, b = pair(name, **options)

    def make(params, optimizer):
        def closure():
            assert torch.is_grad_enabled()
            optimizer.zero_grad()
            loss = sum((p**2).sum() for p in params)
            loss.backward()
            return loss

        return closure

    for _ in range(3):
        with torch.no_grad():
            loss = ours.step(make(a, ours))
            expected = theirs.step(make(b, theirs))
        assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    assert ours.step(closure=make(a, ours)).item() == pytest.approx(theirs.step(closure=make(b, theirs)).item())
    assert_equal(a, b)


def test_a_step_without_closure_returns_none():
    ours, a, *_ = pair(lr=0.1)
    set_gradients(a, 0)
    assert ours.step() is None


@pytest.mark.parametrize("set_to_none", [True, False])
def test_zero_grad(set_to_none):
    ours, a, *_ = pair(lr=0.1)
    set_gradients(a, 0)
    a[1].grad = None
    kept = a[0].grad
    ours.zero_grad(set_to_none)
    assert a[1].grad is None
    if set_to_none:
        assert all(p.grad is None for p in a)
    else:
        assert a[0].grad is kept and not kept.any()


def test_zero_grad_of_a_gradient_with_history():
    p = torch.nn.Parameter(torch.ones(3))
    optimizer = descend.SGD([p], lr=0.1)
    (grad,) = torch.autograd.grad((p**3).sum(), p, create_graph=True)
    p.grad = grad
    optimizer.zero_grad(set_to_none=False)
    assert p.grad.grad_fn is None and not p.grad.any()


def test_step_hooks_are_called_in_torchs_order():
    order = []
    optimizers = [pair(lr=0.1)[0], pair(lr=0.1)[2]]
    handles = [
        torch_optimizer.register_optimizer_step_pre_hook(lambda o, *_: order.append("global pre")),
        torch_optimizer.register_optimizer_step_post_hook(lambda o, *_: order.append("global post")),
    ]
    try:
        for optimizer in optimizers:
            optimizer.register_step_pre_hook(lambda o, *_: order.append("pre"))
            removed = optimizer.register_step_pre_hook(lambda o, *_: order.append("removed"))
            optimizer.register_step_post_hook(lambda o, *_: order.append("post"))
            removed.remove()
            optimizer.step()
            order.append("end")
    finally:
        for handle in handles:
            handle.remove()
    half = len(order) // 2
    assert order[:half] == order[half:]
    assert order[:half] == ["global pre", "pre", "post", "global post", "end"]


def test_a_pre_hook_may_change_the_arguments():
    ours, a, *_ = pair(lr=0.1)
    start = copies(a)
    set_gradients(a, 0)
    ours.register_step_pre_hook(lambda o, args, kwargs: ((o, lambda: "another loss"), {}))
    assert ours.step(lambda: "loss") == "another loss"
    assert_equal(a, [p - 0.1 * q.grad for p, q in zip(start, a, strict=True)])


def test_a_pre_hook_may_change_gradients_and_a_post_hook_sees_the_result():
    ours, a, *_ = pair(lr=0.1)
    start = copies(a)
    seen = []
    set_gradients(a, 0)
    ours.register_step_pre_hook(lambda o, *_: [p.grad.zero_() for g in o.param_groups for p in g["params"]] and None)
    ours.register_step_post_hook(lambda o, *_: seen.append(a[0].detach().clone()))
    ours.step()
    assert_equal(seen, start[:1], rtol=0)


def test_a_pre_hook_that_returns_something_else_is_refused():
    ours, a, *_ = pair(lr=0.1)
    ours.register_step_pre_hook(lambda *_: 3)
    with pytest.raises(OptionError, match=r"pre-hook returned something: got 3; allowed: None or \(args, kwargs\)"):
        ours.step()


def test_state_dict_hooks():
    ours, a, *_ = pair("Adam")
    train(ours, a, 1)
    calls = []
    ours.register_state_dict_pre_hook(lambda o: calls.append("save pre"))
    ours.register_state_dict_post_hook(lambda o, s: {**s, "extra": 7})
    ours.register_load_state_dict_pre_hook(lambda o, s: calls.append(f"load pre {s.pop('extra')}"))
    ours.register_load_state_dict_post_hook(lambda o: calls.append("load post"))
    saved = ours.state_dict()
    assert saved["extra"] == 7
    ours.load_state_dict(saved)
    assert calls == ["save pre", "load pre 7", "load post"]
    assert saved["extra"] == 7  # a hook gets a copy, as in torch


def test_a_load_pre_hook_may_replace_the_state():
    ours, a, *_ = pair("Adam")
    train(ours, a, 2)
    good = ours.state_dict()
    ours.register_load_state_dict_pre_hook(lambda o, s: good)
    ours.load_state_dict({"state": {}, "param_groups": []})
    assert ours.state[a[0]]["step"] == 2


@pytest.mark.parametrize("name,options", PAIRS)
def test_a_group_added_between_steps(name, options):
    a = parameters()
    ours, _, theirs, b = pair(name, a, **options)
    more, more_too = (copies(parameters(7)) for _ in range(2))
    train(ours, a, 2)
    train(theirs, b, 2)
    ours.add_param_group({"params": more, "lr": 0.02})
    theirs.add_param_group({"params": more_too, "lr": 0.02})
    train(ours, [*a, *more], range(2, 5))
    train(theirs, [*b, *more_too], range(2, 5))
    assert_equal([*a, *more], [*b, *more_too])
    if name != "SGD":
        assert (ours.state[a[0]]["step"], ours.state[more[0]]["step"]) == (5, 3)


@pytest.mark.parametrize("name,options", PAIRS)
def test_missing_gradients_keep_their_own_step_count(name, options):
    ours, a, theirs, b = pair(name, **options)
    for step in range(5):
        for optimizer, params in ((ours, a), (theirs, b)):
            set_gradients(params, step)
            if step in (0, 2):
                params[1].grad = None
            if step == 3:
                params[0].grad = None
            optimizer.step()
    assert_equal(a, b)
    if name != "SGD":
        assert [ours.state[p]["step"].item() for p in a] == [theirs.state[p]["step"].item() for p in b] == [4, 3, 5]


def test_no_gradient_at_all_changes_nothing():
    ours, a, *_ = pair("Adam")
    start = copies(a)
    ours.step()
    assert_equal(a, start, rtol=0)
    assert not ours.state and ours.clock.updates == 0


@pytest.mark.parametrize("backend", ["eager", "cpu"])
def test_a_parameter_frozen_before_or_between_steps_stands_still(backend):
    a = parameters()
    a[0].requires_grad_(False)
    ours = descend.AdamW(a, lr=0.1, backend=backend)
    start = copies(a)
    for step in range(3):
        set_gradients(a, step)  # a left-over gradient of a frozen parameter does not move it
        if step == 1:
            a[1].requires_grad_(False)
            kept = a[1].detach().clone()
        ours.step()
    assert_equal(a[:1], start[:1], rtol=0)
    assert_equal(a[1:2], [kept], rtol=0)
    assert a[0] not in ours.state
    assert (ours.state[a[1]]["step"], ours.state[a[2]]["step"]) == (1, 3)
    a[1].requires_grad_(True)
    train(ours, a[1:2], range(3, 4))
    assert ours.state[a[1]]["step"] == 2


SCHEDULERS = {
    "StepLR": lambda o: schedulers.StepLR(o, 2, gamma=0.5),
    "MultiStepLR": lambda o: schedulers.MultiStepLR(o, [2, 4], gamma=0.1),
    "LambdaLR": lambda o: schedulers.LambdaLR(o, lambda k: 1 / (k + 1)),
    "MultiplicativeLR": lambda o: schedulers.MultiplicativeLR(o, lambda k: 0.9),
    "ConstantLR": lambda o: schedulers.ConstantLR(o, factor=0.5, total_iters=3),
    "LinearLR": lambda o: schedulers.LinearLR(o, total_iters=4),
    "ExponentialLR": lambda o: schedulers.ExponentialLR(o, 0.9),
    "PolynomialLR": lambda o: schedulers.PolynomialLR(o, total_iters=5, power=2),
    "CosineAnnealingLR": lambda o: schedulers.CosineAnnealingLR(o, 5),
    "CosineAnnealingWarmRestarts": lambda o: schedulers.CosineAnnealingWarmRestarts(o, 3),
    "SequentialLR": lambda o: schedulers.SequentialLR(
        o, [schedulers.LinearLR(o, total_iters=2), schedulers.ExponentialLR(o, 0.8)], [3]
    ),
    "ChainedScheduler": lambda o: schedulers.ChainedScheduler(
        [schedulers.ConstantLR(o, 0.1, 2), schedulers.ExponentialLR(o, 0.9)]
    ),
    "OneCycleLR": lambda o: schedulers.OneCycleLR(o, max_lr=0.3, total_steps=9),
    "CyclicLR": lambda o: schedulers.CyclicLR(o, base_lr=0.01, max_lr=0.2, step_size_up=3),
}


@pytest.mark.filterwarnings("ignore:The epoch parameter")
@pytest.mark.parametrize("kind", SCHEDULERS)
@pytest.mark.parametrize("name,options", PAIRS)
def test_torch_schedulers(name, options, kind):
    ours, a, theirs, b = pair(name, **options)
    ours_schedule, theirs_schedule = SCHEDULERS[kind](ours), SCHEDULERS[kind](theirs)
    for step in range(8):
        for optimizer, params, schedule in ((ours, a, ours_schedule), (theirs, b, theirs_schedule)):
            set_gradients(params, step)
            optimizer.step()
            schedule.step()
        assert ours.param_groups[0]["lr"] == theirs.param_groups[0]["lr"]
    assert_equal(a, b)


@pytest.mark.parametrize("backend", ["eager", "cpu"])
def test_one_cycle_moves_momentum_from_zero(backend):
    a, b = parameters(), None
    b = copies(a)
    ours = descend.SGD(a, lr=0.1, momentum=0.0, nesterov=False, backend=backend)
    theirs = torch.optim.SGD(b, lr=0.1, momentum=0.0)
    pairs = [
        (o, p, schedulers.OneCycleLR(o, 0.3, total_steps=9, base_momentum=0.0, max_momentum=0.9))
        for o, p in ((ours, a), (theirs, b))
    ]
    for step in range(8):
        for optimizer, params, schedule in pairs:
            set_gradients(params, step)
            optimizer.step()
            schedule.step()
    assert ours.param_groups[0]["momentum"] == theirs.param_groups[0]["momentum"]
    assert_equal(a, b)


def test_reduce_on_plateau():
    ours, a, theirs, b = pair("Adam", lr=0.1)
    both = [
        (o, p, schedulers.ReduceLROnPlateau(o, factor=0.5, patience=0, min_lr=0.01))
        for o, p in ((ours, a), (theirs, b))
    ]
    for step, loss in enumerate([1.0, 0.9, 0.95, 0.96, 0.8, 0.9, 0.9, 0.9]):
        for optimizer, params, schedule in both:
            set_gradients(params, step)
            optimizer.step()
            schedule.step(loss)
    assert ours.param_groups[0]["lr"] == theirs.param_groups[0]["lr"] < 0.1
    assert_equal(a, b)


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
def test_momentum_switched_on_later(backend):
    a = parameters()
    b = copies(a)
    ours, theirs = descend.SGD(a, lr=0.1, backend=backend), torch.optim.SGD(b, lr=0.1)
    for optimizer, params in ((ours, a), (theirs, b)):
        train(optimizer, params, 2)
        assert not any("momentum_buffer" in optimizer.state[p] and optimizer.state[p]["momentum_buffer"] is not None
                       for p in params)  # fmt: skip
        optimizer.param_groups[0]["momentum"] = 0.9
        train(optimizer, params, range(2, 5))
        optimizer.param_groups[0]["momentum"] = 0.0
        train(optimizer, params, range(5, 7))
    assert_equal(a, b)


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
        ("RMSprop", {"lr": 0.1, "momentum": 0.5}, {"momentum": 0.0}),
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


def scaled_step(scaler, optimizer, params, step, *, unscale=False, broken=False):
    set_gradients(params, step, scale=scaler.get_scale())
    if broken:
        params[1].grad[0] = float("inf")
    if unscale:
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(params, 1.0)
    scaler.step(optimizer)
    scaler.update()


@pytest.mark.parametrize("unscale", [False, True])
@pytest.mark.parametrize("name,options", PAIRS)
def test_grad_scaler(name, options, unscale):
    a = parameters(dtype=torch.float32)
    b = copies(a)
    ours, theirs = getattr(descend, name)(a, **options), getattr(torch.optim, name)(b, **options)
    for optimizer, params in ((ours, a), (theirs, b)):
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        scaler.scale(torch.zeros(()))
        for step in range(5):
            scaled_step(scaler, optimizer, params, step, unscale=unscale, broken=step == 2)
        assert scaler.get_scale() == 512.0
    assert_equal(a, b, rtol=1e-6)
    if name != "SGD":
        assert ours.state[a[0]]["step"] == theirs.state[b[0]]["step"] == 4
    assert (ours.skipped, ours.clock.updates) == (1, 4)


def test_a_step_that_the_scaler_skips_does_not_advance_a_schedule():
    a = parameters()
    schedule = descend.schedules.cosine(8) * 0.1
    ours = descend.SGD(a, lr=schedule)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    scaler.scale(torch.zeros(()))
    seen = []
    for step in range(4):
        scaled_step(scaler, ours, a, step, broken=step == 1)
        seen.append(ours.param_groups[0]["lr"])
    assert seen == [schedule.at(0), schedule.at(0), schedule.at(1), schedule.at(2)]


@pytest.mark.parametrize("policy", [{"on_nonfinite": "raise"}, {"on_nonfinite": "skip", "max_nonfinite": 1}])
def test_a_scaler_skips_whatever_on_nonfinite_says(policy):
    a = parameters()
    ours = descend.Adam(a, lr=0.1, **policy)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**20)
    scaler.scale(torch.zeros(()))
    kept = copies(a)
    for step in range(4):
        scaled_step(scaler, ours, a, step, broken=True)
    assert_equal(a, kept, rtol=0)
    assert ours.skipped == 4
    scaled_step(scaler, ours, a, 4)
    assert ours.state[a[0]]["step"] == 1


@pytest.mark.parametrize("backend", ["eager", "cpu"])
def test_clipping_under_a_scaler_judges_unscaled_gradients(backend):
    a = parameters()
    b = copies(a)
    ours, theirs = descend.SGD(a, lr=0.1, clip_norm=0.5, clip_value=0.2, backend=backend), torch.optim.SGD(b, lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
    scaler.scale(torch.zeros(()))
    for step in range(3):
        scaled_step(scaler, ours, a, step)
        set_gradients(b, step)
        torch.nn.utils.clip_grad_norm_(b, 0.5)
        torch.nn.utils.clip_grad_value_(b, 0.2)
        theirs.step()
    assert_equal(a, b)


def poison(params, step, value=float("nan")):
    set_gradients(params, step)
    params[0].grad.view(-1)[:2] = value
    params[1].grad.view(-1)[0] = value


@pytest.mark.parametrize("backend", ["eager", "cpu"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_non_finite_gradients_are_applied_counted_and_named(backend, value):
    a = parameters()
    ours = descend.SGD([("body.weight", a[0]), ("body.bias", a[1]), ("head", a[2])], lr=0.1, backend=backend)
    poison(a, 0, value)
    ours.step()
    assert ours.nonfinite == {"'body.weight'": 2, "'body.bias'": 1} or ours.nonfinite == {
        "body.weight": 2,
        "body.bias": 1,
    }
    assert [int((~torch.isfinite(p)).sum()) for p in a] == [2, 1, 0]
    poison(a, 1, value)
    ours.step()
    assert sorted(ours.nonfinite.values()) == [2, 4]
    assert ours.skipped == 0


@pytest.mark.parametrize("clip", [{}, {"clip_norm": 1.0}])
@pytest.mark.parametrize("backend", ["eager", "cpu"])
@pytest.mark.parametrize("name", ["SGD", "Adam", "LAMB", "NAdam"])
def test_skipped_steps_leave_everything_as_it_was(name, backend, clip):
    a = parameters()
    schedule = descend.schedules.cosine(9) * 0.1
    ours = getattr(descend, name)(a, lr=schedule, on_nonfinite="skip", backend=backend, **clip)
    b = copies(a)
    clean = getattr(descend, name)(b, lr=schedule, on_nonfinite="skip", backend=backend, **clip)
    train(ours, a, 2)
    train(clean, b, 2)
    for _ in range(2):
        before, state = copies(a), copy.deepcopy(ours.state_dict())
        poison(a, 9)
        ours.step()
        assert_equal(a, before, rtol=0)
        assert ours.clock.updates == 2
        for i, entry in ours.state_dict()["state"].items():
            for key, value in entry.items():
                assert torch.equal(value, state["state"][i][key]), key
    assert ours.skipped == 2 and sum(ours.nonfinite.values()) == 6
    train(ours, a, range(2, 4))
    train(clean, b, range(2, 4))
    assert_equal(a, b, rtol=0)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_a_skipped_first_step_leaves_no_trace(name):
    a = parameters()
    b = copies(a)
    ours, theirs = getattr(descend, name)(a, lr=0.1, on_nonfinite="skip"), getattr(torch.optim, name)(b, lr=0.1)
    ours.param_groups[0].update({"momentum": 0.9} if name == "SGD" else {})
    theirs.param_groups[0].update({"momentum": 0.9} if name == "SGD" else {})
    poison(a, 0)
    ours.step()
    train(ours, a, 3)
    train(theirs, b, 3)
    assert_equal(a, b)


@pytest.mark.parametrize("backend", ["eager", "cpu"])
def test_raise_names_the_tensors_and_changes_nothing(backend):
    a = parameters()
    ours = descend.Adam([("w", a[0]), ("b", a[1]), ("s", a[2])], on_nonfinite="raise", backend=backend)
    train(ours, a, 1)
    before = copies(a)
    poison(a, 1)
    with pytest.raises(
        NonFiniteError, match=r"Non-finite gradients in .*w.* \(2 elements\), .*b.* \(1 element"
    ) as caught:
        ours.step()
    assert "1 elements" not in str(caught.value)
    assert "update 1. Nothing was changed" in str(caught.value)
    assert_equal(a, before, rtol=0)
    assert ours.state[a[0]]["step"] == 1


def test_max_nonfinite_counts_skips_in_a_row():
    a = parameters()
    ours = descend.SGD(a, lr=0.1, on_nonfinite="skip", max_nonfinite=2)
    for bad in (True, True, False, True, True):
        poison(a, 0) if bad else set_gradients(a, 0)
        ours.step()
    before = copies(a)
    poison(a, 0)
    with pytest.raises(NonFiniteError, match=r"3 steps in a row had non-finite gradients.*max_nonfinite=2"):
        ours.step()
    assert_equal(a, before, rtol=0)
    assert (ours.skipped, ours.clock.updates) == (5, 1)


def test_deepcopy_copies_parameters_with_the_model():
    model = torch.nn.Linear(3, 2).double()
    ours = descend.AdamW(model.named_parameters(), lr=0.1, clip_norm=1.0)
    train(ours, list(model.parameters()), 2)
    model_too, ours_too = copy.deepcopy((model, ours))
    assert ours_too.param_groups[0]["params"][0] is model_too.weight
    assert ours_too.param_groups[0]["param_names"] == ["weight", "bias"]
    assert ours_too.wide["clip_norm"] == 1.0
    train(ours_too, list(model_too.parameters()), range(2, 4))
    assert ours.state[model.weight]["step"] == 2 and ours_too.state[model_too.weight]["step"] == 4
    train(ours, list(model.parameters()), range(2, 4))
    assert_equal(list(model.parameters()), list(model_too.parameters()), rtol=0)


def test_deepcopy_of_the_optimizer_alone_has_parameters_of_its_own():
    a = parameters()
    ours = descend.Adam(a, lr=descend.schedules.warmup(3) * 0.1)
    train(ours, a, 2)
    other = copy.deepcopy(ours)
    theirs = other.param_groups[0]["params"]
    assert all(x is not y and torch.equal(x, y) for x, y in zip(a, theirs, strict=True))
    train(other, theirs, range(2, 5))
    train(ours, a, range(2, 5))
    assert_equal(a, theirs, rtol=0)


def test_repr_lists_groups_and_options():
    text = repr(descend.SGD([{"params": parameters(), "lr": 0.5}, {"params": parameters(1)}], lr=0.25, momentum=0.9))
    assert text.startswith("SGD (\nParameter Group 0\n")
    assert "lr: 0.5" in text and "lr: 0.25" in text and "momentum: 0.9" in text
    assert "lr_start" not in text and "tensor" not in text


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


def test_a_sparse_gradient_is_refused_by_name():
    table = torch.nn.Embedding(5, 2, sparse=True)
    ours = descend.SGD(table.named_parameters(), lr=0.1)
    table(torch.tensor([1])).sum().backward()
    for _ in range(2):
        with pytest.raises(
            ParameterError, match=r"gradient of .*weight.* layout torch.sparse_coo; allowed: torch.strided"
        ):
            ours.step()


@pytest.mark.parametrize("name", sorted(descend.optimizers()))
def test_differentiable_steps_have_gradients(name):
    """d loss(p after two steps) / d (lr, p) against finite differences, in float64."""
    cls = getattr(descend, name)
    target = torch.tensor([1.0, -0.5, 0.25], dtype=torch.float64)
    curvature = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)

    def outer(start, lr):
        p = start.clone()
        p.retain_grad()
        optimizer = cls([p], lr=lr, differentiable=True)
        for _ in range(2):
            p.grad = curvature * (p - target)
            optimizer.step()
        return (p**2).sum()

    start = torch.tensor([0.3, 0.8, -1.2], dtype=torch.float64, requires_grad=True)
    lr = torch.tensor(0.05, dtype=torch.float64, requires_grad=True)
    by_p, by_lr = torch.autograd.grad(outer(start, lr), (start, lr))
    h = 1e-6
    plain = lr.detach()
    slope = (outer(start, plain + h) - outer(start, plain - h)) / (2 * h)
    assert by_lr.item() == pytest.approx(slope.item(), rel=1e-5)
    for i in range(3):
        step = torch.zeros(3, dtype=torch.float64)
        step[i] = h
        slope = (outer(start + step, plain) - outer(start - step, plain)) / (2 * h)
        assert by_p[i].item() == pytest.approx(slope.item(), rel=1e-5, abs=1e-9)


def test_differentiable_agrees_with_torchs():
    results = []
    for library in (torch.optim, descend):
        leaf = torch.tensor([0.3, 0.8], dtype=torch.float64, requires_grad=True)
        p = leaf.clone()
        p.retain_grad()
        optimizer = library.Adam([p], lr=0.1, weight_decay=0.01, betas=(0.5, 0.7), differentiable=True)
        for _ in range(3):
            p.grad = 3 * p.clone() ** 2
            optimizer.step()
        results.append(torch.autograd.grad(p.sum(), leaf)[0])
    assert_equal(results[1:], results[:1], rtol=1e-6)  # torch counts steps in float32
