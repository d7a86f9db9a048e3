import math

import pytest
import torch

import descend
from descend.errors import OptionError


def train(name, steps=3, **options):
    generator = torch.Generator().manual_seed(0)
    ps = [torch.randn(s, generator=generator).requires_grad_() for s in ((5, 7), (9000,), ())]
    named = zip("abc", ps, strict=True)
    optimizer = descend.get(name)(list(named), lr=0.01, weight_decay=0.1, decay="decoupled", **options)
    before = []
    for _ in range(steps):
        for p in ps:
            p.grad = torch.randn(p.shape, generator=generator)
        before = [p.detach().clone() for p in ps]
        optimizer.step()
    return optimizer, ps, before


@pytest.mark.parametrize("backend", ["cpu", "eager"])
@pytest.mark.parametrize("name", ["AdamW", "LAMB", "SGD"])
@pytest.mark.parametrize("extra", [{}, {"clip_norm": 0.5}, {"on_nonfinite": "skip"}], ids=str)
def test_on_or_off_the_parameters_have_the_same_bits(name, backend, extra):
    _, off, _ = train(name, backend=backend, **extra)
    _, on, _ = train(name, backend=backend, metrics=True, **extra)
    assert all(torch.equal(a, b) for a, b in zip(off, on, strict=True))


@pytest.mark.parametrize("backend", ["cpu", "eager"])
def test_the_numbers_are_those_of_the_step(backend):
    optimizer, ps, before = train("AdamW", backend=backend, metrics=True, clip_norm=0.5)
    metrics = optimizer.metrics
    for name, p, old in zip("abc", ps, before, strict=True):
        sizes = metrics.tensors[name]
        assert sizes.grad_norm == pytest.approx(p.grad.double().norm().item(), rel=1e-12)
        assert sizes.param_norm == pytest.approx(old.double().norm().item(), rel=1e-12)
        assert sizes.update_norm == pytest.approx((p.detach() - old).double().norm().item(), rel=1e-5)
    whole = math.sqrt(sum(p.grad.double().square().sum().item() for p in ps))
    assert metrics.total.grad_norm == pytest.approx(whole, rel=1e-12)
    assert metrics.clip_factor == pytest.approx(0.5 / (whole + 1e-6), rel=1e-12)
    assert metrics.total.update_ratio == pytest.approx(metrics.total.update_norm / metrics.total.param_norm)
    assert (metrics.lr, metrics.updates, metrics.skipped) == ((0.01,), 3, 0)


def test_a_tensor_without_gradient_is_left_out():
    optimizer, ps, _ = train("SGD", metrics=True)
    ps[1].grad = None
    optimizer.step()
    assert sorted(optimizer.metrics.tensors) == ["a", "c"]


def test_they_print_as_a_table():
    optimizer, _, _ = train("AdamW", metrics=True)
    lines = repr(optimizer.metrics).splitlines()
    assert lines[0] == "3 updates, 0 skipped; lr 0.01; gradients multiplied by 1"
    assert [line.split()[0] for line in lines[2:]] == ["all", "a", "b", "c"]
    assert float(lines[3].split()[1]) == pytest.approx(optimizer.metrics.tensors["a"].grad_norm, rel=1e-2)


def test_groups_have_numbers_of_their_own():
    a, b = (torch.full((4,), x).requires_grad_() for x in (1.0, 2.0))
    optimizer = descend.SGD([{"params": [a]}, {"params": [b], "lr": 0.5}], lr=0.1, metrics=True)
    a.grad, b.grad = torch.ones(4), torch.ones(4)
    optimizer.step()
    first, second = optimizer.metrics.groups
    assert (first.param_norm, second.param_norm) == (2.0, 4.0)
    assert (first.update_norm, second.update_norm) == (pytest.approx(0.2), pytest.approx(1.0))
    assert optimizer.metrics.lr == (0.1, 0.5)


def test_they_cost_no_byte():
    plain, _, _ = train("LAMB")
    watched, _, _ = train("LAMB", metrics=True)
    assert plain.explain().parts[0].bytes_moved == watched.explain().parts[0].bytes_moved


def test_without_them_the_way_out_is_named():
    with pytest.raises(OptionError, match="metrics=True"):
        _ = train("SGD")[0].metrics
