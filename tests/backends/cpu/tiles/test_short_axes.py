"""Short last axes: along which axis loops run, and for which sizes kernels are made."""

import pytest
import torch

from descend.backends.cpu.tiles.short_axes import STRETCH, choose_inner, list_short


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((512, 256, 3, 3), 1),
        ((64, 3, 7, 7), 0),
        ((512, 1, 3, 3), 0),
        ((700, 3), 0),
        ((512, 512, 1, 1), None),
        ((64, 512, 512), None),
        ((5, 3), None),
        ((0, 4), None),
        ((16, 15, 15, 15), None),
        ((2, 1 << 20, 3), None),
        ((1 << 20, 3), 0),
        ((20,), None),
    ],
)
def test_the_axis_of_the_innermost_loop(shape, axis):
    assert choose_inner(shape) == axis
    if axis is not None:
        assert torch.Size(shape[axis + 1 :]).numel() <= STRETCH


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [((512, 256, 3, 3), (3, 3)), ((64, 3, 7, 7), (3, 7, 7)), ((512, 3, 10, 10), ()), ((700, 3), (3,)), ((20, 20), ())],
)
def test_the_sizes_that_a_kernel_is_made_for(shape, sizes):
    assert list_short(shape, choose_inner(shape)) == sizes
