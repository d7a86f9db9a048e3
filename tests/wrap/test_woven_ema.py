"""The average that an optimizer keeps in its own step, against the wrapper that keeps its own."""

import io
from copy import deepcopy

import pytest
import torch
from torch import nn

import descend
from descend.errors import OptionError
from descend.schedules import constant
from descend.wrap import EMA, Lookahead, recalibrate

BACKENDS = ["eager", "cpu"]


def make_model(dtype=torch.float32, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 30), nn.BatchNorm1d(30), nn.Linear(30, 3)).to(dtype)


def train(model, optimizer, steps, after=lambda: None):
    for k in steps:
        x = torch.randn(16, 4, generator=torch.Generator().manual_seed(k)).to(model[0].weight.dtype)
        optimizer.zero_grad()
        model(x).float().square().mean().backward()
        optimizer.step()
        after()


def read(model):
    return {n: t.detach().clone() for n, t in model.state_dict().items()}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "dtype,options",
    [
        (torch.float32, {}),
        (torch.float64, {"clip_norm": 0.1, "weight_decay": 0.1}),
        (torch.bfloat16, {"rounding": "stochastic"}),
        (torch.bfloat16, {"rounding": "nearest"}),
        (torch.float16, {"rounding": "compensated", "metrics": True}),
    ],
)
def test_equal_to_the_wrapper(dtype, options, backend):
    """The last place may differ: torch's lerp is another order of the same sum."""
    model = make_model(dtype)
    optimizer = descend.AdamW(model.parameters(), lr=0.01, ema=0.9, backend=backend, **options)
    woven, wrapper = EMA.of(optimizer, model), EMA(model, 0.9)
    wrapper.attach(optimizer)
    train(model, optimizer, range(12))
    ours, theirs = woven.state_dict(), wrapper.state_dict()
    assert ours["weight"] == pytest.approx(1 - 0.9**12, rel=1e-14)
    assert {k: ours[k] for k in ("kind", "updates", "weight", "decay")} == {
        k: theirs[k] for k in ("kind", "updates", "weight", "decay")
    }
    tolerance = {"rtol": 1e-13, "atol": 1e-14} if dtype == torch.float64 else {"rtol": 1e-5, "atol": 1e-7}
    for name, value in theirs["averages"].items():
        torch.testing.assert_close(ours["averages"][name], value, **tolerance)
    assert not torch.equal(ours["averages"]["0.weight"], model[0].weight)


def test_the_first_step_gives_the_weights_themselves():
    model = make_model()
    optimizer = descend.SGD(model.parameters(), lr=0.1, ema=0.999)
    train(model, optimizer, range(1))
    assert torch.equal(optimizer.state[model[0].weight]["ema"], model[0].weight)


def test_a_scheduled_decay_and_groups_without():
    model = make_model()
    groups = [{"params": model[0].parameters()}, {"params": model[2].parameters(), "ema": None}]
    optimizer = descend.SGD(groups, lr=0.1, ema=constant(0.5).then(constant(0.75), at=2))
    wrapper = EMA(model, constant(0.5).then(constant(0.75), at=2))
    wrapper.attach(optimizer)
    woven = EMA.of(optimizer, model, buffers="keep")
    train(model, optimizer, range(5))
    expected = wrapper.state_dict()["averages"]
    torch.testing.assert_close(optimizer.state[model[0].weight]["ema"], expected["0.weight"], rtol=1e-5, atol=1e-7)
    assert "ema" not in optimizer.state[model[2].weight]
    with woven.swap():  # without an average a parameter is its own
        assert not torch.equal(model[0].weight, wrapper.state_dict()["averages"]["2.weight"])
    last = model[2].weight.detach().clone()
    with woven.swap():
        assert torch.equal(model[2].weight, last)


def test_swap_recalibrate_and_copy():
    model = make_model()
    optimizer = descend.AdamW(model.parameters(), lr=0.05, ema=0.9)
    average = EMA.of(optimizer, model)
    train(model, optimizer, range(6))
    before, averages = read(model), average.state_dict()["averages"]
    with average.swap():
        assert all(torch.equal(t, averages[n]) for n, t in read(model).items())
        recalibrate(model, [torch.randn(32, 4)])
        assert not torch.equal(model[1].running_mean, averages["1.running_mean"])
    assert all(torch.equal(t, before[n]) for n, t in read(model).items())
    other = make_model(seed=5)
    average.copy_to(other)
    assert all(torch.equal(t, averages[n]) for n, t in read(other).items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_network_follows_the_average(dtype):
    model = make_model(dtype)
    optimizer = descend.SGD(model.parameters(), lr=0.1, momentum=0.9, ema=0.5, rounding="stochastic")
    average = EMA.of(optimizer, model)
    network = average.network()
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), model.parameters(), strict=True))
    for k in range(3):
        train(model, optimizer, range(k, k + 1))
        for name, value in average.state_dict()["averages"].items():
            assert torch.equal(network.state_dict()[name], value.to(dtype) if value.is_floating_point() else value)
    assert not torch.equal(network.get_parameter("0.weight"), model[0].weight)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_optimizers_checkpoint_carries_it(backend):
    """Also into an optimizer that was made without: what was switched on comes back with the other options."""
    straight = make_model()
    optimizer = descend.AdamW(straight.named_parameters(), lr=0.05, ema=0.9, backend=backend)
    train(straight, optimizer, range(3))
    file = io.BytesIO()
    torch.save([straight.state_dict(), optimizer.state_dict()], file)
    train(straight, optimizer, range(3, 8))
    file.seek(0)
    weights, saved = torch.load(file, weights_only=True)
    for options in ({"ema": 0.9}, {}):
        model = make_model(seed=8)
        model.load_state_dict(weights)
        resumed = descend.AdamW(model.named_parameters(), lr=0.05, backend=backend, **options)
        resumed.load_state_dict(saved)
        train(model, resumed, range(3, 8))
        for p, q in zip(model.parameters(), straight.parameters(), strict=True):
            assert torch.equal(resumed.state[p]["ema"], optimizer.state[q]["ema"])


def test_an_average_that_is_switched_on_later_begins_then():
    model = make_model()
    optimizer = descend.SGD(model.named_parameters(), lr=0.1)
    train(model, optimizer, range(3))
    later = descend.SGD(model.named_parameters(), lr=0.1, ema=0.9)
    later.load_state_dict(optimizer.state_dict())
    train(model, later, range(3, 4))
    assert torch.equal(later.state[model[0].weight]["ema"], model[0].weight)


def test_the_wrappers_state_goes_both_ways():
    model = make_model()
    optimizer = descend.SGD(model.parameters(), lr=0.1)
    wrapper = EMA(model, 0.9)
    wrapper.attach(optimizer)
    train(model, optimizer, range(4))
    twin = deepcopy(model)
    following = descend.SGD(twin.parameters(), lr=0.1, ema=0.9)
    woven = EMA.of(following, twin)
    woven.load_state_dict(wrapper.state_dict())
    train(model, optimizer, range(4, 7))
    train(twin, following, range(4, 7))
    ours, theirs = woven.state_dict(), wrapper.state_dict()
    for name, value in theirs["averages"].items():
        torch.testing.assert_close(ours["averages"][name], value, rtol=1e-5, atol=1e-7)
    assert ours["updates"] == theirs["updates"] == 7
    back = EMA(make_model(), 0.9)
    back.load_state_dict(ours)
    assert torch.equal(back.state_dict()["averages"]["2.bias"], ours["averages"]["2.bias"])


def test_through_a_wrapped_optimizer_and_called_by_habit():
    model = make_model()
    optimizer = Lookahead(descend.SGD(model.parameters(), lr=0.1, ema=0.5), k=100)
    woven, wrapper = EMA.of(optimizer, model), EMA(model, 0.5)
    train(model, optimizer, range(4), after=lambda: (wrapper.update(), woven.update()))
    assert woven.updates == 4
    ours, theirs = woven.state_dict()["averages"], wrapper.state_dict()["averages"]
    torch.testing.assert_close(ours["1.running_mean"], theirs["1.running_mean"])
    torch.testing.assert_close(ours["0.weight"], theirs["0.weight"])


def test_refusals():
    model = make_model()
    with pytest.raises(OptionError, match="keeps no average of this model's"):
        EMA.of(torch.optim.SGD(model.parameters(), lr=0.1), model)
    with pytest.raises(OptionError, match="Make it one of descend's with ema=0.999"):
        EMA.of(descend.SGD(model.parameters(), lr=0.1), model)
    optimizer = descend.SGD(model.parameters(), lr=0.1, ema=0.9)
    with pytest.raises(OptionError, match="keeps no average"):
        EMA.of(optimizer, make_model())
    average = EMA.of(optimizer, model)
    with pytest.raises(OptionError, match="follows its own optimizer"):
        average.attach(optimizer)
    with pytest.raises(OptionError, match="cannot be copied"):
        deepcopy(average)
    with average.swap(), pytest.raises(OptionError, match="Step outside"):
        train(model, optimizer, range(1))
