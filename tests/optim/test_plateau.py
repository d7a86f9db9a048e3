"""Reduce on plateau: when it reduces, what it changes, where its state lives."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import descend
from descend.errors import OptionError
from descend.optim.plateau import Plateau
from descend.schedules import cosine, step_decay, warmup

EITHER = pytest.mark.parametrize("kind", [torch.optim.SGD, descend.SGD], ids=["torch", "descend"])


def parameter() -> torch.nn.Parameter:
    p = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    p.grad = torch.full_like(p, 0.5)
    return p


def sgd(kind=descend.SGD, lr=1.0, **options):
    return kind([parameter()], lr=lr, **options)


def rate(optimizer) -> float:
    return float(optimizer.param_groups[0]["lr"])


def reductions(metrics: list[float], **options) -> list[int]:
    """Which reports reduce, counted from 1."""
    plateau = Plateau(sgd(), **options)
    return [i for i, metric in enumerate(metrics, 1) if plateau.report(metric)]


@pytest.mark.parametrize("patience", [0, 1, 2, 5])
def test_patience_is_the_number_of_bad_reports_in_a_row_that_change_nothing(patience: int):
    assert reductions([1.0] * 14, patience=patience) == [*range(patience + 2, 15, patience + 1)]


def test_a_good_report_starts_the_count_again():
    assert reductions([5.0, 5.0, 5.0, 4.0, 4.0, 4.0, 4.0], patience=2) == [7]


def test_the_cooldown_does_not_count():
    # Bad from the second report on: reduced at 3, then two reports that do not count, then bad at 6 and 7.
    assert reductions([1.0] * 8, patience=1, cooldown=2) == [3, 7]


@pytest.mark.parametrize(
    ("mode", "threshold_mode", "best", "good", "bad"),
    [
        ("min", "rel", 10.0, 8.9, 9.0),
        ("min", "rel", -10.0, -11.1, -11.0),
        ("min", "abs", 10.0, 9.8, 9.9),
        ("min", "abs", -10.0, -10.2, -10.1),
        ("max", "rel", 10.0, 11.1, 11.0),
        ("max", "rel", -10.0, -8.9, -9.0),
        ("max", "abs", 10.0, 10.2, 10.1),
        ("max", "abs", -10.0, -9.8, -9.9),
        ("min", "rel", 0.0, -1e-300, 0.0),
        ("max", "rel", 0.0, 1e-300, 0.0),
    ],
)
def test_what_beats_the_best(mode, threshold_mode, best: float, good: float, bad: float):
    for metric, counted in ((good, 0), (bad, 1)):
        plateau = Plateau(sgd(), mode=mode, threshold=0.1, threshold_mode=threshold_mode)
        plateau.report(best)
        plateau.report(metric)
        assert plateau.bad == counted
        assert plateau.best == (best if counted else metric)


def test_a_falling_negative_metric_never_reduces():
    falling = [-1.0 - 0.01 * i for i in range(60)]
    assert reductions(falling, patience=0) == []
    assert reductions([-x for x in falling], mode="max", patience=0) == []


metrics = st.lists(st.floats(0.01, 10), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(metrics, st.integers(0, 3), st.integers(0, 3), st.sampled_from(["min", "max"]), st.sampled_from(["rel", "abs"]))
def test_positive_metrics_equal_torch(values, patience, cooldown, mode, threshold_mode):
    ours, theirs = sgd(torch.optim.SGD), sgd(torch.optim.SGD)
    options = {
        "factor": 0.5,
        "patience": patience,
        "cooldown": cooldown,
        "mode": mode,
        "threshold_mode": threshold_mode,
    }
    plateau = Plateau(ours, threshold=0.05, floor=0.125, **options)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, threshold=0.05, min_lr=0.125, **options)
    for value in values:
        plateau.report(value)
        scheduler.step(value)
        assert rate(ours) == rate(theirs)
        assert plateau.bad == scheduler.num_bad_epochs
        assert 0.125 <= plateau.product <= 1.0


@pytest.mark.parametrize("metric", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("mode", ["min", "max"])
class TestNonFinite:
    def test_is_refused_and_changes_nothing(self, mode, metric):
        plateau = Plateau(sgd(), mode=mode, patience=0)
        plateau.report(1.0)
        with pytest.raises(OptionError, match="on_nonfinite"):
            plateau.report(metric)
        assert (plateau.best, plateau.bad, plateau.product) == (1.0, 0, 1.0)

    def test_counts_as_bad_on_request(self, mode, metric):
        assert reductions([1.0, metric, metric], mode=mode, patience=1, on_nonfinite="bad") == [3]
        assert reductions([metric, metric], mode=mode, patience=1, on_nonfinite="bad") == [2]

    def test_is_passed_over_on_request(self, mode, metric):
        assert reductions([1.0, metric, metric, 1.0], mode=mode, patience=0, on_nonfinite="skip") == [4]


@EITHER
def test_reductions_multiply_until_the_floor(kind):
    optimizer = sgd(kind, lr=0.8)
    plateau = Plateau(optimizer, factor=0.5, patience=0, floor=0.2)
    seen = [(plateau.report(1.0), rate(optimizer), plateau.product) for _ in range(5)]
    assert seen == [
        (False, 0.8, 1.0), (True, 0.4, 0.5), (True, 0.2, 0.25), (True, pytest.approx(0.16), 0.2),
        (False, pytest.approx(0.16), 0.2),
    ]  # fmt: skip


def test_a_schedule_goes_on_multiplied():
    schedule = warmup(3) * cosine(20) * 0.1
    optimizer = sgd(lr=schedule)
    plateau = Plateau(optimizer, factor=0.5, patience=0)
    rates = []
    for k in range(10):
        optimizer.step()
        rates.append(rate(optimizer))
        if k in (3, 6):
            plateau.report(1.0)  # the first is good, the second is not
    expected = [schedule.at(k) * (0.5 if k > 6 else 1.0) for k in range(10)]
    assert rates == pytest.approx(expected, rel=1e-14)


def test_one_plain_schedule_is_multiplied_too():
    optimizer = sgd(lr=step_decay(4, 0.5))
    plateau = Plateau(optimizer, patience=0)
    assert [plateau.report(1.0) for _ in range(3)] == [False, True, True]
    optimizer.step()
    assert rate(optimizer) == pytest.approx(0.01)


def test_another_hyper_parameter_than_the_rate():
    optimizer = sgd(weight_decay=0.1)
    plateau = Plateau(optimizer, key="weight_decay", patience=0, factor=0.5)
    plateau.report(1.0)
    plateau.report(1.0)
    assert (optimizer.param_groups[0]["weight_decay"], rate(optimizer)) == (0.05, 1.0)


@EITHER
def test_nothing_else_changes_and_all_groups_are_reduced(kind):
    optimizer = kind([{"params": [parameter()], "lr": 0.5}, {"params": [parameter()]}], lr=1.0, momentum=0.9)
    before = [{k: v for k, v in g.items() if k not in ("params", "lr", "plateau")} for g in optimizer.param_groups]
    plateau = Plateau(optimizer, patience=0)
    assert [g["lr"] for g in optimizer.param_groups] == [0.5, 1.0]
    plateau.report(1.0)
    optimizer.add_param_group({"params": [parameter()], "lr": 0.25})
    plateau.report(1.0)
    assert [g["lr"] for g in optimizer.param_groups] == pytest.approx([0.05, 0.1, 0.025])
    after = [{k: v for k, v in g.items() if k not in ("params", "lr", "plateau")} for g in optimizer.param_groups]
    assert after[:2] == before


def test_a_rate_in_a_tensor_stays_that_tensor():
    lr = torch.tensor(1.0)
    plateau = Plateau(sgd(torch.optim.Adam, lr=lr), patience=0)
    plateau.report(torch.tensor(3.0))
    plateau.report(torch.tensor([3.0]))
    assert plateau.optimizer.param_groups[0]["lr"] is lr
    assert lr.item() == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("kind", "scheduled"), [(torch.optim.SGD, False), (descend.SGD, False), (descend.SGD, True)], ids=str
)
@pytest.mark.parametrize("built", ["before loading", "after loading"])
def test_resume_equals_uninterrupted(kind, scheduled: bool, built: str, tmp_path):
    lr = cosine(30) * 0.5 if scheduled else 0.5
    options = {"patience": 1, "cooldown": 1, "factor": 0.5}
    values = [3.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5]

    def run(optimizer, plateau, part):
        seen = []
        for value in part:
            optimizer.step()
            seen.append((rate(optimizer), plateau.report(value), plateau.best, plateau.bad, plateau.product))
        return seen

    for cut in range(1, len(values)):
        whole = sgd(kind, lr)
        plateau = Plateau(whole, **options)
        run(whole, plateau, values[:cut])
        torch.save(whole.state_dict(), tmp_path / "state.pt")
        expected = run(whole, plateau, values[cut:])
        assert any(reduced for _, reduced, *_ in expected) or cut > 10

        resumed = sgd(kind, lr)
        plateau = Plateau(resumed, **options) if built == "before loading" else None
        resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
        plateau = plateau or Plateau(resumed, **options)
        assert run(resumed, plateau, values[cut:]) == expected


def test_two_plateaus_on_two_hyper_parameters():
    optimizer = sgd(weight_decay=0.5)
    fast, slow = Plateau(optimizer, patience=0), Plateau(optimizer, key="weight_decay", patience=1)
    for _ in range(3):
        fast.report(1.0)
        slow.report(1.0)
    assert (fast.product, slow.product) == (pytest.approx(0.01), 0.1)


def test_a_copy_of_the_optimizer_has_a_state_of_its_own():
    optimizer = sgd()
    plateau = Plateau(optimizer, patience=0)
    plateau.report(1.0)
    twin = Plateau(copy.deepcopy(optimizer), patience=0)
    plateau.report(1.0)
    assert (twin.best, twin.product, plateau.product) == (1.0, 1.0, 0.1)


def test_a_scheduler_of_torchs_on_the_same_rate_is_refused():
    optimizer = sgd()
    plateau = Plateau(optimizer, patience=0)
    plateau.report(1.0)
    torch.optim.lr_scheduler.StepLR(optimizer, 3)
    with pytest.raises(OptionError, match="LRScheduler drives the lr of group 0"):
        plateau.report(1.0)
    assert (plateau.bad, plateau.product, rate(optimizer)) == (0, 1.0, 1.0)
    with pytest.raises(OptionError, match="LRScheduler"):
        Plateau(optimizer)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mode": "minimum"}, "Did you mean 'min'"),
        ({"threshold_mode": "relative"}, "'rel', 'abs'"),
        ({"on_nonfinite": "ignore"}, "'raise', 'bad', 'skip'"),
        ({"factor": 1.0}, "below 1"),
        ({"factor": 0.0}, "above 0"),
        ({"patience": 1.5}, "whole number"),
        ({"patience": -1}, "at least 0"),
        ({"threshold": -1e-3}, "at least 0"),
        ({"threshold": math.nan}, "at least 0"),
        ({"cooldown": True}, "at least 0"),
        ({"floor": 2.0}, "from 0 to 1"),
        ({"key": "weight_deca"}, "Did you mean 'weight_decay'"),
        ({"key": "nesterov"}, "no number 'nesterov'"),
        ({"key": ["lr"]}, r"key=\): got \['lr'\]; allowed: the name of one option"),
    ],
)
def test_settings_are_checked(options, words: str):
    with pytest.raises(OptionError, match=words):
        Plateau(sgd(weight_decay=0.1), **options)


@pytest.mark.parametrize("metric", ["good", None, torch.ones(2), 10**400], ids=["word", "None", "tensor", "huge"])
def test_a_metric_is_one_number(metric):
    with pytest.raises(OptionError, match="a number or a tensor of one element"):
        Plateau(sgd()).report(metric)


def test_the_optimizer_comes_first():
    with pytest.raises(OptionError, match="an optimizer"):
        Plateau(0.1)
