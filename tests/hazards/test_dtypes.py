"""dtypes that change under an optimizer, and gradients of another dtype than their parameter."""

import pytest
import torch

import descend
from descend.errors import ParameterError
from hazards.twins import Twins


def module(backend: str, name: str = "Adam", **options: object):
    made = torch.nn.Linear(3, 2)
    optimizer = getattr(descend, name)(made.named_parameters(), lr=0.1, backend=backend, **options)
    return made, optimizer


def step(made: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    made(torch.ones(1, 3, dtype=made.weight.dtype)).sum().backward()
    optimizer.step()


@pytest.mark.parametrize(
    "backend",
    ["cpu", "eager"],
)
def test_double_after_a_step_is_refused_by_name(backend):
    made, optimizer = module(backend)
    step(made, optimizer)
    made.double()
    before = made.weight.detach().clone()
    for _ in range(2):  # and stays refused
        with pytest.raises(ParameterError, match=r"'weight' has become torch\.float64.*'exp_avg' is torch\.float32"):
            step(made, optimizer)
    assert torch.equal(made.weight, before)


def test_double_before_the_first_step(backend):
    made, optimizer = module(backend)
    optimizer.explain()  # has a plan for float32 already
    made.double()
    expected = made.weight.detach() - 0.1
    step(made, optimizer)
    assert optimizer.state[made.weight]["exp_avg"].dtype == torch.float64
    torch.testing.assert_close(made.weight.detach(), expected, rtol=0, atol=1e-8)


def test_double_where_there_is_no_state(backend):
    made, optimizer = module(backend, "SGD")
    step(made, optimizer)
    made.double()
    expected = made.weight.detach() - 0.1
    step(made, optimizer)
    torch.testing.assert_close(made.weight.detach(), expected, rtol=0, atol=1e-15)


def test_back_again(backend):
    """A visit to float64 between two steps, as an export does, leaves no trace."""
    twins = Twins("Adam", backend)
    twins.step()
    for params in twins.params:
        for p in params:
            p.data = p.data.double().float()
    twins.step()
    twins.assert_equal()


def test_bfloat16_after_a_step_keeps_the_float32_states(backend):
    made, optimizer = module(backend)
    step(made, optimizer)
    made.bfloat16()
    expected = (made.weight.detach().float() - 0.1).bfloat16()
    step(made, optimizer)
    assert optimizer.state[made.weight]["exp_avg"].dtype == torch.float32
    torch.testing.assert_close(made.weight.detach(), expected, rtol=0, atol=2**-8)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_a_gradient_of_another_dtype(name, backend):
    """``p.data`` became float32 while a float64 gradient was there."""
    twins = Twins(name, backend, dtype=torch.float64)
    twins.set_gradients()
    for p in twins.params[0]:
        p.data = p.data.float()
    assert twins.params[0][0].grad.dtype == torch.float64
    for _ in range(2):
        twins.step(gradients=False)
    for p, q in zip(*twins.params, strict=True):
        torch.testing.assert_close(p.detach().double(), q.detach(), rtol=1e-5, atol=2e-6)


def test_a_state_of_another_dtype_is_refused_by_name(backend):
    made, optimizer = module(backend)
    step(made, optimizer)
    optimizer.state[made.weight]["exp_avg"] = optimizer.state[made.weight]["exp_avg"].double()
    with pytest.raises(ParameterError, match=r"'weight'.*'exp_avg' is torch\.float64"):
        step(made, optimizer)
