"""Distributed checkpointing makes an optimizer allocate its states by a step with ``lr = 0``, which moves nothing."""

import pytest
import torch
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict

import descend
from descend.schedules import cosine, warmup

RATES = {"number": lambda: 0.1, "tensor": lambda: torch.tensor(0.1), "schedule": lambda: warmup(2) * cosine(20) * 0.1}
METHODS = {
    "SGD": {"momentum": 0.9, "weight_decay": 0.1},
    "AdamW": {"weight_decay": 0.1},
    "LAMB": {"weight_decay": 0.1},
    "Lion": {"weight_decay": 0.1},
}


def make(name: str, rate: str, backend: str):
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    return module, getattr(descend, name)(module.parameters(), lr=RATES[rate](), backend=backend, **METHODS[name])


def train(module, optimizer, steps: range) -> None:
    for k in steps:
        optimizer.zero_grad()
        x = torch.randn(8, 5, generator=torch.Generator().manual_seed(k))
        module(x).square().mean().backward()
        optimizer.step()
    optimizer.zero_grad()


def values(module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in module.parameters()]


def assert_same(a, b):
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def initialise(optimizer) -> None:
    """What torch's code does, by hand."""
    for group in optimizer.param_groups:
        for p in group["params"]:
            p.grad = torch.zeros_like(p)
    before = [group["lr"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["lr"] = torch.tensor(0.0) if isinstance(group["lr"], torch.Tensor) else 0.0
    optimizer.step(closure=None)
    for group, lr in zip(optimizer.param_groups, before, strict=True):
        group["lr"] = lr
    optimizer.zero_grad(set_to_none=True)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", METHODS)
def test_by_hand_on_a_new_optimizer(name, rate, backend):
    module, optimizer = make(name, rate, backend)
    before = values(module)
    initialise(optimizer)
    assert_same(values(module), before)
    assert all(optimizer.state[p] for p in module.parameters())
    expected, twin = make(name, rate, backend)
    for p in optimizer.state:  # loading puts the counts right; here by hand
        optimizer.state[p]["step"] = torch.tensor(0.0)
    if name == "SGD":
        return  # its momentum begins with the first gradient, which was 0
    train(module, optimizer, range(3))
    train(expected, twin, range(3))
    assert_same(values(module), values(expected))


@pytest.mark.parametrize("name", METHODS)
def test_a_schedule_by_hand_during_training(name, backend):
    """A written 0 holds for one step, which moves nothing and advances no clock; then the schedule goes on."""
    module, optimizer = make(name, "schedule", backend)
    train(module, optimizer, range(3))
    before = values(module)
    states = [t.clone() for s in optimizer.state.values() for t in s.values()]
    initialise(optimizer)
    assert_same(values(module), before)
    assert_same([t for s in optimizer.state.values() for t in s.values()], states)
    train(module, optimizer, range(3, 6))
    expected, twin = make(name, "schedule", backend)
    train(expected, twin, range(6))
    assert_same(values(module), values(expected))
    assert optimizer.param_groups[0]["lr"] == twin.param_groups[0]["lr"]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", METHODS)
def test_saving_through_torch_moves_nothing(name, rate, backend):
    module, optimizer = make(name, rate, backend)
    train(module, optimizer, range(3))
    before = values(module)
    state = get_optimizer_state_dict(module, optimizer)
    assert_same(values(module), before)
    assert set(state["state"]) == {n for n, _ in module.named_parameters()}
    train(module, optimizer, range(3, 5))
    expected, twin = make(name, rate, backend)
    train(expected, twin, range(5))
    assert_same(values(module), values(expected))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", METHODS)
def test_loading_through_torch_into_a_new_optimizer(name, rate, backend):
    """Resumed equals uninterrupted, to the bit."""
    module, optimizer = make(name, rate, backend)
    train(module, optimizer, range(3))
    state = get_optimizer_state_dict(module, optimizer)
    resumed, fresh = make(name, rate, backend)
    resumed.load_state_dict(module.state_dict())
    before = values(resumed)
    set_optimizer_state_dict(resumed, fresh, state)
    assert_same(values(resumed), before)
    for m, o in ((module, optimizer), (resumed, fresh)):
        train(m, o, range(3, 6))
    assert_same(values(resumed), values(module))
    assert float(fresh.param_groups[0]["lr"]) == float(optimizer.param_groups[0]["lr"])
