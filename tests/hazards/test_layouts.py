"""Parameters and gradients in every layout that torch has, against torch."""

import pytest
import torch

import descend
from descend.errors import BackendError, ParameterError
from hazards.twins import Twins

LAYOUTS = {
    "transposed": lambda g: g.t().contiguous().t(),
    "strided": lambda g: torch.stack([g, g], dim=-1)[..., 0],
    "offset": lambda g: torch.cat([g[:1], g])[1:],
    "reversed in memory": lambda g: g.flip(0).contiguous().flip(0),
    "expanded": lambda g: g[:1, :1].expand(g.shape),
    "expanded rows": lambda g: g[:1].expand(g.shape),
}


def relayout(twins: Twins, layout, *, data: bool) -> None:
    """Give our first parameter (or gradient) another layout of the same values."""
    p, q = twins.each(0)
    if data:
        p.data = layout(p.data)
        q.data = p.data.contiguous().clone()
    else:
        p.grad = layout(p.grad)
        q.grad = p.grad.contiguous().clone()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["SGD", "Adam", "Adafactor"])
def test_gradients(name, layout, backend):
    twins = Twins(name, backend, shapes=((4, 4), (3,)))
    for k in range(4):
        twins.set_gradients()
        if k % 2:  # the layout comes and goes
            relayout(twins, LAYOUTS[layout], data=False)
        twins.step(gradients=False)
        twins.step(gradients=False)  # the same gradient again
    twins.assert_equal()


@pytest.mark.parametrize("layout", [k for k in LAYOUTS if "expanded" not in k])
@pytest.mark.parametrize("name", ["SGD", "Adam", "Adafactor"])
def test_parameters(name, layout, backend):
    """Where a kernel cannot serve a layout, eager does."""
    twins = Twins(name, backend, shapes=((4, 4), (3,)))
    relayout(twins, LAYOUTS[layout], data=True)
    if backend == "cpu":
        twins.optimizer = getattr(descend, name)(twins.params[0], lr=0.1)
    strides = twins.params[0][0].stride()
    twins.step(3)
    twins.assert_equal()
    assert twins.params[0][0].stride() == strides


LAZY = {
    torch.complex64: (torch.conj, torch.Tensor.is_conj),
    torch.float32: (torch.ops.aten._neg_view, torch.Tensor.is_neg),
}


@pytest.mark.parametrize("dtype", LAZY, ids=str)
@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_gradients_that_show_another_value_than_their_memory(name, dtype, backend):
    """Backward passes hand on views that show the conjugate, or the negative, of what lies in memory."""
    view, is_lazy = LAZY[dtype]
    ours, theirs = (torch.nn.Parameter(torch.ones(5, dtype=dtype)) for _ in range(2))
    optimizer = getattr(descend, name)([ours], lr=0.1, backend=backend)
    other = getattr(torch.optim, name)([theirs], lr=0.1)
    for g in torch.randn(3, 5, dtype=dtype):
        ours.grad, theirs.grad = view(g), view(g).clone().resolve_conj().resolve_neg()
        assert is_lazy(ours.grad)
        optimizer.step()
        other.step()
    assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_a_kernel_that_was_asked_for_by_name_refuses_gaps_by_name():
    p = torch.nn.Parameter(torch.zeros(8)[::2])
    p.grad = torch.ones(4)
    optimizer = descend.Adam([("sparse.weight", p)], backend="cpu")
    with pytest.raises(BackendError, match=r"sparse\.weight.*gaps"):
        optimizer.step()
    assert (p == 0).all()


@pytest.mark.parametrize("name", ["SGD", "Adam"])
@pytest.mark.parametrize(
    "formats",
    [
        (torch.channels_last, torch.channels_last),
        (torch.channels_last, torch.contiguous_format),
        (torch.contiguous_format, torch.channels_last),
    ],
    ids=str,
)
def test_channels_last(name, formats, backend):
    twins = Twins(name, backend, shapes=((3, 4, 2, 2), (5,)))
    p = twins.params[0][0]
    p.data = p.data.to(memory_format=formats[0])
    for _ in range(3):
        twins.set_gradients()
        p.grad = p.grad.to(memory_format=formats[1])
        twins.step(gradients=False)
    twins.assert_equal()


def test_rows_are_those_of_the_shape_in_any_layout():
    """A kernel goes row by row through memory; where rows lie otherwise, eager serves and says why."""
    twins = Twins("Adafactor", "auto", shapes=((3, 4, 2, 2), (5, 7)))
    p = twins.params[0][0]
    p.data = p.data.to(memory_format=torch.channels_last)
    twins.step(3)
    twins.assert_equal()
    reasons = {part.backend: part.reason for part in twins.optimizer.explain().parts}
    assert set(reasons) == {"eager", "cpu"} and "rows do not follow" in reasons["eager"]


def test_a_matrix_that_is_turned_in_its_place():
    """The address and the size stay, the rows do not."""
    twins = Twins("Adafactor", "auto", shapes=((4, 4),))
    twins.step(2)
    for p in twins.each(0):
        p.data = p.data.t()
    twins.step(2)
    twins.assert_equal()


@pytest.mark.parametrize("name", ["SGD", "Adam", "Adagrad"])
def test_sizes_of_zero_and_one(name, backend):
    twins = Twins(name, backend, shapes=((), (0,), (1,), (1, 1, 1), (3, 0), (7,)))
    twins.step(3)
    twins.assert_equal()
    assert twins.params[0][0].shape == () and twins.params[0][4].shape == (3, 0)


@pytest.mark.parametrize("name", ["SGD", "Adam", "LAMB", "Adafactor", "CAME", "SM3"])
def test_nothing_but_empty_tensors(name, backend):
    p = torch.nn.Parameter(torch.zeros(0, 4))
    p.grad = torch.zeros(0, 4)
    optimizer = getattr(descend, name)([p], lr=0.1, clip_norm=1.0, backend=backend)
    optimizer.step()
    optimizer.step()
    assert float(optimizer.state[p]["step"]) == 2.0


@pytest.mark.parametrize("first", [torch.zeros(4, 4).expand(4, 4), torch.zeros(()).expand(2)])
def test_expanded_parameters_are_refused_by_name(first, backend):
    if first.is_contiguous():
        descend.SGD([first.requires_grad_()], backend=backend)  # expanded to its own size, it is a plain tensor
        return
    p = torch.nn.Parameter(first)
    with pytest.raises(ParameterError, match="'tied' is expanded: several of its elements are one number in memory"):
        descend.SGD([("tied", p)], backend=backend)


def test_a_gradient_is_transposed_in_place(backend):
    twins = Twins("SGD", backend, shapes=((4, 4),))
    twins.step()
    for p in twins.each(0):
        p.grad.t_()
    twins.step(gradients=False)
    twins.assert_equal()


def test_a_new_gradient_at_the_old_address(backend):
    """After zero_grad() the next gradient often takes the memory, and the object, of the last one."""
    twins = Twins("SGD", backend, shapes=((64, 64),))
    for k in range(6):
        g = twins.draw(0)
        p, q = twins.each(0)
        twins.optimizer.zero_grad()
        p.grad = torch.empty_strided((64, 64), (64, 1) if k % 2 else (1, 64)).copy_(g)
        q.grad = g
        twins.step(gradients=False)
    twins.assert_equal()


def test_a_step_after_a_refused_one(backend):
    p = torch.nn.Parameter(torch.zeros(5, 3))
    optimizer = descend.Adam([p], lr=0.1, backend=backend)
    p.grad = torch.ones(5, 3).to_sparse()  # two sparse dimensions
    with pytest.raises(ParameterError, match="2 sparse dimensions"):
        optimizer.step()
    p.grad = torch.ones(5, 3)
    optimizer.step()
    torch.testing.assert_close(p.detach(), torch.full((5, 3), -0.1))
