"""Golden values of the catalogue, worked out by hand from the papers' formulas, and where each schedule ends."""

import math

import numpy as np
import pytest

from descend.errors import OptionError
from descend.schedules import (
    Schedule,
    cosine,
    cosine_restarts,
    cosine_with_warmup,
    exp_range,
    exponential,
    inverse_sqrt,
    linear,
    milestones,
    one_cycle,
    one_cycle_momentum,
    polynomial,
    step_decay,
    triangular,
    triangular2,
    warmup,
    warmup_stable_decay,
)

ROOT_HALF = math.sqrt(0.5)
E = math.e

GOLDEN: list[tuple[Schedule, dict[int, float]]] = [
    # Two stairs of 3, then the third: k = 0, 1, T-1, T, T+1 around the second drop.
    (step_decay(3, gamma=0.5), {0: 1.0, 1: 1.0, 2: 1.0, 3: 0.5, 5: 0.5, 6: 0.25, 7: 0.25}),
    (step_decay(1), {0: 1.0, 1: 0.1, 2: 0.01}),
    (milestones((2, 5), gamma=0.5), {0: 1.0, 1: 1.0, 2: 0.5, 4: 0.5, 5: 0.25, 6: 0.25, 10**9: 0.25}),
    (milestones([1]), {0: 1.0, 1: 0.1, 2: 0.1}),
    (exponential(1.0), {0: 1.0, 1: 1 / E, 2: 1 / E**2, 5: E**-5, 10**6: 0.0}),
    (exponential(gamma=0.5), {0: 1.0, 1: 0.5, 2: 0.25, 10: 2.0**-10}),
    (exponential(-math.log(2.0)), {0: 1.0, 1: 2.0, 3: 8.0, 10**6: math.inf}),
    (polynomial(4, power=2.0), {0: 1.0, 1: 0.5625, 3: 0.0625, 4: 0.0, 5: 0.0}),
    (polynomial(4, power=0.5, floor=0.2), {0: 1.0, 1: 0.2 + 0.8 * math.sqrt(0.75), 3: 0.6, 4: 0.2, 5: 0.2}),
    (linear(4), {0: 1.0, 1: 0.75, 3: 0.25, 4: 0.0, 5: 0.0}),
    (linear(4, end=1.0, start=0.2), {0: 0.2, 1: 0.4, 3: 0.8, 4: 1.0, 5: 1.0}),
    (cosine_restarts(2), {0: 1.0, 1: 0.5, 2: 1.0, 3: 0.5, 4: 1.0, 5: 0.5}),
    # Cycles of 2, 4 and 8 updates with heights 1, 0.5 and 0.25 over a floor of 0.
    (
        cosine_restarts(2, T_mult=2, decay=0.5),
        {0: 1, 1: 0.5, 2: 0.5, 3: (1 + ROOT_HALF) / 4, 4: 0.25, 5: (1 - ROOT_HALF) / 4, 6: 0.25, 10: 0.125, 14: 0.125},
    ),
    (
        cosine_restarts(2, T_mult=3, floor=0.2, cycles=2),
        {0: 1.0, 1: 0.6, 2: 1.0, 5: 0.6, 7: 0.6 - 0.2 * math.sqrt(3), 8: 0.2, 9: 0.2},
    ),
    (cosine_with_warmup(6, 2), {0: 0.5, 1: 1, 2: 1.0, 3: (1 + ROOT_HALF) / 2, 5: (1 - ROOT_HALF) / 2, 6: 0.0, 7: 0.0}),
    (cosine_with_warmup(6, 2, floor=0.2), {0: 0.6, 1: 1.0, 2: 1.0, 4: 0.6, 6: 0.2, 7: 0.2}),
    (cosine_with_warmup(6, 2, floor=0.2, from_floor=True), {0: 0.2, 1: 0.6, 2: 1.0, 4: 0.6, 6: 0.2, 7: 0.2}),
    # The rise ends at k = 0.5 * 10 - 1 = 4, the fall at k = 9.
    (
        one_cycle(10, 0.5, div_factor=5.0, final_div_factor=2.0, anneal="linear"),
        {0: 0.2, 1: 0.4, 3: 0.8, 4: 1.0, 5: 0.82, 8: 0.28, 9: 0.1, 10: 0.1, 11: 0.1},
    ),
    (one_cycle(10, 0.5, div_factor=5.0, final_div_factor=2.0), {0: 0.2, 2: 0.6, 4: 1.0, 9: 0.1, 10: 0.1, 11: 0.1}),
    (
        one_cycle(10, 0.4, div_factor=5.0, final_div_factor=2.0, anneal="linear", three_phase=True),
        {0: 0.2, 1: 0.2 + 0.8 / 3, 3: 1.0, 4: 1.0 - 0.8 / 3, 6: 0.2, 7: 0.2 - 0.1 / 3, 9: 0.1, 10: 0.1, 11: 0.1},
    ),
    (
        one_cycle_momentum(10, 0.5, base=0.8, top=0.9, anneal="linear"),
        {0: 0.9, 1: 0.875, 4: 0.8, 5: 0.82, 8: 0.88, 9: 0.9, 10: 0.9, 11: 0.9},
    ),
    (one_cycle_momentum(10, 0.4, 0.8, 0.9, three_phase=True), {0: 0.9, 3: 0.8, 6: 0.9, 7: 0.9, 9: 0.9, 10: 0.9}),
    # A cycle has 2p = 4 updates and starts at the lowest value.
    (triangular(2, 0.2), {0: 0.2, 1: 0.6, 2: 1.0, 3: 0.6, 4: 0.2, 5: 0.6, 6: 1.0}),
    (triangular(1, 0.2, down=3), {0: 0.2, 1: 1.0, 2: 0.2 + 0.8 * 2 / 3, 3: 0.2 + 0.8 / 3, 4: 0.2, 5: 1.0}),
    (triangular2(2, 0.2), {0: 0.2, 1: 0.6, 2: 1.0, 3: 0.6, 4: 0.2, 5: 0.4, 6: 0.6, 7: 0.4, 8: 0.2, 10: 0.4}),
    (exp_range(2, 0.2, gamma=0.5), {0: 0.2, 1: 0.4, 2: 0.4, 3: 0.25, 4: 0.2, 5: 0.2 + 0.4 / 32}),
    (inverse_sqrt(4), {0: 0.25, 1: 0.5, 2: 0.75, 3: 1.0, 4: math.sqrt(0.8), 15: 0.5, 399: 0.1}),
    (warmup_stable_decay(10, 2, 4), {0: 0.5, 1: 1.0, 2: 1.0, 6: 1.0, 7: 0.75, 9: 0.25, 10: 0.0, 11: 0.0}),
    (
        warmup_stable_decay(10, 2, 4, floor=0.2, shape="1-sqrt"),
        {0: 0.5, 6: 1.0, 7: 0.6, 9: 1 - 0.8 * math.sqrt(0.75), 10: 0.2, 11: 0.2},
    ),
    (warmup_stable_decay(10, 2, 4, shape="cosine"), {1: 1.0, 6: 1.0, 7: (1 + ROOT_HALF) / 2, 8: 0.5, 10: 0.0, 11: 0.0}),
]  # fmt: skip


@pytest.mark.parametrize(("schedule", "golden"), GOLDEN, ids=[repr(s) for s, _ in GOLDEN])
def test_golden_values(schedule: Schedule, golden: dict[int, float]):
    assert {k: schedule.at(k) for k in golden} == pytest.approx(golden, rel=1e-14, abs=1e-16)


@pytest.mark.parametrize(
    ("schedule", "horizon", "end"),
    [
        (milestones((2, 5), gamma=0.5), 5, 0.25),
        (polynomial(7, 3.0, floor=0.1), 7, 0.1),
        (linear(7, end=0.1, start=0.7), 7, 0.1),
        (cosine_restarts(3, 2, floor=0.1, cycles=3), 21, 0.1),
        (cosine_restarts(3, 1, floor=0.1, cycles=3), 9, 0.1),
        (cosine_with_warmup(9, 2, floor=0.1), 9, 0.1),
        (one_cycle(9, final_div_factor=10.0, div_factor=4.0), 8, 0.025),
        (one_cycle_momentum(9), 8, 0.95),
        (warmup_stable_decay(9, 2, 3, floor=0.1), 9, 0.1),
    ],
    ids=str,
)
def test_ends_are_exact_and_the_horizon_is_the_last_change(schedule: Schedule, horizon: int, end: float):
    assert schedule.horizon == horizon
    assert schedule.at(horizon) == schedule.at(horizon + 1) == schedule.at(10**7) == end
    assert schedule.at(horizon - 1) != end


@pytest.mark.parametrize(
    "schedule",
    [
        step_decay(5),
        exponential(0.1),
        cosine_restarts(5),
        triangular(3, 0.1),
        triangular2(3, 0.1),
        exp_range(3, 0.1),
        inverse_sqrt(5),
    ],
    ids=str,
)
def test_what_has_no_end_has_no_horizon(schedule: Schedule):
    assert schedule.horizon is None
    assert (schedule * cosine(5)).horizon is None
    with pytest.raises(OptionError, match="for ever"):
        schedule.maximum()


def test_what_never_changes_is_settled_from_the_start():
    still = [step_decay(5, 1.0), milestones((5,), 1.0), exponential(0.0), exponential(gamma=1.0)]
    still += [cosine_restarts(5, floor=1.0), triangular(5, 1.0), triangular2(5, 1.0), exp_range(5, 1.0)]
    assert [s.horizon for s in still] == [0] * len(still)
    assert [s.at(7) for s in still] == [1.0] * len(still)


@pytest.mark.parametrize("T_mult", [1, 2, 3, 10])
@pytest.mark.parametrize("T_0", [1, 7, 1000])
def test_restarts_come_at_the_exact_update(T_0: int, T_mult: int):
    # The number of the cycle is found with a logarithm, which may round across a restart; the value must not.
    schedule = cosine_restarts(T_0, T_mult, decay=0.5)
    start = 0
    for cycle in range(12):
        assert schedule.at(start) == 0.5**cycle
        if T_0 * T_mult**cycle > 1:
            assert schedule.at(start + T_0 * T_mult**cycle - 1) < 0.5**cycle
        start += T_0 * T_mult**cycle


@pytest.mark.parametrize(("total_epochs", "warmup_epochs"), [(10, 3), (90, 5), (2, 1)])
@pytest.mark.parametrize(("lr_max", "lr_min"), [(0.1, 0.001), (3e-4, 0.0), (1.0, 1.0)])
def test_cosine_with_warmup_equals_the_formula_in_circulation(
    total_epochs: int, warmup_epochs: int, lr_max: float, lr_min: float
):
    def lr_schedule(epoch):
        if epoch < warmup_epochs:
            return lr_min + (lr_max - lr_min) * epoch / warmup_epochs
        progress = (epoch - warmup_epochs) / (total_epochs - warmup_epochs)
        return lr_min + 0.5 * (lr_max - lr_min) * (1 + np.cos(np.pi * progress))

    ours = cosine_with_warmup(total_epochs, warmup_epochs, floor=lr_min / lr_max, from_floor=True) * lr_max
    expected = [lr_schedule(epoch) for epoch in range(total_epochs + 1)]
    assert ours.table(total_epochs + 1) == pytest.approx(expected, rel=1e-13, abs=1e-18)


def test_the_first_update_after_a_warmup_from_one_wth_moves():
    assert cosine_with_warmup(10, 4).at(0) == 0.25
    assert cosine_with_warmup(10, 4, from_floor=True).at(0) == 0.0


@pytest.mark.parametrize(("d", "W"), [(512, 4000), (64, 3)])
def test_inverse_sqrt_equals_the_paper(d: int, W: int):
    paper = [d**-0.5 * min(step**-0.5, step * W**-1.5) for step in range(1, 3 * W)]
    assert (inverse_sqrt(W) * (d * W) ** -0.5).table(3 * W - 1) == pytest.approx(paper, rel=1e-13)


@pytest.mark.parametrize("p", [1, 2, 7])
def test_triangular_equals_the_paper(p: int):
    base, top = 0.001, 0.006
    for k in range(6 * p):
        cycle = math.floor(1 + k / (2 * p))
        x = max(0.0, 1 - abs(k / p - 2 * cycle + 1))
        paper = [base + (top - base) * x, base + (top - base) * x / 2 ** (cycle - 1), base + (top - base) * x * 0.9**k]
        ours = [triangular(p, base / top), triangular2(p, base / top), exp_range(p, base / top, gamma=0.9)]
        assert [s.at(k) * top for s in ours] == pytest.approx(paper, rel=1e-12)


def test_a_longer_stable_stretch_changes_nothing_before_the_decay():
    short, long = warmup_stable_decay(100, 10, 20), warmup_stable_decay(300, 10, 20)
    assert short.table(81) == long.table(81)
    assert short.at(81) != long.at(81)


def test_warmup_stable_decay_is_warmup_then_its_decay():
    parts = warmup(10).then(linear(20), at=80)
    assert warmup_stable_decay(100, 10, 20).table(110) == pytest.approx(parts.table(110), abs=1e-15)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: step_decay(3, 0.0), "above 0 and at most 1"),
        (lambda: step_decay(3, 1.1), "above 0 and at most 1"),
        (lambda: milestones(()), "increasing"),
        (lambda: milestones((5, 5)), "increasing"),
        (lambda: milestones((5, 2)), "increasing"),
        (lambda: milestones(5), "increasing"),
        (lambda: milestones((0, 5)), r"milestones\(at=\), entry 0.*at least 1"),
        (lambda: milestones((1, 2.5)), "entry 1.*whole number"),
        (lambda: exponential(), "one of rate= and gamma="),
        (lambda: exponential(0.1, 0.9), "one of rate= and gamma="),
        (lambda: exponential(gamma=1.5), "at most 1"),
        (lambda: polynomial(3, 0.0), "above 0"),
        (lambda: cosine_restarts(3, T_mult=1.5), "whole number"),
        (lambda: cosine_with_warmup(10, 10), "W=10, must be shorter than the whole, T=10"),
        (lambda: cosine_with_warmup(10, 2, from_floor=1), "True, False"),
        (lambda: one_cycle(10, anneal="cosine"), r"allowed: 'cos', 'linear'. Did you mean 'cos'\?"),
        (lambda: one_cycle(3), "pct_start=0.3 of T=3 updates leaves a phase"),
        (lambda: one_cycle(10, 1.0), "leaves a phase"),
        (lambda: one_cycle_momentum(10, 0.6, three_phase=True), "leaves a phase"),
        (lambda: warmup_stable_decay(10, 6, 5), "W [+] D = 11, do not fit into T=10"),
        (lambda: warmup_stable_decay(10, 2, 5, shape="sqrt"), r"Did you mean '1-sqrt'\?"),
        (lambda: triangular(3, -0.1), "from 0 to 1"),
    ],
)
def test_refusals(make, words: str):
    with pytest.raises(OptionError, match=words):
        make()
