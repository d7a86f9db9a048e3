"""clip_norm against NumPy, the guides, torch and the woven clip_norm=."""

import numpy as np
import pytest
import torch
from torch import nn

import descend
from descend.clip import clip_norm
from descend.errors import NonFiniteError, OptionError, ParameterError

SHAPES = [(3, 4), (5,), (), (0,), (2, 3, 2)]


def make_gradients(dtype=torch.float64, size=1.0, seed=0):
    rng = np.random.default_rng(seed)
    return [torch.tensor(size * rng.standard_normal(s)).to(dtype) for s in SHAPES]


def make_parameters(gradients):
    parameters = [nn.Parameter(torch.linspace(-1, 1, g.numel()).reshape(g.shape).to(g.dtype)) for g in gradients]
    for p, g in zip(parameters, gradients, strict=True):
        p.grad = g.clone()
    return parameters


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("formula", ["torch", "exact"])
def test_both_formulas_in_float64(formula, size):
    gradients = make_gradients(size=size)
    arrays = [g.numpy().copy() for g in gradients]
    norm = np.sqrt(sum((a**2).sum() for a in arrays))
    factor = min(1.0, 2.0 / (norm + 1e-6)) if formula == "torch" else 2.0 / max(2.0, norm)
    returned = clip_norm(gradients, 2.0, formula=formula)
    assert returned.dtype == torch.float64
    assert returned.shape == ()
    assert returned.item() == pytest.approx(norm, rel=1e-15)
    for g, a in zip(gradients, arrays, strict=True):
        np.testing.assert_allclose(g.numpy(), a * factor, rtol=1e-14)


def test_the_guides_formula_at_a_norm_where_the_two_differ():
    """Norm 1 exactly at the bound: the guide's 1e-6 shrinks it, the exact formula leaves it alone."""
    first, second = [torch.tensor([0.6, 0.8], dtype=torch.float64)], [torch.tensor([0.6, 0.8], dtype=torch.float64)]
    clip_norm(first, 1.0)
    clip_norm(second, 1.0, formula="exact")
    assert first[0].tolist() == pytest.approx([0.6 / (1 + 1e-6), 0.8 / (1 + 1e-6)], rel=1e-15)
    assert second[0].tolist() == [0.6, 0.8]


@pytest.mark.parametrize("max_norm", [0.5, 5.0, 50.0])
def test_equals_guide_001(max_norm):
    """``clip_gradients(gradients, max_norm)`` of guide 001: the root of the sum of sums of squares."""
    mine, guide = make_gradients(size=2.0), make_gradients(size=2.0)
    total = torch.sqrt(torch.stack([(g**2).sum() for g in guide]).sum())
    coefficient = max_norm / (total + 1e-6)
    if coefficient < 1:
        guide = [g * coefficient for g in guide]
    clip_norm(mine, max_norm)
    for a, b in zip(mine, guide, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-14, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_torch(dtype):
    ours, theirs = make_parameters(make_gradients(dtype, 3.0)), make_parameters(make_gradients(dtype, 3.0))
    norm = clip_norm(ours, 1.5)
    expected = nn.utils.clip_grad_norm_(theirs, 1.5)
    torch.testing.assert_close(norm.to(dtype), expected)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad)


@pytest.mark.parametrize("backend", ["cpu", "eager"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("max_norm", [1.5, 1e3])
def test_equals_the_woven_form_to_the_bit(dtype, backend, max_norm):
    gradients = make_gradients(dtype, 3.0)
    outside, inside = make_parameters(gradients), make_parameters(gradients)
    clip_norm(outside, max_norm)
    descend.SGD(outside, lr=0.1, backend=backend).step()
    descend.SGD(inside, lr=0.1, clip_norm=max_norm, backend=backend).step()
    for a, b in zip(outside, inside, strict=True):
        assert torch.equal(a, b)


def test_squares_that_overflow_float32():
    gradients = [torch.full((4,), 1e30), torch.full((2,), 1e4, dtype=torch.float16)]
    assert clip_norm(gradients, 1.0).item() == pytest.approx(2e30, rel=1e-6)
    assert gradients[0].tolist() == pytest.approx([0.5] * 4, rel=1e-5)


def test_complex_gradients_count_both_parts():
    gradient = torch.tensor([3 + 4j])
    assert clip_norm([gradient], 1.0, formula="exact").item() == 5.0
    assert torch.allclose(gradient, torch.tensor([0.6 + 0.8j]))


def test_frozen_parameters_and_missing_gradients_are_left_out():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    model[0].requires_grad_(False)
    model[1].bias.grad = None
    assert clip_norm(model, 1.0).item() == pytest.approx(2.0)
    assert model[0].weight.grad.eq(1).all()
    assert model[1].weight.grad.norm() == pytest.approx(1.0, rel=1e-5)


def test_a_tied_parameter_counts_once():
    p = nn.Parameter(torch.zeros(2))
    p.grad = torch.tensor([3.0, 4.0])
    assert clip_norm([("a", p), ("b", p)], 1.0, formula="exact").item() == 5.0
    assert p.grad.norm().item() == pytest.approx(1.0)


def test_strided_gradients():
    whole = torch.full((4, 6), 2.0)
    part = whole[::2, 1::2]
    clip_norm([part], 1.0)
    assert part.norm().item() == pytest.approx(1.0, rel=1e-5)
    assert whole[1::2].eq(2).all()


def test_no_gradient_has_norm_zero():
    assert clip_norm(nn.Linear(2, 2), 1.0).item() == 0.0
    assert clip_norm([], 1.0).item() == 0.0
    assert clip_norm([torch.zeros(3)], 1.0, formula="exact").item() == 0.0


def test_a_gradient_of_a_gradient_is_a_gradient():
    x = torch.ones(3, requires_grad=True)
    (g,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
    clip_norm([g], 1.0, formula="exact")
    assert g.norm().item() == pytest.approx(1.0)


def test_nonfinite_apply_does_what_torch_does():
    ours, theirs = (make_parameters([torch.tensor([1.0, float("inf")]), torch.ones(2)]) for _ in range(2))
    clip_norm(ours, 1.0)
    nn.utils.clip_grad_norm_(theirs, 1.0)
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a.grad.nan_to_num(7.0), b.grad.nan_to_num(7.0))


@pytest.mark.parametrize("bad", [float("inf"), float("nan")])
def test_nonfinite_skip_leaves_gradients_for_the_optimizer_to_judge(bad):
    parameters = make_parameters([torch.tensor([1.0, bad]), torch.full((2,), 9.0)])
    assert not torch.isfinite(clip_norm(parameters, 1.0, on_nonfinite="skip"))
    assert parameters[1].grad.tolist() == [9.0, 9.0]
    before = [p.detach().clone() for p in parameters]
    optimizer = descend.SGD(parameters, on_nonfinite="skip")
    optimizer.step()
    assert optimizer.skipped == 1
    assert all(torch.equal(a, b) for a, b in zip(before, parameters, strict=True))


def test_nonfinite_raise_names_the_parameter_and_changes_nothing():
    model = nn.Linear(2, 2)
    model.weight.grad, model.bias.grad = torch.full((2, 2), 9.0), torch.tensor([1.0, float("nan")])
    with pytest.raises(NonFiniteError, match=r"'bias' \(1 elements\).*Nothing was changed"):
        clip_norm(model, 1.0, on_nonfinite="raise")
    assert model.weight.grad.eq(9).all()


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf"), "1", True, None])
def test_max_norm_is_a_positive_number(bad):
    with pytest.raises(OptionError, match="clip_norm: max_norm.*finite number > 0"):
        clip_norm([torch.ones(2)], bad)


def test_misspelt_words():
    with pytest.raises(OptionError, match="formula.*Did you mean 'exact'"):
        clip_norm([torch.ones(2)], 1.0, formula="exac")
    with pytest.raises(OptionError, match="on_nonfinite.*Did you mean 'raise'"):
        clip_norm([torch.ones(2)], 1.0, on_nonfinite="rais")


def test_what_cannot_be_clipped():
    with pytest.raises(ParameterError, match="'tensor 0' is a parameter and 'tensor 1' is not"):
        clip_norm([nn.Parameter(torch.ones(2)), torch.ones(2)], 1.0)
    with pytest.raises(ParameterError, match="got 'int'; allowed: a module"):
        clip_norm([1], 1.0)
    with pytest.raises(ParameterError, match="gradient of 'tensor 0' is expanded.*clone"):
        clip_norm([torch.ones(1).expand(3)], 1.0)
    embedding = nn.Embedding(4, 2, sparse=True)
    embedding(torch.tensor([1])).sum().backward()
    with pytest.raises(ParameterError, match=r"gradient of 'weight' has layout torch.sparse_coo.*sparse=False"):
        clip_norm(embedding, 1.0)
