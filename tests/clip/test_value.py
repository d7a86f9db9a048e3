"""clip_value against NumPy, torch and the woven clip_value=."""

import numpy as np
import pytest
import torch
from torch import nn

import descend
from descend.clip import clip_value
from descend.errors import OptionError


def make_parameters(dtype):
    rng = np.random.default_rng(1)
    parameters = [nn.Parameter(torch.zeros(s, dtype=dtype)) for s in [(3, 4), (5,), (), (0,)]]
    for p in parameters:
        p.grad = torch.tensor(2 * rng.standard_normal(p.shape)).to(dtype)
    return parameters


def test_values_and_the_largest_of_them():
    parameters = make_parameters(torch.float64)
    arrays = [p.grad.numpy().copy() for p in parameters]
    assert clip_value(parameters, 0.7).item() == max(np.abs(a).max() for a in arrays if a.size)
    for p, a in zip(parameters, arrays, strict=True):
        np.testing.assert_array_equal(p.grad.numpy(), np.clip(a, -0.7, 0.7))


def test_equals_torch():
    ours, theirs = make_parameters(torch.float32), make_parameters(torch.float32)
    clip_value(ours, 0.5)
    nn.utils.clip_grad_value_(theirs, 0.5)
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("backend", ["cpu", "eager"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_the_woven_form_to_the_bit(dtype, backend):
    outside, inside = make_parameters(dtype), make_parameters(dtype)
    clip_value(outside, 0.3)
    descend.SGD(outside, lr=0.1, backend=backend).step()
    descend.SGD(inside, lr=0.1, clip_value=0.3, backend=backend).step()
    assert all(torch.equal(a, b) for a, b in zip(outside, inside, strict=True))


def test_complex_parts_are_clamped_each():
    gradient = torch.tensor([3 - 0.2j])
    assert clip_value([gradient], 1.0).item() == 3.0
    assert torch.equal(gradient, torch.tensor([1 - 0.2j]))


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), "1", True])
def test_the_bound_is_a_positive_number(bad):
    with pytest.raises(OptionError, match="clip_value: max_value.*finite number > 0"):
        clip_value([torch.ones(2)], bad)
