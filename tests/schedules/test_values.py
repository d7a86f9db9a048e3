"""Golden values, from the formulas worked by hand, and torch's own values where it has the schedule."""

import math

import pytest
import torch

from descend.schedules import Schedule, constant, cosine, warmup

ROOT_HALF = math.sqrt(0.5)


@pytest.mark.parametrize(
    ("schedule", "golden"),
    [
        (constant(), {0: 1.0, 1: 1.0, 10**9: 1.0}),
        (constant(0.25), {0: 0.25, 1: 0.25, 7: 0.25}),
        (warmup(1), {0: 1.0, 1: 1.0, 2: 1.0}),
        (warmup(4), {0: 0.25, 1: 0.5, 3: 1.0, 4: 1.0, 5: 1.0}),
        (cosine(1), {0: 1.0, 1: 0.0, 2: 0.0}),
        (cosine(4), {0: 1.0, 1: (1 + ROOT_HALF) / 2, 3: (1 - ROOT_HALF) / 2, 4: 0.0, 5: 0.0}),
        (
            cosine(4, floor=0.2),
            {0: 1.0, 1: 0.6 + 0.4 * ROOT_HALF, 2: 0.6, 3: 0.6 - 0.4 * ROOT_HALF, 4: 0.2, 5: 0.2},
        ),
        (
            warmup(2) * cosine(4) * 8,
            {0: 4.0, 1: 4 + 4 * ROOT_HALF, 2: 4.0, 3: 4 - 4 * ROOT_HALF, 4: 0.0, 5: 0.0},
        ),
        (warmup(2).then(cosine(2), at=2), {0: 0.5, 1: 1.0, 2: 1.0, 3: 0.5, 4: 0.0, 5: 0.0}),
        (cosine(4).clamp(0.2, 0.9), {0: 0.9, 1: (1 + ROOT_HALF) / 2, 2: 0.5, 3: 0.2, 4: 0.2, 5: 0.2}),
    ],
    ids=str,
)
def test_golden_values(schedule: Schedule, golden: dict[int, float]):
    assert {k: schedule.at(k) for k in golden} == pytest.approx(golden, rel=1e-15, abs=1e-16)


@pytest.mark.parametrize("schedule", [warmup(7), cosine(7), cosine(7, floor=0.3)], ids=str)
def test_ends_are_exact(schedule: Schedule):
    assert (
        schedule.at(schedule.horizon or 0)
        == schedule.at(10**6)
        == {"w": 1.0, "c": schedule.minimum()}[str(schedule)[0]]
    )


def torch_rates(make, n: int) -> list[float]:
    parameter = torch.nn.Parameter(torch.zeros(()))
    optimizer = torch.optim.SGD([parameter], lr=0.3)
    scheduler = make(optimizer)
    rates = []
    for _ in range(n):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("steps", [1, 2, 5, 100])
@pytest.mark.parametrize("floor", [0.0, 0.1])
def test_cosine_equals_torch_until_its_end(steps: int, floor: float):
    def make(optimizer):
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=0.3 * floor)

    assert (cosine(steps, floor) * 0.3).table(steps + 1) == pytest.approx(
        torch_rates(make, steps + 1), rel=1e-12, abs=1e-15
    )


@pytest.mark.parametrize("steps", [2, 5, 100])
def test_warmup_equals_torch(steps: int):
    def make(optimizer):
        return torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1 / steps, total_iters=steps - 1)

    assert (warmup(steps) * 0.3).table(2 * steps) == pytest.approx(torch_rates(make, 2 * steps), rel=1e-12)


def test_constant_equals_torch():
    def make(optimizer):
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=20)

    assert (constant(0.5) * 0.3).table(20) == pytest.approx(torch_rates(make, 20), rel=1e-15)


def test_then_equals_torch_sequence():
    def make(optimizer: torch.optim.Optimizer):
        rise = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.2, total_iters=4)
        fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 6)
        return torch.optim.lr_scheduler.SequentialLR(optimizer, [rise, fall], milestones=[5])

    ours = warmup(5).then(cosine(6), at=5) * 0.3
    assert ours.table(11) == pytest.approx(torch_rates(make, 11), rel=1e-12, abs=1e-15)


def test_torch_rises_again_where_ours_stays():
    def make(optimizer):
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 5)

    assert torch_rates(make, 11)[10] == pytest.approx(0.3)
    assert (cosine(5) * 0.3).at(10) == 0.0
