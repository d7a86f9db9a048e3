"""Kernels over tiles beside eager: all reductions over all kinds of slices, of shapes around the tiles' borders."""

import pytest
import torch

import descend
from descend.lang import State, Value, largest, mean, norm, rms, rule, sum, where

SHAPES = [(1, 1), (3, 5), (700, 3), (40, 3), (33, 2049), (5, 4100), (1100, 70), (40, 300, 3), (300, 4, 3, 3),
          (2, 3, 4, 5, 6), (1, 9, 1), (0, 4), (4, 0)]  # fmt: skip


@rule(state={"total": State("total", "tensor"), "top": State("top", "tensor"), "mass": State("mass", 0),
             "last": State("last", "column")})  # fmt: skip
def mixture(
    p: Value, g: Value, dims: int, total: Value, top: Value, mass: Value, last: Value, lr: float = 0.1
) -> tuple[Value, ...]:
    """Values of rows that depend on sums of columns, on sums of sums, and on states from before the step."""
    old = last
    first = norm(g, over=0)
    rows = mean(p, over="rows")
    last = rms(g + rows, over="columns")
    share = first / (1 + sum(first)) + largest(rows, over=0)
    late = mean(where(g > share, g, old), over=dims - 1)
    total = sum(late) + total
    return -lr * (g - late * share * where(rows > 0, 1.0, 2.0)), total, largest(g), mass + first, last


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_a_mixture_of_slices(dtype):
    rng = torch.Generator().manual_seed(0)
    values = [torch.randn(s, generator=rng).to(dtype) for s in SHAPES]
    results = []
    for backend in ("eager", "cpu"):
        params = [torch.nn.Parameter(v.clone()) for v in values]
        optimizer = descend.optimizer(mixture)(params, backend=backend)
        draw = torch.Generator().manual_seed(1)
        for k in range(3):
            for i, p in enumerate(params):
                g = torch.randn(p.shape, generator=draw).to(dtype)
                p.grad = None if (i + k) % 5 == 0 else g
            optimizer.step()
        results.append([(p.detach(), dict(optimizer.state[p])) for p in params])
    close = {"rtol": 1e-12, "atol": 1e-13} if dtype == torch.float64 else {"rtol": 1e-5, "atol": 1e-5}
    for (a, s), (b, u) in zip(*results, strict=True):
        ulp = {"rtol": 2**-7, "atol": 1e-3} if dtype == torch.bfloat16 else close
        torch.testing.assert_close(b, a, **ulp)
        assert set(s) == set(u)
        for key in s:
            torch.testing.assert_close(u[key], s[key], **close, equal_nan=True, msg=f"{key} of {tuple(a.shape)}")


def test_largest_hands_nan_on():
    p = torch.nn.Parameter(torch.zeros(40, 50))
    p.grad = torch.zeros(40, 50)
    p.grad[7, 11] = torch.nan
    optimizer = descend.SM3([p], backend="cpu")
    optimizer.step()
    rows, columns = (optimizer.state[p][f"accumulator_{i}"].isnan().flatten().nonzero().tolist() for i in (0, 1))
    assert (rows, columns) == ([[7]], [[11]])
