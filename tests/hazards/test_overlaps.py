"""Tensors that share memory: right, or refused by name."""

import pytest
import torch

import descend
from descend.errors import ParameterError
from hazards.twins import Twins


def follow_alone(name: str, start: torch.Tensor, gradient, steps: int, **options: object) -> torch.Tensor:
    """torch's optimizer with a gradient that is computed from the parameter and shares nothing with it."""
    q = torch.nn.Parameter(start.clone())
    optimizer = getattr(torch.optim, name)([q], lr=0.1, foreach=False, **options)
    for _ in range(steps):
        q.grad = gradient(q.detach().clone()).contiguous().clone()
        optimizer.step()
    return q.detach()


METHODS = [("SGD", {}), ("SGD", {"momentum": 0.9}), ("Adam", {}), ("Adam", {"weight_decay": 0.1})]


@pytest.mark.parametrize(("name", "options"), METHODS)
def test_the_gradient_is_the_parameter(name, options, backend):
    start = torch.randn(4, 4, generator=torch.Generator().manual_seed(1))
    p = torch.nn.Parameter(start.clone())
    optimizer = getattr(descend, name)([p], lr=0.1, backend=backend, **options)
    for _ in range(3):
        p.grad = p.data
        optimizer.step()
    expected = follow_alone(name, start, lambda q: q, 3, **options)
    torch.testing.assert_close(p.detach(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "options"), METHODS)
def test_the_gradient_is_the_parameter_in_another_order(name, options, backend):
    """A transposed view: element (i, j) of the gradient lies where element (j, i) of p is written."""
    start = torch.randn(5, 5, generator=torch.Generator().manual_seed(1))
    p = torch.nn.Parameter(start.clone())
    optimizer = getattr(descend, name)([p], lr=0.1, backend=backend, **options)
    p.grad = p.data.t()
    for _ in range(3):
        optimizer.step()
    torch.testing.assert_close(p.detach(), follow_alone(name, start, torch.t, 3, **options), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shift", [1, 7])
def test_the_gradient_lies_partly_on_the_parameter(shift, backend):
    memory = torch.randn(100, generator=torch.Generator().manual_seed(1))
    start, rest = memory[:50].clone(), memory[50:].clone()
    p = torch.nn.Parameter(memory[:50])
    p.grad = memory[shift : 50 + shift]
    optimizer = descend.SGD([p], lr=0.1, backend=backend)
    optimizer.step()
    expected = start - 0.1 * torch.cat([start, rest])[shift : 50 + shift]
    torch.testing.assert_close(p.detach(), expected, rtol=1e-6, atol=1e-7)
    assert torch.equal(memory[50:], rest)


def assert_a_gradient_may_be_a_parameter(order: tuple[int, int], backend: str, arrange) -> None:
    """Every gradient counts as it was when the step began, whichever tensor is stepped first."""
    params = [torch.nn.Parameter(torch.full((4,), i + 1.0)) for i in range(2)]
    params[order[0]].grad = torch.ones(4)
    params[order[1]].grad = params[order[0]].data
    optimizer = descend.SGD(arrange(params), lr=0.5, backend=backend)
    optimizer.step()
    assert params[order[0]].tolist() == [order[0] + 0.5] * 4
    assert params[order[1]].tolist() == [order[1] + 1 - 0.5 * (order[0] + 1)] * 4


@pytest.mark.parametrize(
    ("backend", "order"),
    [
        ("cpu", (0, 1)),
        ("cpu", (1, 0)),
        ("eager", (1, 0)),
        ("eager", (0, 1)),
    ],
)
def test_the_gradient_is_another_parameter(backend, order):
    assert_a_gradient_may_be_a_parameter(order, backend, lambda params: params)


@pytest.mark.parametrize("order", [(1, 0), (0, 1)])
def test_the_gradient_is_a_parameter_of_another_batch(backend, order):
    """Groups of another structure have a kernel of their own."""
    assert_a_gradient_may_be_a_parameter(
        order, backend, lambda params: [{"params": params[:1]}, {"params": params[1:], "momentum": 0.9}]
    )


@pytest.mark.parametrize("name", ["SGD", "Adam", "Adagrad"])
def test_two_parameters_share_a_gradient(name, backend):
    twins = Twins(name, backend, shapes=((6, 2), (6, 2), (12,)))
    for _ in range(3):
        g = twins.draw(0)
        shared = g.clone()
        for a, b in (twins.each(i) for i in range(2)):
            a.grad, b.grad = shared, g.clone()
        twins.params[0][2].grad, twins.params[1][2].grad = shared.view(12), g.reshape(12).clone()
        twins.step(gradients=False)
        assert torch.equal(shared, g)
    twins.assert_equal()


@pytest.mark.parametrize(("start", "end"), [(0, 10), (9, 19), (2, 5), (0, 1)])
def test_parameters_that_partly_overlap_are_refused_by_name(start, end, backend):
    memory = torch.zeros(20)
    a, b = torch.nn.Parameter(memory[:10]), torch.nn.Parameter(memory[start:end])
    with pytest.raises(ParameterError, match=r"'(first|second)' and '(first|second)' share memory"):
        descend.Adam([("first", a), ("second", b)], backend=backend)
    optimizer = descend.Adam([("first", a)], backend=backend)
    with pytest.raises(ParameterError, match="share memory"):
        optimizer.add_param_group({"params": [("second", b)]})
    assert len(optimizer.param_groups) == 1


def test_a_parameter_inside_another_behind_a_third_is_refused(backend):
    """Neighbours in memory do not overlap here, the outer ones do."""
    memory = torch.zeros(40)
    params = [torch.nn.Parameter(memory[a:b]) for a, b in ((0, 30), (2, 5), (10, 20))]
    with pytest.raises(ParameterError, match="share memory"):
        descend.Adam(params, backend=backend)


def test_a_parameter_inside_a_wider_one_that_is_not_its_neighbour(backend):
    """Columns 0 and 2 interleave with column 1, and the last parameter lies inside column 0's elements."""
    memory = torch.zeros(4, 3)
    params = [torch.nn.Parameter(memory[:, 0]), torch.nn.Parameter(memory[0, 1:]), torch.nn.Parameter(memory[2:3, 0])]
    with pytest.raises(ParameterError, match="share memory"):
        descend.Adam(params, backend=backend)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_disjoint_views_of_one_buffer(name, backend):
    """Neighbours, and columns of one matrix, are parameters like any other."""
    twins = Twins(name, backend, shapes=((6,), (2, 3), (5,), (5,)))
    values = [p.detach().clone() for p in twins.params[0]]
    buffer, matrix = torch.zeros(12), torch.zeros(5, 2)
    views = [buffer[:6], buffer[6:].view(2, 3), matrix[:, 0], matrix[:, 1]]
    params = [torch.nn.Parameter(v.copy_(x)) for v, x in zip(views, values, strict=True)]
    twins.params[0] = params
    twins.optimizer = getattr(descend, name)(params, lr=0.1, backend="auto" if backend == "cpu" else backend)
    twins.step(3)
    twins.assert_equal()
    assert torch.equal(buffer[:6], params[0]) and torch.equal(matrix[:, 1], params[3])


def test_parameters_that_come_to_share_memory_are_refused_by_name(backend):
    a, b = torch.nn.Parameter(torch.zeros(4)), torch.nn.Parameter(torch.zeros(4))
    optimizer = descend.Adam([("first", a), ("second", b)], lr=0.1, backend=backend)
    a.grad, b.grad = torch.ones(4), torch.ones(4)
    optimizer.step()
    b.data = a.data
    with pytest.raises(ParameterError, match="share memory"):
        optimizer.step()


def test_the_same_parameter_twice_is_refused(backend):
    p = torch.nn.Parameter(torch.zeros(4))
    with pytest.raises(ParameterError, match="'encoder' and 'decoder' are the same parameter"):
        descend.Adam([("encoder", p), ("decoder", p)], backend=backend)
