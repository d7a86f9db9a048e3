"""A tensor that lies elsewhere is noticed."""

import pytest
import torch

from descend.backends.cpu.inspection.gradients import find_torch
from descend.backends.cpu.inspection.places import Places

pytestmark = pytest.mark.skipif(find_torch() is None, reason="compiled code cannot ask this torch")


def make(*tensors: torch.Tensor) -> Places:
    found = find_torch()
    assert found is not None
    return Places(found, tensors)


def test_writing_moves_nothing():
    tensors = [torch.ones(3), torch.ones(0), torch.ones((), dtype=torch.float64), torch.ones(2, dtype=torch.complex64)]
    places = make(*tensors)
    for t in tensors:
        t.mul_(2)
    assert places.are_same()


@pytest.mark.parametrize("which", [0, 1])
def test_a_tensor_that_is_moved_is_noticed(which):
    tensors = [torch.ones(3), torch.ones(4)]
    places = make(*tensors)
    assert places.are_same()
    other = torch.ones(5)
    tensors[which].set_(other)
    assert not places.are_same()
    tensors[which].share_memory_()
    assert not places.are_same()


def test_no_tensors_at_all():
    assert make().are_same()
