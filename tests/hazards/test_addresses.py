"""Memory that moves under a parameter between steps."""

import pytest
import torch
from torch.nn.utils import parameters_to_vector, vector_to_parameters

import descend
from descend.errors import ParameterError
from hazards.children import in_child
from hazards.twins import Twins


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_data_is_swapped(name, backend):
    twins = Twins(name, backend)
    twins.step(2)
    olds = [p.data for p in twins.params[0]]
    kept = [old.clone() for old in olds]
    for params in twins.params:
        for i, p in enumerate(params):
            p.data = p.data * 0.5 + i
    twins.step(2)
    twins.assert_equal()
    assert all(torch.equal(old, copy) for old, copy in zip(olds, kept, strict=True))


def test_vector_to_parameters(backend):
    """The parameters become views of one vector."""
    twins = Twins("Adam", backend)
    twins.step()
    for params in twins.params:
        vector_to_parameters(parameters_to_vector(params).detach() * 0.9, params)
    assert twins.params[0][1].storage_offset() > 0
    twins.step(2)
    twins.assert_equal()


def test_parameters_move_to_shared_memory(backend):
    twins = Twins("Adam", backend)
    twins.step()
    for p in twins.params[0]:
        p.share_memory_()
    twins.step(2)
    twins.assert_equal()
    assert all(p.is_shared() for p in twins.params[0])


def test_storage_is_replaced_in_place(backend):
    twins = Twins("Adam", backend)
    twins.step()
    for p in twins.params[0]:
        p.data.set_(p.data.clone())
    twins.step()
    for p in twins.params[0]:
        with torch.no_grad():
            p.set_(p.detach().clone())
    twins.step()
    twins.assert_equal()


def test_one_parameter_moves_while_another_has_no_gradient(backend):
    twins = Twins("Adam", backend)
    twins.step()
    twins.set_gradients()
    for params in twins.params:
        params[0].grad = None
        params[0].data = params[0].data.clone() + 1
        params[1].data = params[1].data.clone() + 1
    twins.step(gradients=False)
    twins.step()
    twins.assert_equal()


@pytest.mark.parametrize("backend", ["eager", "cpu"])
@pytest.mark.parametrize("way", ["share_memory_", "data", "set_"])
def test_states_move_in_place(backend, way):
    """A3C shares an optimizer's states with ``state["exp_avg"].share_memory_()``."""

    def work():
        torch.set_num_threads(1)  # torch's own threads hang in a forked child
        twins = Twins("Adam", backend, shapes=((5000,),))
        twins.step()
        kept = []
        for state in twins.optimizer.state.values():
            for key in ("exp_avg", "exp_avg_sq"):
                kept.append(state[key].detach())  # keeps the freed memory of a child from ending it too early
                if way == "share_memory_":
                    state[key].share_memory_()
                elif way == "data":
                    state[key].data = state[key].data.clone()
                else:
                    state[key].set_(state[key].clone())
        twins.step(2)
        twins.assert_equal()

    in_child(work)


@pytest.mark.parametrize(
    "backend",
    [
        "eager",
        "cpu",
    ],
)
def test_the_layout_changes(backend):
    """``model.to(memory_format=torch.channels_last)`` after the first step: the states keep the old order."""
    twins = Twins("Adam", backend, shapes=((3, 4, 2, 2),))
    twins.step()
    for p in twins.each(0):
        p.data = p.data.to(memory_format=torch.channels_last)
    twins.step(2)
    twins.assert_equal()


@pytest.mark.parametrize("name", ["Adam", "SGD"])
@pytest.mark.parametrize("size", [4, 30])
def test_another_shape_is_refused_by_name(name, size, backend):
    """Walking the old number of elements over a smaller tensor would write behind its end."""
    memory = torch.zeros(64)
    p = torch.nn.Parameter(torch.ones(16))
    optimizer = getattr(descend, name)([("layer.weight", p)], lr=0.1, backend=backend)
    p.grad = torch.ones(16)
    optimizer.step()
    p.data = memory[:size]
    with pytest.raises(ParameterError, match=r"layer\.weight.*shape"):
        optimizer.step()  # the gradient still has the old shape
    assert (memory == 0).all()


@pytest.mark.parametrize("backend", ["eager", "cpu"])
def test_another_shape_is_fine_before_the_first_step(backend):
    p = torch.nn.Parameter(torch.ones(50_000))  # made here: a child of who has used threads cannot fill it

    def work():
        optimizer = descend.Adam([p], lr=0.1, backend=backend)
        optimizer.explain()  # plans for 50,000 numbers
        p.data = torch.ones(4)
        p.grad = torch.ones(4)
        optimizer.step()
        torch.testing.assert_close(p.detach(), torch.full((4,), 0.9))

    in_child(work)
