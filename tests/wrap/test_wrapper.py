"""What every wrapper has of torch's optimizer: groups, state, hooks, closures, schedulers, checkpoints, copies."""

import pickle
from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict
from torch.optim.optimizer import register_optimizer_step_post_hook

import descend
from descend.errors import CheckpointError, OptionError
from descend.wrap import GSAM, SAM, Accumulation, Lookahead, LookSAM


def make_model(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


WRAPPERS = {
    "Lookahead": lambda o: Lookahead(o, k=2),
    "SAM": lambda o: SAM(o, rho=0.1),
    "Lookahead of SAM": lambda o: Lookahead(SAM(o, rho=0.1), k=2),
    "GSAM": lambda o: GSAM(o, rho=0.1),
    "LookSAM": lambda o: LookSAM(o, rho=0.1, k=2),
    "Accumulation": lambda o: Accumulation(o, steps=1),
    "Accumulation of Lookahead": lambda o: Accumulation(Lookahead(o, k=2), steps=1),
}
wrappers = pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
libraries = pytest.mark.parametrize("library", [torch.optim, descend])


def make_closure(model, optimizer, seed=3):
    x, y = torch.randn(8, 3, generator=torch.Generator().manual_seed(seed)), torch.ones(8, 1)

    def closure():
        assert torch.is_grad_enabled()
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        return loss

    return closure


@wrappers
@libraries
def test_shares_groups_state_and_defaults(wrap, library):
    model = make_model()
    inner = library.AdamW(model.parameters(), lr=0.1)
    optimizer = wrap(inner)
    assert isinstance(optimizer, torch.optim.Optimizer)
    assert optimizer.param_groups is inner.param_groups
    assert optimizer.defaults is inner.defaults
    extra = nn.Parameter(torch.zeros(2))
    optimizer.add_param_group({"params": [extra], "lr": 0.5})
    assert inner.param_groups[1]["lr"] == 0.5
    optimizer.step(make_closure(model, optimizer))
    assert set(optimizer.state) == set(inner.state) == set(model.parameters())


@wrappers
@libraries
def test_the_closures_loss_is_that_of_the_parameters(wrap, library):
    model = make_model()
    optimizer = wrap(library.SGD(model.parameters(), lr=0.1))
    closure = make_closure(model, optimizer)
    expected = closure().item()
    with torch.no_grad():
        assert optimizer.step(closure).item() == expected
    assert closure().item() < expected


@wrappers
@libraries
def test_zero_grad(wrap, library):
    model = make_model()
    optimizer = wrap(library.SGD(model.parameters(), lr=0.1))
    make_closure(model, optimizer)()
    optimizer.zero_grad(set_to_none=False)
    assert all(p.grad.eq(0).all() for p in model.parameters())
    optimizer.zero_grad()
    assert all(p.grad is None for p in model.parameters())


@wrappers
@libraries
def test_hooks_run_once_each_around_their_own_step(wrap, library):
    model, seen = make_model(), []
    inner = library.SGD(model.parameters(), lr=0.1)
    optimizer = wrap(inner)
    optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append(("before", o)))
    optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append(("after", o)))
    inner.register_step_post_hook(lambda o, args, kwargs: seen.append(("inner", o)))
    handle = register_optimizer_step_post_hook(lambda o, args, kwargs: seen.append(("global", o)))
    try:
        optimizer.step(make_closure(model, optimizer))
    finally:
        handle.remove()
    assert sorted(seen[1:-1], key=lambda pair: pair[0]) == [("global", inner), ("inner", inner)]
    assert seen[0] == ("before", optimizer)
    assert seen[-1] == ("after", optimizer)


@wrappers
def test_a_pre_hook_may_replace_the_closure(wrap):
    model = make_model()
    optimizer = wrap(descend.SGD(model.parameters(), lr=0.1))
    optimizer.register_step_pre_hook(lambda o, args, kwargs: ((o, make_closure(model, o)), kwargs))
    assert optimizer.step() is not None
    optimizer.register_step_pre_hook(lambda o, args, kwargs: 3)
    with pytest.raises(OptionError, match="pre-hook returned something: got 3"):
        optimizer.step()


@wrappers
@libraries
def test_torchs_schedulers(wrap, library):
    model = make_model()
    optimizer = wrap(library.SGD(model.parameters(), lr=0.1))
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    optimizer.step(make_closure(model, optimizer))
    scheduler.step()  # would warn if the step had not been seen
    assert scheduler.get_last_lr() == [0.05]
    assert optimizer.optimizer.param_groups[0]["lr"] == 0.05


@wrappers
def test_our_schedules_go_on_after_loading(wrap):
    def make():
        model = make_model()
        lr = descend.schedules.warmup(4) * 0.1
        return model, wrap(descend.AdamW(model.named_parameters(), lr=lr))

    straight, optimizer = make()
    for _ in range(5):
        optimizer.step(make_closure(straight, optimizer))
    half, stopped = make()
    for _ in range(3):
        stopped.step(make_closure(half, stopped))
    other, resumed = make()
    other.load_state_dict(half.state_dict())
    resumed.load_state_dict(stopped.state_dict())
    for _ in range(2):
        resumed.step(make_closure(other, resumed))
    assert resumed.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"] == pytest.approx(0.1)
    assert all(torch.equal(a, b) for a, b in zip(straight.parameters(), other.parameters(), strict=True))


def test_names_decide_where_the_inner_optimizer_matches_by_name():
    """Two parameters of one shape, listed in another order: slow weights follow the names like the momenta."""
    a, b = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))
    first = Lookahead(descend.SGD([("a", a), ("b", b)], lr=1.0, momentum=0.5), k=9)
    a.grad, b.grad = torch.full((2,), 1.0), torch.full((2,), 2.0)
    a.data.fill_(10.0)
    b.data.fill_(20.0)
    first.step()
    second = Lookahead(descend.SGD([("b", b), ("a", a)], lr=1.0, momentum=0.5), k=9)
    second.load_state_dict(first.state_dict())
    with second.swap():
        assert (a[0].item(), b[0].item()) == (10.0, 20.0)
    assert second.state[a]["momentum_buffer"][0].item() == 1.0


@libraries
def test_state_dict_copies_and_loading_copies(library):
    model = make_model()
    optimizer = Lookahead(library.AdamW(model.parameters(), lr=0.1), k=1)
    optimizer.step(make_closure(model, optimizer))
    saved = optimizer.state_dict()
    kept = deepcopy(saved)
    for _ in range(2):
        optimizer.step(make_closure(model, optimizer))
        for key in ("exp_avg", "lookahead_slow"):
            assert torch.equal(saved["state"][0][key], kept["state"][0][key])
        optimizer.load_state_dict(saved)


@libraries
def test_distributed_checkpoints_carry_everything(library):
    """They rename the entries of ``state`` and ``param_groups`` and drop whatever else a state dict has."""

    def make():
        model = make_model()
        return model, Lookahead(SAM(library.AdamW(model.parameters(), lr=0.1)), k=3)

    straight, first = make()
    half, second = make()
    for _ in range(4):
        first.step(make_closure(straight, first))
        second.step(make_closure(half, second))
    other, resumed = make()
    other.load_state_dict(half.state_dict())
    set_optimizer_state_dict(other, resumed, get_optimizer_state_dict(half, second))
    for _ in range(4):
        first.step(make_closure(straight, first))
        resumed.step(make_closure(other, resumed))
    assert all(torch.equal(a, b) for a, b in zip(straight.parameters(), other.parameters(), strict=True))


def test_a_sam_checkpoint_is_the_inner_optimizers():
    model = make_model()
    optimizer = SAM(descend.AdamW(model.parameters(), lr=0.1))
    optimizer.step(make_closure(model, optimizer))
    plain = descend.AdamW(model.parameters())
    plain.load_state_dict(optimizer.state_dict())
    assert plain.param_groups[0]["lr"] == 0.1


@libraries
def test_checkpoints_that_do_not_fit(library):
    model = make_model()
    optimizer = Lookahead(library.AdamW(model.parameters(), lr=0.1))
    optimizer.step(make_closure(model, optimizer))
    good = optimizer.state_dict()
    with pytest.raises(CheckpointError, match=r"(?s)'lookahead_steps'  Lookahead has not saved.*\nLoad it into"):
        optimizer.load_state_dict(optimizer.optimizer.state_dict())
    with pytest.raises(CheckpointError, match="no optimizer's state"):
        optimizer.load_state_dict({"a": 1})
    bad = deepcopy(good)
    bad["state"][0]["lookahead_slow"] = torch.zeros(7)
    bad["param_groups"][0]["lr"] = 9.0
    with pytest.raises(CheckpointError, match=r"'lookahead_slow' has shape \(7,\) in the checkpoint, \(4, 3\) here"):
        optimizer.load_state_dict(bad)
    fewer = Lookahead(library.AdamW(list(model.parameters())[:2]))
    with pytest.raises(CheckpointError, match=r"4\]? parameters"):
        fewer.load_state_dict(good)
    assert optimizer.param_groups[0]["lr"] == 0.1


@libraries
@pytest.mark.parametrize("name", ["Lookahead", "LookSAM", "Accumulation of Lookahead"])
def test_the_inner_optimizers_own_checkpoint_loads_where_strict_is_off(name, library):
    """A wrapper that comes later begins anew, and goes on as one around an optimizer that has just been loaded."""
    model = make_model()
    inner = library.AdamW(model.parameters(), lr=0.1)
    inner.step(make_closure(model, inner))
    saved, straight = inner.state_dict(), deepcopy(model)
    optimizer = WRAPPERS[name](library.AdamW(model.parameters()))
    with pytest.raises(CheckpointError, match="nothing was loaded"):
        optimizer.load_state_dict(saved)
    optimizer.step(make_closure(model, optimizer))  # what it kept of this is gone after loading
    model.load_state_dict(straight.state_dict())
    report = optimizer.load_state_dict(saved, strict=False)
    assert {f.kind for f in report.findings if f.kind != "changed"} == {"missing"} and not report.fits
    assert (report.parameters, report.loaded) == (4, 4)
    expected = WRAPPERS[name](library.AdamW(straight.parameters()))
    expected.optimizer.load_state_dict(saved, **({} if name != "Accumulation of Lookahead" else {"strict": False}))
    for _ in range(3):
        optimizer.step(make_closure(model, optimizer))
        expected.step(make_closure(straight, expected))
    assert all(map(torch.equal, model.parameters(), straight.parameters()))


def test_what_fits_is_loaded_where_strict_is_off():
    """A body goes on with its slow weights while a new head begins anew."""

    def make(head):
        torch.manual_seed(0)
        model = nn.ModuleDict({"body": nn.Linear(3, 2), head: nn.Linear(2, 1)})
        return model, Lookahead(descend.AdamW(model.named_parameters(), lr=0.1), k=5)

    old, saving = make("head")
    for p in old.parameters():
        p.grad = torch.ones_like(p)
    saving.step()
    state = saving.state_dict()
    new, optimizer = make("tail")
    with pytest.raises(CheckpointError, match=r"(?s)missing +'tail.bias'.*unexpected +'head.weight'"):
        optimizer.load_state_dict(state)
    assert optimizer.state_dict()["param_groups"][0]["lookahead_steps"] == 0
    report = optimizer.load_state_dict(state, strict=False)
    assert [f.kind for f in report.findings] == ["missing"] * 2 + ["unexpected"] * 2 + ["anew"] * 2
    again = optimizer.state_dict()
    kept = dict(zip(again["param_groups"][0]["param_names"], again["param_groups"][0]["params"], strict=True))
    there = dict(zip(state["param_groups"][0]["param_names"], state["param_groups"][0]["params"], strict=True))
    slow = again["state"][kept["body.weight"]]["lookahead_slow"]
    assert torch.equal(slow, state["state"][there["body.weight"]]["lookahead_slow"])
    assert kept["tail.weight"] not in again["state"]
    assert again["param_groups"][0]["lookahead_steps"] == 1
    state["state"][there["body.weight"]]["lookahead_slow"] = torch.zeros(7)
    report = optimizer.load_state_dict(state, strict=False)
    assert str(report.of("mismatched")[0].what) == "'lookahead_slow' has shape (7,) in the checkpoint, (2, 3) here"
    assert "lookahead_slow" not in optimizer.state_dict()["state"][kept["body.weight"]]
    assert new["body"].weight.grad is None


def test_half_a_cycle_of_sums_is_dropped_where_strict_is_off():
    """A sum without those of the other parameters would be of another batch than theirs."""

    def make(head):
        model = nn.ModuleDict({"body": nn.Linear(3, 2), head: nn.Linear(2, 1)})
        return model, Accumulation(descend.AdamW(model.named_parameters()), steps=3)

    old, saving = make("head")
    for p in old.parameters():
        p.grad = torch.ones_like(p)
    saving.step()
    assert saving.pending == 1
    new, optimizer = make("tail")
    optimizer.load_state_dict(saving.state_dict(), strict=False)
    assert optimizer.pending == 0 and new["body"].weight.grad is None


@wrappers
def test_state_dict_hooks(wrap):
    model = make_model()
    optimizer = wrap(descend.SGD(model.parameters(), lr=0.1))
    seen = []
    optimizer.register_state_dict_pre_hook(lambda o: seen.append("before saving"))
    optimizer.register_state_dict_post_hook(lambda o, d: {**d, "note": 1})
    optimizer.register_load_state_dict_pre_hook(lambda o, d: seen.append(d.pop("note")))
    optimizer.register_load_state_dict_post_hook(lambda o: seen.append("after loading"))
    optimizer.load_state_dict(optimizer.state_dict())
    assert seen == ["before saving", 1, "after loading"]


@wrappers
@libraries
def test_pickles_and_copies(wrap, library):
    model = make_model()
    optimizer = wrap(library.AdamW(model.parameters(), lr=0.1))
    torch.optim.lr_scheduler.ConstantLR(optimizer)  # puts a step of its own on the instance
    optimizer.step(make_closure(model, optimizer))
    for twin, copy in (deepcopy((model, optimizer)), pickle.loads(pickle.dumps((model, optimizer)))):
        copy.step(make_closure(twin, copy))
        reference, other = deepcopy((model, optimizer))
        other.step(make_closure(reference, other))
        assert all(torch.equal(a, b) for a, b in zip(twin.parameters(), reference.parameters(), strict=True))
        assert not any(torch.equal(a, b) for a, b in zip(twin.parameters(), model.parameters(), strict=True))


def test_prints_what_it_is():
    text = repr(Lookahead(SAM(descend.SGD(make_model().parameters())), k=6))
    assert text.startswith("Lookahead(k=6, alpha=0.5, inner_state='keep') of SAM(rho=0.05, adaptive=False) of SGD (")


def test_a_wrapper_passes_on_where_the_model_is_measured():
    p = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    optimizer = descend.Lookahead(descend.ScheduleFreeSGD([p], lr=0.1), k=100)
    for _ in range(3):
        p.grad = p.detach().clone()
        optimizer.step()
    y = p.detach().clone()
    with optimizer.evaluation():
        assert not torch.equal(p, y)
    assert torch.equal(p, y)
    optimizer.eval()
    with pytest.raises(OptionError, match="evaluation mode"):
        optimizer.step()
    optimizer.train()
    with descend.Lookahead(torch.optim.SGD([p], lr=0.1)).evaluation():
        assert torch.equal(p, y)


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_loss_in_the_place_of_the_closure_is_refused(name):
    model = make_model()
    optimizer = WRAPPERS[name](descend.SGD(model.parameters(), lr=0.1))
    with pytest.raises(OptionError, match=r"step\(closure\): got tensor.*After loss.backward\(\) write step\(\) alone"):
        optimizer.step(model(torch.ones(1, 3)).sum())


@pytest.mark.parametrize("wrap", [Lookahead, LookSAM, lambda o: Accumulation(o, steps=2)])
@pytest.mark.parametrize("value", [None, "x", float("nan")])
def test_a_damaged_count_is_refused(wrap, value):
    optimizer = wrap(descend.SGD(make_model().parameters(), lr=0.1))
    saved = optimizer.state_dict()
    (key,) = saved["param_groups"][0].keys() & {"lookahead_steps", "looksam_steps", "accumulation"}
    saved["param_groups"][0][key] = value
    with pytest.raises(CheckpointError, match=f"The checkpoint's '{key}'"):
        optimizer.load_state_dict(saved)
