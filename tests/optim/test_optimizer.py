"""The surface of ``torch.optim.Optimizer``: closures, hooks, groups, missing gradients, copies."""

import copy

import pytest
import torch
from torch.optim import optimizer as torch_optimizer

import descend
from descend.errors import OptionError
from optim.models import PAIRS, assert_equal, copies, pair, parameters, set_gradients, train


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


def test_a_loss_in_the_place_of_the_closure_is_refused():
    ours, *_ = pair("SGD")
    with pytest.raises(OptionError, match=r"SGD.step.closure.: got tensor.*After loss.backward.. write step.. alone"):
        ours.step(torch.ones(()))


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
    ours, _a, *_ = pair(lr=0.1)
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
    start, kept = copies(a), a[1]
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
