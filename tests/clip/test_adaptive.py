"""clip_adaptive against a loop over units written from the paper."""

import numpy as np
import pytest
import torch
from torch import nn

from descend.clip import clip_adaptive
from descend.errors import OptionError, ParameterError


def clip_unit(g, w, clipping, eps):
    """Brock et al. 2021, equation 3, for one unit."""
    bound = clipping * max(np.sqrt((w**2).sum()), eps)
    norm = np.sqrt((g**2).sum())
    return g * bound / norm if norm > bound else g


def make_parameter(shape, seed):
    rng = np.random.default_rng(seed)
    p = nn.Parameter(
        torch.tensor(rng.standard_normal(shape) * rng.choice([1e-6, 1.0], size=(*shape[:1], *[1] * (len(shape) - 1))))
    )
    p.grad = torch.tensor(0.1 * rng.standard_normal(shape))
    return p


@pytest.mark.parametrize("shape", [(6, 4), (6, 3, 2, 2), (2, 3, 4)])
@pytest.mark.parametrize("clipping", [1e-2, 0.1, 1e3])
def test_unit_by_unit(shape, clipping):
    p = make_parameter(shape, 3)
    w, g = p.detach().numpy().copy(), p.grad.numpy().copy()
    expected = np.stack([clip_unit(g[i], w[i], clipping, 1e-3) for i in range(shape[0])])
    norm = clip_adaptive([p], clipping)
    np.testing.assert_allclose(p.grad.numpy(), expected, rtol=1e-14)
    assert norm.item() == pytest.approx(np.sqrt((g**2).sum()))


def test_transposed_convolutions_count_units_along_the_second_dimension():
    p = make_parameter((3, 5, 2), 4)
    w, g = p.detach().numpy().copy(), p.grad.numpy().copy()
    clip_adaptive([p], 0.05, unit_dim=1)
    clipped = p.grad.numpy()
    for j in range(5):
        np.testing.assert_allclose(clipped[:, j], clip_unit(g[:, j], w[:, j], 0.05, 1e-3), rtol=1e-14)


@pytest.mark.parametrize("shape", [(7,), ()])
def test_vectors_and_scalars_are_one_unit(shape):
    p = make_parameter(shape, 5)
    w, g = p.detach().numpy().copy(), p.grad.numpy().copy()
    clip_adaptive([p], 0.01)
    np.testing.assert_allclose(p.grad.numpy(), clip_unit(g, w, 0.01, 1e-3), rtol=1e-14)


def test_zero_weights_can_begin_to_move():
    p = nn.Parameter(torch.zeros(2, 2))
    p.grad = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    clip_adaptive([p], 0.01, eps=0.5)
    assert p.grad.flatten().tolist() == pytest.approx([0.003, 0.004, 0.0, 0.0])


def test_complex_vectors_are_one_unit():
    p = nn.Parameter(torch.tensor([3 + 4j, 0j]))
    p.grad = torch.tensor([0j, 30 + 40j])
    assert clip_adaptive([p], 0.1).item() == 50.0
    assert torch.allclose(p.grad, torch.tensor([0j, 0.3 + 0.4j]))


def test_what_is_refused():
    with pytest.raises(ParameterError, match="Pass parameters, not gradients"):
        clip_adaptive([torch.ones(2)])
    p = make_parameter((2, 2), 6)
    with pytest.raises(OptionError, match="unit_dim=2 of a gradient with 2 dimensions; allowed: below 2"):
        clip_adaptive([p], unit_dim=2)
    with pytest.raises(OptionError, match="unit_dim: got -1"):
        clip_adaptive([p], unit_dim=-1)
    with pytest.raises(OptionError, match="clipping.*finite number > 0"):
        clip_adaptive([p], 0.0)
    with pytest.raises(OptionError, match="eps.*finite number > 0"):
        clip_adaptive([p], eps=0.0)
