"""Converted states against what the target itself would have kept, had it seen the same gradients."""

import itertools
from typing import Any

import pytest
import torch

import descend
from descend.checkpoints import convert_state
from descend.checkpoints.meanings import MEANINGS
from descend.errors import CheckpointError, OptionError, UnknownOptionError
from optim.models import assert_equal, copies, parameters, train

STEPS = 7
# Options under which all keep the same shares; the gradients of `train` do not depend on the parameters.
SAME: dict[str, dict[str, Any]] = {
    "AdaBelief": {"betas": (0.9, 0.99), "eps": 0.0},
    "Adadelta": {"rho": 0.99},
    "Adagrad": {"initial_accumulator_value": 0.5},
    "Adam": {"betas": (0.9, 0.99), "amsgrad": True},
    "AdamW": {"betas": (0.9, 0.99), "weight_decay": 0.0},
    "Adamax": {"betas": (0.9, 0.99)},
    "Adan": {"betas": (0.9, 0.92, 0.99)},
    "AdEMAMix": {"betas": (0.9, 0.99, 0.999)},
    "ADOPT": {"betas": (0.9, 0.99)},
    "AggMo": {"betas": (0.9, 0.9, 0.9)},
    "LAMB": {"betas": (0.9, 0.99)},
    "Lion": {"betas": (0.5, 0.9)},
    "NAdam": {"betas": (0.9, 0.99)},
    "QHAdam": {"betas": (0.9, 0.99)},
    "QHM": {"momentum": 0.9},
    "RAdam": {"betas": (0.9, 0.99)},
    "RMSprop": {"alpha": 0.99, "momentum": 0.9},
    "SGD": {"momentum": 0.9},
    "SGDW": {"momentum": 0.9, "lr": 0.2, "weight_decay": 0.0},
    "Signum": {"momentum": 0.9},
    "StableAdamW": {"betas": (0.9, 0.99), "weight_decay": 0.0},
    "Yogi": {"betas": (0.9, 0.99)},
}
EXACT = {
    ("SGD", "Adam"): {"exp_avg"},
    ("SGD", "SGDW"): {"momentum_buffer"},
    ("SGDW", "SGD"): {"momentum_buffer"},
    ("SGD", "QHM"): {"momentum_buffer"},
    ("QHM", "AggMo"): {f"momentum_buffer_{i}" for i in (1, 2, 3)},
    ("AggMo", "Signum"): {"momentum_buffer"},
    ("Adam", "AdamW"): {"exp_avg", "exp_avg_sq"},
    ("Adam", "NAdam"): {"exp_avg", "exp_avg_sq", "mu_product"},
    ("Adam", "RAdam"): {"exp_avg", "exp_avg_sq"},
    ("Adam", "LAMB"): {"exp_avg", "exp_avg_sq"},
    ("Adam", "Lion"): {"exp_avg"},
    ("Adam", "SGD"): {"momentum_buffer"},
    ("Adam", "AdEMAMix"): {"exp_avg_fast", "exp_avg_sq"},
    ("RMSprop", "Adam"): {"exp_avg_sq"},
    ("Adadelta", "RMSprop"): {"square_avg"},
    ("Lion", "QHAdam"): {"exp_avg"},
    ("AdaBelief", "AdamW"): {"exp_avg"},
    ("StableAdamW", "AdamW"): {"exp_avg", "exp_avg_sq"},
    ("ADOPT", "Adan"): set(),
}
"""Pairs with the states that must come out as the target would have made them; the rest is tried for consistency."""


def run(name: str, steps: int = STEPS, **options: Any):
    params = parameters()
    optimizer = getattr(descend, name)(params, **{**SAME.get(name, {}), **options})
    train(optimizer, params, steps)
    return params, optimizer


@pytest.mark.parametrize("source,target", list(EXACT), ids="-".join)
def test_exact_states_are_those_of_the_target(source, target):
    _, before = run(source)
    theirs, native = run(target)
    conversion = convert_state(before.state_dict(), to=native, from_=source)
    exact = {line.name for line in conversion.lines if line.grade == "exact"}
    assert exact >= EXACT[source, target]
    for number, p in enumerate(theirs):
        for key in EXACT[source, target]:
            made = conversion.state_dict["state"][number][key]
            torch.testing.assert_close(made, native.state[p][key], rtol=1e-12, atol=1e-14, msg=key)


CARRIED = sorted(name for name, cls in descend.optimizers().items() if cls.rule.formula.__name__ in MEANINGS)


@pytest.mark.parametrize("source", CARRIED)
def test_whatever_is_exact_is_what_the_target_would_have_kept(source):
    """Every target: what is called exact is so, and the result loads strictly and steps without infinities."""
    _, before = run(source)
    for target in CARRIED:
        theirs, native = run(target, **({} if target in SAME else {"lr": 0.1}))
        conversion = convert_state(before.state_dict(), to=native, from_=source)
        exact = {line.name for line in conversion.lines if line.grade == "exact"}
        kept = MEANINGS[native.rule.formula.__name__]
        for number, key in itertools.product(range(3), exact & set(kept)):
            made = conversion.state_dict["state"][number][key]
            other = native.state[theirs[number]][key]
            torch.testing.assert_close(made, other, rtol=1e-9, atol=1e-12, msg=f"{source} -> {target}: {key}")
        report = native.load_state_dict(conversion.state_dict)
        assert report.fits
        train(native, theirs, range(STEPS, STEPS + 2))
        assert all(p.isfinite().all() for p in theirs), target


@pytest.mark.parametrize("name", descend.optimizers())
def test_every_method_converts_to_itself_to_the_bit(name):
    """Also one whose states mean nothing to others, or stand in the group."""
    params = parameters()
    before = getattr(descend, name)(params)
    train(before, params, 3)
    twins = copies(params)
    after = getattr(descend, name)(twins)
    after.load_state_dict(convert_state(before.state_dict(), to=after, from_=name).state_dict)
    train(before, params, range(3, 5))
    train(after, twins, range(3, 5))
    assert_equal(params, twins, rtol=0)


def test_the_same_form_is_copied_to_the_bit():
    _, before = run("Adam", amsgrad=False)
    conversion = convert_state(before.state_dict(), to="AdamW")
    for number, entry in before.state_dict()["state"].items():
        for key, value in entry.items():
            assert torch.equal(conversion.state_dict["state"][number][key], value), key
    assert [line.grade for line in conversion.lines[:2]] == ["exact", "exact"]


def test_adam_to_adamw_goes_on_as_adam_does_without_decay():
    params, before = run("Adam", amsgrad=False, lr=0.1)
    conversion = convert_state(before.state_dict(), to="AdamW", weight_decay=0.0)
    assert conversion.exact
    twins = copies(params)
    after = descend.AdamW(twins)
    after.load_state_dict(conversion.state_dict)
    assert after.param_groups[0]["lr"] == 0.1 and after.param_groups[0]["betas"] == (0.9, 0.99)
    assert after.clock.updates == STEPS
    train(before, params, range(STEPS, STEPS + 3))
    train(after, twins, range(STEPS, STEPS + 3))
    assert_equal(params, twins, rtol=0)


def test_a_decay_of_another_kind_is_not_carried():
    _, before = run("Adam", amsgrad=False, weight_decay=0.3)
    conversion = convert_state(before.state_dict(), to="AdamW")
    assert "weight_decay" not in conversion.state_dict["param_groups"][0]
    assert [line.name for line in conversion.lines if line.grade == "dropped"] == ["weight_decay=0.3"]


@pytest.mark.parametrize("form", ["torch", "classical", "ema"])
@pytest.mark.parametrize("other", ["torch", "classical", "ema"])
def test_the_forms_of_momentum(form, other):
    """At a constant lr all three go the same way: x lr, and x 1 / (1 - momentum) to the learning rate of ema."""
    rate = {"torch": 0.1, "classical": 0.1, "ema": 1.0}
    params, before = run("SGD", momentum_form=form, lr=rate[form])
    conversion = convert_state(before.state_dict(), to="SGD", momentum_form=other, lr=rate[other])
    twins = copies(params)
    after = descend.SGD(twins, lr=rate[other], momentum=0.9, momentum_form=other)
    after.load_state_dict(conversion.state_dict)
    train(before, params, range(STEPS, STEPS + 4))
    train(after, twins, range(STEPS, STEPS + 4))
    assert_equal(params, twins)
    assert conversion.lines[0].grade == "exact"


def test_torchs_sgd_which_counts_no_steps():
    a = parameters()
    theirs = torch.optim.SGD(a, lr=0.1, momentum=0.9, dampening=0.5)
    train(theirs, a, STEPS)
    saved = theirs.state_dict()
    buffer = saved["state"][0]["momentum_buffer"]
    unknown = convert_state(saved, to="Lion", betas=(0.5, 0.9))
    torch.testing.assert_close(unknown.state_dict["state"][0]["exp_avg"], buffer * 0.1 / 0.5)
    assert unknown.state_dict["state"][0]["step"] == 10  # 1 / (1 - momentum)
    assert "updates" not in unknown.state_dict["param_groups"][0]
    told = convert_state(saved, to="Lion", updates=STEPS, betas=(0.5, 0.9))
    weights = 0.9**6 + 0.5 * sum(0.9**k for k in range(6))
    expected = buffer / weights * (1 - 0.9**STEPS)
    torch.testing.assert_close(told.state_dict["state"][0]["exp_avg"], expected)
    assert told.state_dict["state"][0]["step"] == STEPS == told.state_dict["param_groups"][0]["updates"]


@pytest.mark.parametrize("steps", [1, 5, 60])
def test_the_second_moment_of_noise_is_found(steps):
    """Gradients of noise with mean square 4: the estimate from the momentum alone comes to 4, at any time."""
    p = torch.nn.Parameter(torch.zeros(200_000))
    optimizer = descend.SGD([p], lr=0.0, momentum=0.9)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        p.grad = 2.0 * torch.randn(p.shape, generator=generator)
        optimizer.step()
    saved = optimizer.state_dict()
    saved["param_groups"][0]["updates"] = steps  # a step at lr 0 is none for the clock
    made = convert_state(saved, to="Adam", betas=(0.9, 0.999)).state_dict["state"][0]
    second = made["exp_avg_sq"] / (1 - 0.999 ** float(made["step"]))
    assert made["step"] == min(steps, 10)
    torch.testing.assert_close(second, torch.full_like(second, 4.0), rtol=0.02, atol=0)


def test_the_first_steps_after_a_conversion_are_of_usual_size():
    """No coordinate of Adam moves much further than lr, right after SGD: nothing is divided by a moment of 0."""
    params, before = run("SGD", steps=50)
    after = descend.Adam(params, lr=0.01)
    after.load_state_dict(convert_state(before.state_dict(), to=after).state_dict)
    for k in range(50, 55):
        old = copies(params)
        train(after, params, range(k, k + 1))
        assert max(float((p - q).detach().abs().max()) for p, q in zip(params, old, strict=True)) < 0.05


def test_what_cannot_be_carried_begins_anew():
    _, before = run("MARS")
    conversion = convert_state(before.state_dict(), to="Adam")
    assert conversion.state_dict["state"] == {} and not conversion.exact
    assert conversion.lines[0].grade == "new" and "nothing in mars stands for exp_avg_sq" in str(conversion)


def test_of_several_means_the_one_that_fades_alike_is_taken():
    params, before = run("AggMo", betas=(0.0, 0.9, 0.99))
    conversion = convert_state(before.state_dict(), to="SGD", momentum=0.9)
    torch.testing.assert_close(
        conversion.state_dict["state"][0]["momentum_buffer"], -before.state[params[0]]["momentum_buffer_2"]
    )
    assert conversion.lines[0].grade == "exact"


def test_slow_means_begin_at_zero():
    """A noisy mean in a memory of 10,000 steps would be a drift."""
    _, before = run("Adam")
    made = convert_state(before.state_dict(), to="AdEMAMix").state_dict["state"][0]
    assert not made["exp_avg_slow"].any() and made["exp_avg_fast"].any()


def test_low_precision_and_complex_states():
    p = torch.nn.Parameter(torch.tensor([1 + 2j, 3 - 1j], dtype=torch.complex128))
    optimizer = descend.SGD([p], lr=0.1, momentum=0.9)
    p.grad = torch.tensor([0.5 - 1j, 2j], dtype=torch.complex128)
    optimizer.step()
    after = descend.Adam([p])
    after.load_state_dict(convert_state(optimizer.state_dict(), to=after).state_dict)
    torch.testing.assert_close(after.state[p]["exp_avg"], 0.1 * p.grad)
    half = torch.optim.Adam([q := torch.nn.Parameter(torch.ones(2, dtype=torch.bfloat16))])
    q.grad = torch.ones_like(q)
    half.step()
    lion = convert_state(half.state_dict(), to="Lion").state_dict["state"][0]["exp_avg"]
    assert lion.dtype == torch.float32


def test_woven_states_go_along_to_any_method():
    """With their options: the average of the weights, what rounding left over, Grokfast's mean gradient."""
    params = [torch.nn.Parameter(torch.randn(5).bfloat16())]
    before = descend.Adam(params, ema=0.9, rounding="compensated", grokfast=(0.9, 1.0))
    train(before, params, 3)
    conversion = convert_state(before.state_dict(), to="Lion")
    after = descend.Lion(copies(params))
    assert after.load_state_dict(conversion.state_dict).fits
    for key in ("ema", "ema_weight", "rounding_error", "grokfast_ema"):
        assert torch.equal(after.state[after.param_groups[0]["params"][0]][key], before.state[params[0]][key])
    group = after.param_groups[0]
    assert (group["rounding"], group["ema"], group["grokfast"]) == ("compensated", 0.9, (0.9, 1.0))


def test_names_and_groups_are_kept():
    a = parameters()
    before = descend.SGD(
        [{"params": [("x", a[0])], "lr": 0.5}, {"params": [("y", a[1]), ("z", a[2])], "momentum": 0.5}], momentum=0.9
    )
    train(before, a, 3)
    b = copies(a)
    after = descend.Adam([{"params": [("x", b[0])]}, {"params": [("z", b[2]), ("y", b[1])]}])
    conversion = convert_state(before.state_dict(), to=after)
    after.load_state_dict(conversion.state_dict)
    mean = before.state[a[1]]["momentum_buffer"] * 0.5 / (1 - 0.5**3) * (1 - 0.9**2)
    torch.testing.assert_close(after.state[b[1]]["exp_avg"], mean)
    assert after.state[b[1]]["step"] == 2 and after.state[b[0]]["step"] == 3  # 1 / (1 - momentum), at most all


def test_the_report_is_a_table():
    _, before = run("SGD", lr=0.3)
    lines = str(convert_state(before.state_dict(), to="Adam")).splitlines()
    assert lines[0] == "SGD -> Adam: what was carried, and what it was made of."
    assert [line.split()[:2] for line in lines[1:]] == [
        ["exp_avg", "exact"],
        ["exp_avg_sq", "estimated"],
        ["lr=0.3", "dropped"],
        ["weight_decay=0.0", "dropped"],
    ]


def test_refusals():
    _, adam = run("Adam")
    saved = adam.state_dict()
    with pytest.raises(OptionError, match="Did you mean 'AdamW'"):
        convert_state(saved, to="AdmW")
    with pytest.raises(UnknownOptionError, match="AdamW has no option 'beta'. Did you mean 'betas'"):
        convert_state(saved, to="AdamW", beta=0.9)
    with pytest.raises(OptionError, match="betas"):
        convert_state(saved, to="AdamW", betas=(0.9, 2.0))
    with pytest.raises(OptionError, match="has its own options"):
        convert_state(saved, to=descend.Lion(parameters()), betas=(0.9, 0.99))
    with pytest.raises(OptionError, match=r"groups hold \[3\] parameters; allowed: \[1, 2\]"):
        convert_state(saved, to=descend.Lion([{"params": p} for p in (parameters()[:1], parameters()[1:])]))
    with pytest.raises(OptionError, match="whose size follows lr"):
        convert_state(saved, to="SGD", momentum=0.9, momentum_form="classical")
    with pytest.raises(OptionError, match="allowed: a name such as 'AdamW'"):
        convert_state(saved, to=torch.optim.Adam)
    with pytest.raises(CheckpointError, match="no optimizer's state"):
        convert_state({"model": 1}, to="Adam")
    saved["state"][0]["step"] = torch.ones(2)
    with pytest.raises(CheckpointError, match="The checkpoint's 'step' of adam: got tensor"):
        convert_state(saved, to="AdamW")


@pytest.mark.parametrize("name", ["Yogi", "Signum", "SGD", "Adam"])
def test_a_spread_that_two_means_cannot_tell_makes_no_huge_step(name):
    """The same gradient in each step: the squared mean leaves nothing of the mean square."""
    p = torch.nn.Parameter(torch.ones(3))
    options = {"momentum": 0.9} if name == "SGD" else {}
    source = getattr(descend, name)([p], lr=0.1, **options)
    for _ in range(3):
        p.grad = torch.tensor([0.1, 1.0, -2.0])
        source.step()
    target = descend.AdaBelief([p], lr=1e-3)
    target.load_state_dict(convert_state(source.state_dict(), to=target, from_=name).state_dict)
    before = p.detach().clone()
    p.grad = target.state[p]["exp_avg"].clone()  # which adds nothing to the spread
    target.step()
    assert (p - before).abs().max() < 12e-3
