"""What compiled code sees of parameters and gradients is what Python sees."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from descend.backends.cpu.inspection import gradients
from descend.backends.cpu.inspection.gradients import Answer, Gradients, find_torch


def make(params: list[Parameter], others: list[Tensor] | None = None) -> tuple[Gradients, np.ndarray]:
    """The taker of some parameters' gradients, which may have no part of some other tensors; and where they lie."""
    found = find_torch()
    assert found is not None
    stretches = sorted((t.data_ptr(), t.data_ptr() + t.nbytes) for t in others or [])
    starts = np.array([start for start, _ in stretches], np.int64)
    ends = np.array([0, *(end for _, end in stretches)], np.int64)
    addresses = np.zeros(len(params), np.int64)
    return Gradients(found, params, addresses, np.array(starts), ends), addresses


def with_gradients(*shapes: tuple[int, ...]) -> list[Parameter]:
    params = [Parameter(torch.randn(shape)) for shape in shapes]
    for p in params:
        p.grad = torch.randn_like(p)
    return params


def test_compiled_code_finds_what_it_needs_in_this_torch():
    assert find_torch() is not None


def test_addresses_are_those_of_the_gradients_in_every_step():
    params = with_gradients((3, 2), (5,), (), (0, 4), (1, 2, 3))
    taker, addresses = make(params)
    for expected in (Answer.OTHERS, Answer.SAME, Answer.SAME):
        assert taker.take() == expected
        assert addresses.tolist() == [p.grad.data_ptr() for p in params]
        for p in params:
            p.grad = torch.randn_like(p)


def test_a_tensor_without_gradient_is_told():
    params = with_gradients((3,), (4,), (5,))
    taker, addresses = make(params)
    taker.take()
    params[1].grad = None
    params[2].requires_grad_(False)
    assert taker.take() == Answer.OTHERS
    assert taker.present.tolist() == [1, 0, 0]
    assert addresses.tolist() == [params[0].grad.data_ptr(), 0, 0]
    assert taker.take() == Answer.SAME
    taker.forget()
    assert taker.take() == Answer.OTHERS


UNUSUAL = {
    "laid out otherwise": lambda g: g.t().contiguous().t(),
    "another dtype": lambda g: g.to(torch.bfloat16),
    "sparse": Tensor.to_sparse,
    "the negative of its memory": lambda g: torch.complex(g, -g).conj().imag,
    "not dense": lambda g: torch.stack([g, g], -1)[..., 0],
}


@pytest.mark.parametrize("kind", UNUSUAL)
def test_a_gradient_that_is_not_laid_out_as_its_parameter_is_not_taken(kind):
    params = with_gradients((4, 3), (2,))
    params[0].grad_dtype = None
    taker, _ = make(params)
    params[0].grad = UNUSUAL[kind](params[0].grad)
    assert taker.take() == Answer.UNUSUAL
    params[0].grad = torch.randn(4, 3)
    assert taker.take() in (Answer.SAME, Answer.OTHERS)


def test_a_conjugated_gradient_is_not_taken_as_it_lies():
    p = Parameter(torch.ones(3, dtype=torch.complex64))
    p.grad = torch.ones(3, dtype=torch.complex64)
    taker, _ = make([p])
    assert taker.take() == Answer.OTHERS
    p.grad = p.grad.conj()
    assert taker.take() == Answer.UNUSUAL


def test_axes_of_length_one_may_have_any_stride():
    p = Parameter(torch.ones(1, 3))
    p.grad = torch.ones(3, 1).t()
    assert p.grad.stride() != p.stride()
    assert make([p])[0].take() == Answer.OTHERS


@pytest.mark.parametrize("offset, met", [(0, True), (7, True), (8, False), (-4, False), (-3, True)])
def test_a_gradient_with_a_part_of_a_parameters_memory_is_not_taken(offset, met):
    memory = torch.zeros(32)
    other, p = memory[8:16], Parameter(torch.zeros(4))
    p.grad = memory[8 + offset : 12 + offset]
    taker, _ = make([p], [memory[:2], other, memory[30:]])
    assert taker.take() == (Answer.UNUSUAL if met else Answer.OTHERS)


def swap(p: Parameter) -> None:
    torch.utils.swap_tensors(p, Parameter(torch.zeros(4)))


def point_elsewhere(p: Parameter) -> None:
    p.data = torch.zeros(4)


def reshape(p: Parameter) -> None:
    p.data = p.data.view(2, 2)


def retype(p: Parameter) -> None:
    p.data = p.data.double()


def resize(p: Parameter) -> None:
    p.requires_grad_(False).resize_(3)


@pytest.mark.parametrize("change", [swap, point_elsewhere, reshape, retype, resize])
def test_a_parameter_with_another_place_or_layout_is_noticed(change):
    params = with_gradients((2,), (4,))
    taker, _ = make(params)
    taker.take()
    params[1].grad = None
    change(params[1])
    assert taker.take() == Answer.MOVED


def test_gradients_are_held_from_taking_to_releasing_and_only_if_taken():
    p = Parameter(torch.zeros(2, 3))
    q = Parameter(torch.zeros(2, 3))
    p.grad, q.grad = torch.zeros(2, 3), torch.zeros(3, 2).t()
    taker, _ = make([p, q])
    count = p.grad._use_count()
    assert taker.take() == Answer.UNUSUAL
    assert p.grad._use_count() == count
    q.grad = torch.zeros(2, 3)
    taker.take()
    assert p.grad._use_count() == count + 1
    taker.take()
    assert p.grad._use_count() == count + 1
    taker.release()
    assert p.grad._use_count() == count
    taker.take()
    del taker
    assert p.grad._use_count() == count


@pytest.mark.parametrize(
    "mode", [torch.inference_mode(), torch.device("meta"), torch.no_grad()], ids=["inference", "meta", "no_grad"]
)
def test_modes_of_the_first_step_do_not_matter(mode):
    with mode:
        assert find_torch.__wrapped__() is not None


def test_python_asks_where_torch_has_no_such_function(monkeypatch):
    monkeypatch.setitem(gradients._SYMBOLS, "grad", "no_such_symbol")
    assert find_torch.__wrapped__() is None


def test_python_asks_where_torch_answers_otherwise(monkeypatch):
    monkeypatch.setitem(gradients._SYMBOLS, "get_sizes", "aoti_torch_get_strides")
    assert find_torch.__wrapped__() is None
