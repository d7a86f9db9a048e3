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


@rule(state={"top": State("top", "tensor"), "tops": State("tops", "axes")})
def summits(
    p: Value, g: Value, dims: int, top: Value, tops: tuple[Value, ...]
) -> tuple[Value | tuple[Value, ...], ...]:
    """The largest numbers of a tensor and of its slices, whatever their sign."""
    return 0.0 * g, largest(g), tuple(largest(g, over=axis) for axis in range(dims))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("shape", [(40, 50), (33, 2049), (40, 300, 3), (64, 33, 3, 3), (9, 17, 7, 7)], ids=str)
def test_the_largest_number_is_one_of_those_given(shape, dtype):
    """To the bit as eager has it: NaN of either sign wherever it stands, infinities, negative numbers, zeros."""
    draw, n = torch.Generator().manual_seed(0), torch.Size(shape).numel()
    g = -torch.rand(shape, generator=draw, dtype=dtype) - 1
    places = torch.randperm(n, generator=draw)[:10].tolist()
    nan = torch.tensor(torch.nan, dtype=dtype)
    special = [nan, -nan, torch.inf, -torch.inf, 0.0, -0.0, 1e30, -1e30, 1e-40, 3.0]
    for place, value in zip(places, special, strict=True):
        g.view(-1)[place] = value
    found = []
    for backend in ("eager", "cpu"):
        p = torch.nn.Parameter(torch.ones(shape, dtype=dtype))
        p.grad = g.clone()
        optimizer = descend.optimizer(summits)([p], backend=backend)
        optimizer.step()
        found.append(optimizer.state[p])
    eager, ours = found
    assert eager.keys() == ours.keys() and eager["tops_0"].isnan().any() and not eager["tops_0"].isnan().all()
    for key in eager:
        torch.testing.assert_close(ours[key], eager[key], rtol=0, atol=0, equal_nan=True, msg=key)


@pytest.mark.parametrize("shape", [(40, 300), (64, 33, 3, 3)], ids=str)
@pytest.mark.parametrize("special", [torch.nan, torch.inf, 1e-30])
def test_sm3_has_the_bits_of_eager(shape, special):
    """Bounds are least and largest numbers, which are exact."""
    draw, found = torch.Generator().manual_seed(0), []
    grads = [torch.randn(shape, generator=draw) for _ in range(3)]
    grads[1].view(-1)[[5, 777]] = special
    for backend in ("eager", "cpu"):
        p = torch.nn.Parameter(torch.ones(shape))
        optimizer = descend.SM3([p], backend=backend)
        for g in grads:
            p.grad = g.clone()
            optimizer.step()
        found.append(optimizer.state[p])
    for key in found[0]:
        torch.testing.assert_close(found[1][key], found[0][key], rtol=0, atol=0, equal_nan=True, msg=key)
