"""Problems 13, 18, 20, 22 and 23 of users of other libraries: clipping, eps, closures, sparse rows, early updates."""

import pytest
import torch
from torch import nn

import descend
from descend.errors import NonFiniteError, OptionError, ParameterError


def make_model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))


def test_13_one_infinite_gradient_is_named_and_zeroes_no_other():
    model = make_model()
    optimizer = descend.SGD(model.named_parameters(), lr=0.1, clip_norm=1.0, on_nonfinite="skip", metrics=True)
    before = [p.detach().clone() for p in model.parameters()]
    model(torch.ones(1, 2)).sum().backward()
    norm = torch.linalg.vector_norm(torch.cat([p.grad.flatten() for p in model.parameters()])).item()
    bias, weight = model.get_parameter("0.bias"), model.get_parameter("1.weight")
    assert bias.grad is not None and weight.grad is not None
    bias.grad[0] = float("inf")
    kept = weight.grad.clone()
    optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert torch.equal(weight.grad, kept)
    assert (optimizer.skipped, list(optimizer.nonfinite)) == (1, ["0.bias"])
    with pytest.raises(NonFiniteError, match=r"0\.bias"):
        descend.clip.clip_norm(model, 1.0, on_nonfinite="raise")
    optimizer.zero_grad()
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert optimizer.metrics.total.grad_norm == pytest.approx(norm, rel=1e-6)  # before clipping
    assert optimizer.metrics.clip_factor == pytest.approx(1.0 / norm, rel=1e-5)


@pytest.mark.parametrize("backend", ["cpu", "eager"])
@pytest.mark.parametrize("name", ["Adam", "AdamW", "RMSprop", "Adagrad"])
def test_18_the_default_eps_does_not_underflow_in_float16(name, backend):
    p = nn.Parameter(torch.ones(4, dtype=torch.float16))
    p.grad = torch.tensor([0.0, 1e-7, 1e-3, 1.0], dtype=torch.float16)
    getattr(descend, name)([p], lr=0.1, backend=backend).step()
    assert torch.isfinite(p).all()
    assert p[0] >= 0.99 and p[3] < 1.0


@pytest.mark.parametrize("way", ["closure and accumulation", "GradScaler and accumulation"])
def test_20_sam_works_with_accumulation_and_a_scaler(way):
    big, small = make_model(), make_model()
    x = torch.randn(8, 2, generator=torch.Generator().manual_seed(1))
    first, second = (descend.SAM(descend.SGD(m.parameters(), lr=0.1), rho=0.1) for m in (big, small))
    first.step(descend.wrap.evaluate_parts(first, lambda part: big(part).square().mean(), [x]))
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, enabled=way.startswith("GradScaler"))
    closure = descend.wrap.evaluate_parts(
        second, lambda part: small(part).square().mean(), x.split([3, 5]), [3, 5], scaler=scaler
    )
    if scaler.is_enabled():
        closure()
        with second.perturbed():
            closure()
        scaler.step(second)
        scaler.update()
    else:
        second.step(closure)
    for a, b in zip(big.parameters(), small.parameters(), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("name", ["SGD", "Adagrad", "Adam", "AdamW", "RMSprop"])
def test_22_sparse_gradients_with_weight_decay_give_what_dense_ones_give(name):
    """Rows 0 and 1 are named in turn for a while, row 2 at last: it has to make up for all the decay that it missed."""
    tables = [nn.Parameter(torch.arange(1.0, 9.0, dtype=torch.float64).reshape(4, 2)) for _ in range(2)]
    optimizers = [getattr(descend, name)([p], lr=0.1, weight_decay=0.2, decay="decoupled") for p in tables]
    for k in range(7):
        rows = torch.tensor([[k % 2 if k < 6 else 2]])
        grad = torch.sparse_coo_tensor(rows, torch.ones(1, 2, dtype=torch.float64), (4, 2), check_invariants=True)
        for p, optimizer, g in zip(tables, optimizers, (grad, grad.to_dense()), strict=True):
            p.grad = g
            optimizer.step()
    sparse, dense = tables
    torch.testing.assert_close(sparse[2], dense[2], rtol=1e-13, atol=0)
    assert sparse[3].tolist() == [7.0, 8.0]  # not touched until it is asked for
    optimizers[0].catch_up()
    torch.testing.assert_close(sparse, dense, rtol=1e-13, atol=0)
    torch.testing.assert_close(sparse[3], torch.tensor([7.0, 8.0], dtype=torch.float64) * (1 - 0.1 * 0.2) ** 7)


def test_22_a_method_that_cannot_step_single_rows_refuses_by_name():
    p = nn.Parameter(torch.ones(4, 2))
    p.grad = torch.sparse_coo_tensor(torch.tensor([[1]]), torch.ones(1, 2), (4, 2), check_invariants=True)
    with pytest.raises(ParameterError, match="lamb: the gradient of 'table' .*sparse=False"):
        descend.LAMB([("table", p)]).step()


def test_23_updates_during_backward_clip_each_tensor_and_refuse_the_rest_early():
    model = make_model()
    descend.GradientRelease(descend.SGD(model.parameters(), lr=1.0), clip_norm=1e-3)
    before = [p.detach().clone() for p in model.parameters()]
    model(torch.ones(1, 2)).sum().backward()
    for old, new in zip(before, model.parameters(), strict=True):
        assert new.grad is None
        assert torch.linalg.vector_norm(new - old).item() == pytest.approx(1e-3, rel=0.01)
    with pytest.raises(OptionError, match="second gradient"):  # accumulation
        model(torch.ones(1, 2)).sum().backward()
    with pytest.raises(OptionError, match="Clip each tensor by itself"):
        descend.GradientRelease(descend.SGD(model.parameters(), clip_norm=1.0))
