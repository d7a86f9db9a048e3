"""Options of the class: ranges, words, contradictions, and kinds of weight decay against their formulas."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import descend
from descend.errors import DescendError, OptionError, UnknownOptionError
from descend.schedules import constant
from optim.models import assert_equal, copies, parameters, set_gradients, train


@pytest.mark.parametrize(
    "name,options,expected",
    [
        ("SGD", {"lr": -0.1}, "SGD: lr: got -0.1; allowed: 0 <= x."),
        ("SGD", {"lr": math.nan}, "SGD: lr: got nan; allowed: 0 <= x."),
        ("SGD", {"lr": math.inf}, "SGD: lr: got inf"),
        ("SGD", {"lr": None}, "SGD: lr; allowed: 0 <= x"),
        ("SGD", {"lr": "1e-3"}, "SGD: lr: got '1e-3'"),
        ("SGD", {"lr": True}, "SGD: lr: got True"),
        ("SGD", {"lr": torch.ones(2)}, r"SGD: lr: got tensor\(\[1., 1.\]\)"),
        ("SGD", {"momentum": 1.0}, "SGD: momentum: got 1.0; allowed: 0 <= x < 1"),
        ("SGD", {"nesterov": True}, "SGD.*: nesterov=True needs momentum > 0"),
        ("SGD", {"momentum": 0.9, "dampening": 0.1, "nesterov": True}, "needs momentum > 0 and dampening = 0"),
        ("SGD", {"momentum_form": "torhc"}, "SGD: momentum_form: got 'torhc'; allowed: 'torch' .*mean 'torch'?"),
        ("SGD", {"momentum": 0.9, "dampening": 0.1, "momentum_form": "ema"}, "dampening belongs to"),
        ("Adam", {"betas": (0.9, 1.0)}, r"Adam: betas: got \(0.9, 1.0\); allowed: 2 numbers, each 0 <= x < 1"),
        ("Adam", {"betas": 0.9}, "Adam: betas: got 0.9; allowed: 2 numbers"),
        ("Adam", {"betas": (0.9, 0.99, 0.999)}, "Adam: betas: got .*; allowed: 2 numbers"),
        ("Adam", {"eps": -1e-8}, "Adam: eps: got -1e-08; allowed: 0 <= x"),
        ("Adam", {"amsgrad": 1}, "Adam: amsgrad: got 1; allowed: False | True"),
        ("Adam", {"weight_decay": -0.1}, "Adam: weight_decay: got -0.1; allowed: 0 <= x"),
        ("Adam", {"weight_decay": "0.1"}, "Adam: weight_decay: got '0.1'"),
        ("Adam", {"decay": 0.1}, "Adam: decay: got 0.1; allowed: None, 'l2'.*Did you mean weight_decay=?"),
        ("Adam", {"decay": "decopled"}, "Adam: decay: got 'decopled'.*Did you mean 'decoupled'?"),
        ("Adam", {"decay": "l2", "decoupled_weight_decay": True}, "=True and decay='l2' contradict"),
        ("SGD", {"rounding": "stochastik"}, "SGD: rounding: got 'stochastik'; allowed: 'nearest', .*'stochastic'?"),
        ("SGD", {"seed": 0.5}, "SGD: seed: got 0.5; allowed: an integer"),
        ("SGD", {"seed": True}, "SGD: seed: got True"),
        ("SGD", {"ema": 1.0}, "SGD: ema: got 1.0; allowed: the average's decay, a number >= 0 and < 1"),
        ("SGD", {"ema": -0.1}, "SGD: ema: got -0.1"),
        ("SGD", {"ema": constant(1.5)}, "SGD: ema: got 1.5"),
        ("SGD", {"ema": "0.9"}, "SGD: ema: got '0.9'"),
        ("AdamW", {"decay": "decoupled", "decoupled_weight_decay": False}, "=False and decay='decoupled'"),
        ("Adam", {"clip_norm": 0.0}, "Adam: clip_norm: got 0.0; allowed: a finite number > 0"),
        ("Adam", {"clip_norm": math.inf}, "Adam: clip_norm: got inf"),
        ("Adam", {"clip_norm": "1"}, "Adam: clip_norm: got '1'"),
        ("Adam", {"clip_norm": torch.ones(2)}, r"Adam: clip_norm: got tensor\(\[1., 1.\]\)"),
        ("Adam", {"clip_value": -1}, "Adam: clip_value: got -1; allowed: a finite number > 0"),
        ("Adam", {"on_nonfinite": "skipp"}, "Adam: on_nonfinite: got 'skipp'; allowed: 'apply', .*mean 'skip'?"),
        ("Adam", {"max_nonfinite": 0, "on_nonfinite": "skip"}, "Adam: max_nonfinite: got 0; allowed: a whole number"),
        ("Adam", {"max_nonfinite": 3}, 'max_nonfinite= limits skips in a row. Add on_nonfinite="skip"'),
        ("Adam", {"backend": "gpu"}, "Adam: backend: got 'gpu'; allowed: 'auto', 'eager', 'cpu'"),
        ("Adam", {"on_nonfinite": np.array(["skip", "skip"])}, "Adam: on_nonfinite: got array"),
        ("Adam", {"decay": np.ones(2)}, "Adam: decay: got array"),
        ("Adam", {"maximize": torch.ones(2)}, "Adam: maximize: got tensor"),
        ("Adam", {"decoupled_weight_decay": "no"}, "Adam: decoupled_weight_decay: got 'no'; allowed: True, False"),
        ("Adam", {"maximize": "yes"}, "Adam: maximize: got 'yes'; allowed: True, False"),
        ("LAMB", {"clamp": (5.0, 1.0)}, r"clamp=\(low, high\) needs low <= high: got \(5.0, 1.0\)"),
        ("LAMB", {"exclude_undecayed": True, "decay": "l2"}, "exclude_undecayed=True looks at LAMB's own weight decay"),
        ("LARS", {"momentum": 0.0, "nesterov": True}, "nesterov=True needs momentum > 0"),
    ],
)  # fmt: skip
def test_bad_values_are_refused(name, options, expected):
    with pytest.raises(OptionError, match=expected):
        getattr(descend, name)(parameters(), **options)


@pytest.mark.parametrize(
    "name,given,expected",
    [
        ("SGD", {"learning_rate": 0.1}, "SGD has no option 'learning_rate'. Known: "),
        ("SGD", {"momentun": 0.1}, "SGD has no option 'momentun'. Did you mean 'momentum'?"),
        ("Adam", {"beta": (0.9, 0.99)}, "Adam has no option 'beta'. Did you mean 'betas'?"),
        ("Adam", {"weight_deacy": 0.1}, "Adam has no option 'weight_deacy'. Did you mean 'weight_decay'?"),
        ("Adam", {"clipnorm": 1.0}, "Adam has no option 'clipnorm'. Did you mean 'clip_norm'?"),
        ("Lion", {"eps": 1e-8}, "Lion has no option 'eps'"),
    ],
)
def test_unknown_options_are_refused(name, given, expected):
    with pytest.raises(UnknownOptionError, match=expected) as caught:
        getattr(descend, name)(parameters(), **given)
    assert isinstance(caught.value, TypeError) and isinstance(caught.value, ValueError)


def test_too_many_or_repeated_arguments_are_refused_with_the_signature():
    with pytest.raises(OptionError, match=r"Lion: too many positional arguments. Its signature is Lion\(params, lr="):
        descend.Lion(parameters(), 1e-4, (0.9, 0.99), 0.0, True)
    with pytest.raises(OptionError, match="Adam: multiple values for argument 'lr'"):
        descend.Adam(parameters(), 0.1, lr=0.1)
    with pytest.raises(OptionError, match="Adam: missing a required argument: 'params'"):
        descend.Adam(lr=0.1)


def test_torchs_implementation_flags_are_taken_and_change_nothing():
    for flags in ({"foreach": True}, {"foreach": False}, {"fused": True}, {"capturable": True}, {"fused": None}):
        a = parameters()
        b = copies(a)
        train(descend.Adam(a, lr=0.1, **flags), a, 3)
        train(descend.Adam(b, lr=0.1), b, 3)
        assert_equal(a, b, rtol=0)


KINDS = {
    "l2": lambda p, g, lr, wd, first, high: p - lr * (g + wd * p),
    "decoupled": lambda p, g, lr, wd, first, high: p * (1 - lr * wd) - lr * g,
    "independent": lambda p, g, lr, wd, first, high: p * (1 - wd * lr / first) - lr * g,
    "corrected": lambda p, g, lr, wd, first, high: p * (1 - wd * lr * lr / high) - lr * g,
}


@pytest.mark.parametrize("backend", ["eager", "cpu"])
@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_decay_while_lr_changes(kind, backend):
    a = parameters()
    expected = [p.detach().clone() for p in a]
    ours = descend.SGD(a, lr=0.1, weight_decay=0.3, decay=kind, backend=backend)
    high = 0.0
    for step, lr in enumerate([0.1, 0.05, 0.2, 0.1]):
        ours.param_groups[0]["lr"] = lr
        high = max(high, lr)
        set_gradients(a, step)
        ours.step()
        expected = [KINDS[kind](p, q.grad, lr, 0.3, 0.1, high) for p, q in zip(expected, a, strict=True)]
    assert_equal(a, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_decay_under_a_schedule(kind):
    """The base of a schedule is its peak, also while it still warms up."""
    schedule = descend.schedules.warmup(3) * 0.2
    a = parameters()
    expected = [p.detach().clone() for p in a]
    ours = descend.SGD(a, lr=schedule, weight_decay=0.3, decay=kind)
    for step in range(5):
        set_gradients(a, step)
        ours.step()
        expected = [KINDS[kind](p, q.grad, schedule.at(step), 0.3, 0.2, 0.2) for p, q in zip(expected, a, strict=True)]
    assert_equal(a, expected)


def test_corrected_decay_that_comes_later_knows_the_schedules_highest_rate():
    shape = descend.schedules.warmup(3) * descend.schedules.cosine(5) * 0.2
    first, later = parameters(), parameters()
    ours = descend.SGD(first, lr=shape, weight_decay=0.3, decay="corrected")
    changed = descend.SGD(later, lr=shape, weight_decay=0.3)
    changed.param_groups[0]["decay"] = "corrected"
    train(ours, first, 4)
    train(changed, later, 4)
    assert_equal(first, later, rtol=0)
    assert changed.param_groups[0]["lr_max"] == shape.maximum() < 0.2


@pytest.mark.parametrize(
    "shape",
    [
        descend.schedules.warmup(3) * descend.schedules.cosine(5),  # whose own peak is 0.9
        descend.schedules.inverse_sqrt(4),
        descend.schedules.triangular(3, 0.0),
        descend.schedules.step_decay(2),
    ],
    ids=repr,
)
def test_independent_decay_is_the_same_inside_and_outside(shape):
    """The rate that a schedule is a share of is the base, whether it multiplies it here or in a scheduler of torch."""
    inside, outside = parameters(), parameters()
    ours = descend.SGD(inside, lr=shape * 0.2, weight_decay=0.3, decay="independent")
    driven = descend.SGD(outside, lr=0.2, weight_decay=0.3, decay="independent")
    scheduler = torch.optim.lr_scheduler.LambdaLR(driven, shape.at)
    for step in range(6):
        set_gradients(inside, step)
        set_gradients(outside, step)
        ours.step()
        driven.step()
        scheduler.step()
    assert_equal(inside, outside)


@pytest.mark.parametrize("kind", ["independent", "corrected"])
def test_kinds_of_decay_under_a_torch_scheduler(kind):
    """``initial_lr`` is the base, which a warm-up that scales it down at construction does not hide."""
    a = parameters()
    expected = [p.detach().clone() for p in a]
    ours = descend.SGD(a, lr=0.2, weight_decay=0.3, decay=kind)
    scheduler = torch.optim.lr_scheduler.LinearLR(ours, start_factor=0.25, total_iters=3)
    for step in range(5):
        lr = ours.param_groups[0]["lr"]
        set_gradients(a, step)
        ours.step()
        scheduler.step()
        expected = [KINDS[kind](p, q.grad, lr, 0.3, 0.2, 0.2) for p, q in zip(expected, a, strict=True)]
    assert_equal(a, expected)


@pytest.mark.parametrize("name", ["Adam", "AdamW", "NAdam", "RAdam"])
@pytest.mark.parametrize("decoupled", [False, True])
def test_torchs_decoupled_weight_decay(name, decoupled):
    a = parameters()
    b = copies(a)
    ours = getattr(descend, name)(a, lr=0.1, weight_decay=0.2, decoupled_weight_decay=decoupled)
    # torch's AdamW has no such option: it is Adam with it
    theirs = getattr(torch.optim, name.removesuffix("W"))(b, lr=0.1, weight_decay=0.2, decoupled_weight_decay=decoupled)
    train(ours, a, 8)
    train(theirs, b, 8)
    assert_equal(a, b, rtol=1e-7 if name == "NAdam" else 1e-12)  # torch keeps mu_product in float32


def test_decays_equal_torchs_pair_of_classes():
    a = parameters()
    b = copies(a)
    train(descend.Adam(a, lr=0.1, weight_decay=0.2, decay="decoupled"), a, 4)
    train(torch.optim.AdamW(b, lr=0.1, weight_decay=0.2), b, 4)
    assert_equal(a, b)


VALUES = st.one_of(
    st.floats(), st.integers(), st.none(), st.booleans(), st.text(max_size=4), st.tuples(st.floats(), st.floats()),
    st.lists(st.floats(), max_size=3), st.just({}), st.complex_numbers(),
)  # fmt: skip


def is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


@given(st.sampled_from(["lr", "momentum", "dampening", "weight_decay", "clip_norm", "clip_value"]), VALUES)
def test_any_value_is_taken_or_refused_in_our_own_words(name, value):
    """Never a raw error, never a silent acceptance of what is no number in range."""
    ranges = {
        "lr": lambda x: x >= 0,
        "momentum": lambda x: 0 <= x < 1,
        "dampening": lambda x: True,
        "weight_decay": lambda x: x >= 0,
        "clip_norm": lambda x: x > 0,
        "clip_value": lambda x: x > 0,
    }
    optional = name in ("clip_norm", "clip_value") and value is None
    good = optional or (is_number(value) and not math.isnan(value) and ranges[name](value))
    try:
        descend.SGD([torch.zeros(1)], **{name: value})
        taken = True
    except OptionError as error:
        taken = False
        assert str(error).startswith(f"SGD: {name}")
    if not (is_number(value) or isinstance(value, int | float)) or isinstance(value, bool) or abs(value) < 1e300:
        assert taken == good


@given(st.text(min_size=1, max_size=12).filter(str.isidentifier), st.sampled_from(sorted(descend.optimizers())))
def test_any_unknown_name_is_refused(name, optimizer):
    cls = descend.optimizers()[optimizer]
    if name in cls.__signature__.parameters:
        return
    with pytest.raises(UnknownOptionError, match=f"{optimizer} has no option"):
        cls([torch.zeros(1)], **{name: 1.0})


@given(st.tuples(VALUES, VALUES))
def test_any_betas_are_taken_or_refused(betas):
    good = all(is_number(b) and 0 <= b < 1 for b in betas)
    try:
        descend.Adam([torch.zeros(1)], betas=betas)
        assert good
    except DescendError as error:
        assert not good
        assert str(error).startswith("Adam: betas: got (")
