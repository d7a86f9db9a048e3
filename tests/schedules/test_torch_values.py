"""Equality with torch's schedulers at every step until the end, for each that torch has."""

import pytest
import torch
from torch.optim import lr_scheduler

from descend.schedules import (
    Schedule,
    cosine_restarts,
    exp_range,
    exponential,
    linear,
    milestones,
    one_cycle,
    one_cycle_momentum,
    polynomial,
    step_decay,
    triangular,
    triangular2,
)


def follow(make, n: int, key: str = "lr") -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=0.3, momentum=0.9)
    scheduler = make(optimizer)
    values = []
    for k in range(n):
        values.append(optimizer.param_groups[0][key])
        optimizer.step()
        if k + 1 < n:
            scheduler.step()
    return values


def cyclic(**options):
    return lambda o: lr_scheduler.CyclicLR(o, 0.06, 0.3, cycle_momentum=False, **options)


CASES = [
    (step_decay(7, 0.3), lambda o: lr_scheduler.StepLR(o, 7, 0.3), 60),
    (milestones((1, 7, 30), 0.3), lambda o: lr_scheduler.MultiStepLR(o, [1, 7, 30], 0.3), 60),
    (exponential(gamma=0.97), lambda o: lr_scheduler.ExponentialLR(o, 0.97), 60),
    (polynomial(40, 0.9), lambda o: lr_scheduler.PolynomialLR(o, 40, 0.9), 60),
    (polynomial(40, 2.0), lambda o: lr_scheduler.PolynomialLR(o, 40, 2.0), 60),
    (linear(40, 0.1), lambda o: lr_scheduler.LinearLR(o, 1.0, 0.1, 40), 60),
    (linear(5, 1.0, 1 / 3), lambda o: lr_scheduler.LinearLR(o), 60),
    (cosine_restarts(7), lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 7), 60),
    (cosine_restarts(3, 2, floor=0.1), lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 3, 2, eta_min=0.03), 100),
    (cosine_restarts(1, 3), lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 1, 3), 130),
    (one_cycle(50), lambda o: lr_scheduler.OneCycleLR(o, 0.3, 50), 50),
    (one_cycle(47, 0.21, 10.0, 1e3), lambda o: lr_scheduler.OneCycleLR(
        o, 0.3, 47, pct_start=0.21, div_factor=10.0, final_div_factor=1e3), 47),
    (one_cycle(47, anneal="linear", three_phase=True), lambda o: lr_scheduler.OneCycleLR(
        o, 0.3, 47, anneal_strategy="linear", three_phase=True), 47),
    (triangular(7, 0.2), cyclic(step_size_up=7), 60),
    (triangular(3, 0.2, down=9), cyclic(step_size_up=3, step_size_down=9), 60),
    (triangular2(7, 0.2), cyclic(step_size_up=7, mode="triangular2"), 60),
    (exp_range(7, 0.2, 0.95), cyclic(step_size_up=7, mode="exp_range", gamma=0.95), 60),
]  # fmt: skip


@pytest.mark.parametrize(("schedule", "make", "n"), CASES, ids=[repr(c[0]) for c in CASES])
def test_equals_torch(schedule: Schedule, make, n: int):
    assert (schedule * 0.3).table(n) == pytest.approx(follow(make, n), rel=1e-11, abs=1e-15)


@pytest.mark.parametrize("three_phase", [False, True])
def test_one_cycle_momentum_equals_torch(three_phase: bool):
    def make(optimizer):
        return lr_scheduler.OneCycleLR(optimizer, 0.3, 47, base_momentum=0.8, max_momentum=0.9, three_phase=three_phase)

    ours = one_cycle_momentum(47, base=0.8, top=0.9, three_phase=three_phase)
    assert ours.table(47) == pytest.approx(follow(make, 47, "momentum"), rel=1e-12)
