"""Kernels beside eager on tensors with short or single axes, as convolutions are: flat spans, and axes left out."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import descend
from backends.cpu.tiles.test_passes import mixture

SHAPES = [(40, 33, 3, 3), (300, 17, 3, 3), (700, 3), (48, 24, 1, 1), (16, 1, 3, 3), (1, 33, 5), (1, 1), (0, 32, 3),
          (9, 17, 7, 7), (21, 16, 5, 4)]  # fmt: skip
OPTIMIZERS = {
    "adafactor": (descend.Adafactor, {"lr": 0.1}),
    "adafactor, paper": (descend.Adafactor, {"lr": 0.1, "convention": "paper", "beta1": 0.9}),
    "came": (descend.CAME, {"lr": 1e-3, "weight_decay": 0.1}),
    "came, clipped": (descend.CAME, {"lr": 1e-3, "clip_update": 0.5, "metrics": True, "clip_norm": 1.0}),
    "sm3": (descend.SM3, {"momentum": 0.9, "clip_value": 0.5, "on_nonfinite": "skip"}),
    "centralized": (descend.AdamW, {"lr": 1e-3, "centralize": True}),
    "clipped": (descend.SGD, {"lr": 1e-2, "clip_adaptive": 0.01}),
    "mixture": (descend.optimizer(mixture), {}),
}


def train(
    method: str, shapes: list[tuple[int, ...]], dtype: torch.dtype = torch.float64, **wide: Any
) -> list[dict[str, torch.Tensor]]:
    """Parameter and states of each tensor after three steps."""
    cls, options = OPTIMIZERS[method]
    draw = torch.Generator().manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(s, generator=draw).to(dtype)) for s in shapes]
    optimizer = cls(params, **options, **wide)
    for k in range(3):
        for i, p in enumerate(params):
            g = torch.randn(p.shape, generator=draw).to(dtype)
            p.grad = None if (i + k) % 5 == 4 else g
        optimizer.step()
    return [{"p": p.detach(), **optimizer.state[p]} for p in params]


def assert_same(method: str, shapes: list[tuple[int, ...]], dtype: torch.dtype, *, rtol: float, atol: float) -> None:
    eager, ours = (train(method, shapes, dtype, backend=backend) for backend in ("eager", "cpu"))
    for shape, a, b in zip(shapes, eager, ours, strict=True):
        assert a.keys() == b.keys()
        for key in a:
            torch.testing.assert_close(b[key], a[key], rtol=rtol, atol=atol, equal_nan=True, msg=f"{key} of {shape}")


@pytest.mark.parametrize("method", OPTIMIZERS)
def test_like_eager(method):
    assert_same(method, SHAPES, torch.float64, rtol=1e-11, atol=1e-12)


@given(shape=st.lists(st.sampled_from([1, 2, 17, 70]), min_size=2, max_size=3).map(tuple))
@settings(max_examples=12, deadline=None)
def test_like_eager_on_any_shape(shape):
    assert_same("sm3", [shape], torch.float64, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("method", ["adafactor", "came", "sm3"])
def test_float32_like_eager(method):
    assert_same(method, SHAPES, torch.float32, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("method", "dtype"), [("adafactor", torch.bfloat16), ("sm3", torch.bfloat16), ("adafactor", torch.float16)], ids=str
)
def test_stochastic_rounding_draws_the_same_bits(method, dtype):
    shapes = SHAPES[:4]
    eager, ours = (train(method, shapes, dtype, backend=b, rounding="stochastic", seed=7) for b in ("eager", "cpu"))
    for shape, a, b in zip(shapes, eager, ours, strict=True):
        # where the values before rounding differ in the last bit, a few draws fall apart
        assert (a["p"] != b["p"]).double().mean() < 0.01, shape


@pytest.mark.parametrize("method", ["adafactor", "came", "sm3"])
def test_threads_do_not_change_a_bit(method):
    threads, results = torch.get_num_threads(), []
    try:
        for n in (1, 2, 3):
            torch.set_num_threads(n)
            results.append(train(method, SHAPES, torch.float32, backend="cpu"))
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert all(torch.equal(a[key], b[key]) for key in a)


def test_rows_of_one_coordinate_need_no_walk_over_rows():
    """1 x 1 convolutions take as many passes as a vector, and all their second moments are streams."""
    p = torch.nn.Parameter(torch.ones(8, 4, 1, 1))
    p.grad = torch.ones_like(p)
    optimizer = descend.Adafactor([p])
    optimizer.step()
    (part,) = optimizer.explain().parts
    assert part.passes == 2
    assert {k: tuple(v.shape) for k, v in optimizer.state[p].items() if "var" in k} == {
        "row_var": (8, 4, 1, 1),
        "col_var": (8, 4, 1, 1),
    }
