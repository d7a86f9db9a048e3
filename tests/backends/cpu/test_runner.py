"""The compiled step: rounding of every 16-bit number, chunk borders, threads with and without OpenMP."""

import math

import numpy as np
import pytest
import torch

import descend
from backends.formulas import assign, look
from descend.backends.cpu import runner, team
from descend.backends.cpu.chunk_passes import CHUNK

Assign, Look = descend.optimizer(assign), descend.optimizer(look)
SIXTEEN = [torch.bfloat16, torch.float16]


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def every(dtype: torch.dtype) -> torch.Tensor:
    """All 65,536 numbers of a 16-bit type."""
    return torch.from_numpy(np.arange(65536, dtype=np.uint16).view(np.int16)).view(dtype)


def around_ties(dtype: torch.dtype) -> torch.Tensor:
    """Float32 numbers that lie on each number of a 16-bit type, in the middle of two, and just beside both."""
    if dtype == torch.bfloat16:
        low = np.array([0x0000, 0x0001, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)
        return torch.from_numpy(((np.arange(65536, dtype=np.uint32)[:, None] << 16) | low).reshape(-1).view(np.float32))
    exact = np.unique(np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32))
    exact = exact[np.isfinite(exact)]
    middles = np.concatenate([(exact[1:] + exact[:-1]) / 2, [65520.0, -65520.0, 2.0**-25, -(2.0**-25)]]).astype("f4")
    points = np.concatenate([exact, middles, [np.inf, -np.inf, np.nan, 1e30, -1e30, 1e-30, -0.0]]).astype("f4")
    return torch.from_numpy(np.concatenate([points, np.nextafter(points, np.inf), np.nextafter(points, -np.inf)]))


def assert_same_bits(a: torch.Tensor, b: torch.Tensor):
    """Equal to the bit, NaNs all alike."""
    kind = {2: torch.int16, 4: torch.int32, 8: torch.int64}[a.element_size()]
    same = (a.view(kind) == b.view(kind)) | (a.isnan() & b.isnan())
    assert a.dtype == b.dtype and bool(same.all()), f"{int((~same).sum())} of {a.numel()} differ"


@pytest.mark.parametrize("backend", ["eager", "cpu"])
@pytest.mark.parametrize("dtype", SIXTEEN, ids=str)
def test_every_16_bit_number_is_read_exactly(dtype, backend):
    p = torch.nn.Parameter(torch.zeros(65536, dtype=dtype))
    p.grad = every(dtype).clone()
    optimizer = Look([p], backend=backend)
    optimizer.step()
    assert_same_bits(optimizer.state[p]["seen"], every(dtype).float())


@pytest.mark.parametrize("backend", ["eager", "cpu"])
@pytest.mark.parametrize("dtype", SIXTEEN, ids=str)
def test_a_parameter_is_rounded_to_nearest_even(dtype, backend):
    values = around_ties(dtype)
    p = torch.nn.Parameter(torch.full(values.shape, -0.0, dtype=dtype))
    p.grad = torch.zeros_like(p)
    optimizer = Assign([p], backend=backend)
    optimizer.state[p] = {"x": values.clone()}
    optimizer.step()
    assert_same_bits(p.detach(), values.to(dtype))


def test_ties_by_hand():
    values = torch.tensor([1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20, 3.4e38, 2**-134, 2**-134 * 1.01])
    p = torch.nn.Parameter(torch.full((6,), -0.0, dtype=torch.bfloat16))
    p.grad = torch.zeros_like(p)
    optimizer = Assign([p], backend="cpu")
    optimizer.state[p] = {"x": values}
    optimizer.step()
    assert p.tolist() == [1.0, 1 + 2**-6, 1 + 2**-7, math.inf, 0.0, 2**-133]


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_chunk_borders(name):
    """Each tensor ends and begins where it should: CPU equals eager, and nothing between the tensors is touched."""
    sizes = [1, 2, 17, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 3, 0, 5]
    buffer = torch.full((sum(sizes) + 8 * len(sizes) + 8,), 7.0)
    options = {"momentum": 0.9} if name == "SGD" else {"eps": 0.1}
    both, at, ends = [], 8, []
    for n in sizes:
        both.append(torch.nn.Parameter(buffer[at : at + n]))
        ends.append((at, at + n))
        at += n + 8
    rng = torch.Generator().manual_seed(1)
    for p in both:
        p.data.copy_(torch.randn(p.shape, generator=rng))
    alone = [torch.nn.Parameter(p.detach().clone()) for p in both]
    compiled = getattr(descend, name)(both, lr=0.1, backend="cpu", **options)
    eager = getattr(descend, name)(alone, lr=0.1, backend="eager", **options)
    for _ in range(3):
        for p, q in zip(both, alone, strict=True):
            p.grad = torch.randn(p.shape, generator=rng)
            q.grad = p.grad.clone()
        compiled.step()
        eager.step()
    for p, q in zip(both, alone, strict=True):
        if name == "SGD":
            assert_same_bits(p.detach(), q.detach())
        else:  # torch's square roots are not rounded correctly
            torch.testing.assert_close(p.detach(), q.detach(), rtol=1e-6, atol=1e-7)
    between = torch.ones(len(buffer), dtype=torch.bool)
    for start, end in ends:
        between[start:end] = False
    assert (buffer[between] == 7.0).all()


def follow(name: str, steps: int = 2, **options: object) -> list[torch.Tensor]:
    rng = torch.Generator().manual_seed(2)
    params = [torch.nn.Parameter(torch.randn(n, generator=rng)) for n in (5 * CHUNK + 1, 4 * CHUNK, 9, CHUNK - 1)]
    optimizer = getattr(descend, name)(params, lr=0.01, backend="cpu", **options)
    for _ in range(steps):
        for p in params:
            p.grad = torch.randn(p.shape, generator=rng)
        optimizer.step()
    return [p.detach() for p in params]


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize(("name", "options"), [("Adam", {"clip_norm": 1.0}), ("LAMB", {})])
def test_the_pool_gives_the_bits_of_the_team(name, options, count, threads, monkeypatch):
    threads(count)
    with_team = follow(name, **options)
    monkeypatch.setattr(team, "usable_openmp", lambda: None)
    calls = []
    real = team.run_on_pool
    monkeypatch.setattr(team, "run_on_pool", lambda *a: (calls.append(a[2]), real(*a)))
    with_pool = follow(name, **options)
    assert set(calls) == {count}
    for a, b in zip(with_team, with_pool, strict=True):
        assert_same_bits(a, b)


@pytest.mark.parametrize("pool", [False, True])
def test_workers_take_over_flush_to_zero(pool, threads, monkeypatch):
    """Set after the workers were made: a denormal step is lost on every thread or on none."""
    if pool:
        monkeypatch.setattr(team, "usable_openmp", lambda: None)
    threads(2)
    found, tiny = [], torch.tensor(1e-40)
    for flush in (False, True, False):
        p = torch.nn.Parameter(torch.zeros(10 * CHUNK))
        p.grad = -tiny.expand(p.shape).contiguous()
        optimizer = descend.SGD([p], lr=1.0, backend="cpu")
        if not torch.set_flush_denormal(flush):
            pytest.skip("the processor has no such mode")
        try:
            optimizer.step()
        finally:
            torch.set_flush_denormal(False)
        found.append(p.detach().unique().tolist())
    assert found == [[tiny.item()], [0.0], [tiny.item()]]


def test_small_totals_run_on_one_thread(threads, monkeypatch):
    threads(2)
    monkeypatch.setattr(team, "usable_openmp", lambda: None)
    calls = []
    monkeypatch.setattr(team, "run_on_pool", lambda *a: calls.append(a))
    p = torch.nn.Parameter(torch.ones(2 * CHUNK))
    p.grad = torch.ones_like(p)
    descend.SGD([p], lr=0.5, backend="cpu").step()
    assert calls == [] and (p == 0.5).all()


def test_nonfinite_gradients_are_counted_by_tensor():
    params = [torch.nn.Parameter(torch.ones(n)) for n in (CHUNK + 1, 3, 7, 2)]
    grads = [torch.ones_like(p) for p in params[:3]]
    grads[0][CHUNK - 1 :] = math.nan
    grads[2][::2] = -math.inf
    for p, g in zip(params[:3], grads, strict=True):
        p.grad = g
    optimizer = descend.SGD(params, lr=0.1, backend="cpu")
    optimizer.step()
    assert sorted(optimizer.nonfinite.values()) == [2, 4]
    assert {label.split()[1] for label in optimizer.nonfinite} == {"0", "2"}


class Wrapped(torch.Tensor):
    """A tensor of a class of its own."""


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [
        (torch.zeros(3), None),
        (torch.zeros(3, 4).t(), None),
        (torch.zeros(2, dtype=torch.complex64), None),
        (torch.zeros(3, device="meta"), "it lies on meta"),
        (torch.zeros(6)[::2], "its memory has gaps"),
        (torch.zeros(3).to_sparse(), "its memory has gaps"),
        (torch.zeros(3).as_subclass(Wrapped), "it is a Wrapped, not a plain tensor"),
        (torch.zeros(3, dtype=torch.int64), "there is no kernel for torch.int64"),
    ],
)
def test_what_the_kernels_serve(tensor, reason):
    assert runner.serves(tensor) == reason
