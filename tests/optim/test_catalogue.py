"""The list of classes, and each class's signature against torch's."""

import inspect

import pytest
import torch

import descend
from descend.errors import OptionError
from optim.models import assert_equal, copies, parameters, train

TORCH = ["SGD", "Adagrad", "Adadelta", "RMSprop", "Adam", "AdamW", "Adamax", "NAdam", "RAdam"]
ALL = [*TORCH, "Lion", "LAMB", "LARS"]
POSITIONAL = inspect.Parameter.POSITIONAL_OR_KEYWORD
WOVEN = {"maximize", "foreach", "fused", "capturable", "differentiable", "decay", "weight_decay", "clip_norm",
         "clip_value", "on_nonfinite", "max_nonfinite", "backend", "decoupled_weight_decay"}  # fmt: skip


def signature(cls):
    return list(inspect.signature(cls).parameters.values())


@pytest.mark.parametrize("name", TORCH)
def test_positional_parameters_are_torchs_in_order_name_and_default(name):
    theirs = [p for p in signature(getattr(torch.optim, name)) if p.kind is POSITIONAL]
    ours = [p for p in signature(getattr(descend, name)) if p.kind is POSITIONAL]
    assert [p.name for p in ours[: len(theirs)]] == [p.name for p in theirs]
    assert [p.default for p in ours[: len(theirs)]] == [p.default for p in theirs]
    assert len(ours) == len(theirs) or name == "RMSprop"  # nothing of ours may be met by position


@pytest.mark.parametrize("name", TORCH)
def test_every_parameter_of_torchs_is_understood(name):
    theirs = {p.name: p.default for p in signature(getattr(torch.optim, name))}
    ours = {p.name: p.default for p in signature(getattr(descend, name))}
    assert set(theirs) <= set(ours)
    assert {n: ours[n] for n in theirs} == theirs


@pytest.mark.parametrize("name", TORCH)
def test_all_positional_arguments_off_their_defaults(name):
    changed = {"lr": 0.05, "momentum": 0.5, "dampening": 0.1, "weight_decay": 0.1, "betas": (0.5, 0.8), "eps": 1e-3,
               "amsgrad": True, "lr_decay": 0.1, "initial_accumulator_value": 0.2, "rho": 0.7, "alpha": 0.6,
               "centered": True, "momentum_decay": 0.01, "decoupled_weight_decay": True, "maximize": True}  # fmt: skip
    theirs = [p for p in signature(getattr(torch.optim, name)) if p.kind is POSITIONAL][1:]
    arguments = [changed.get(p.name, p.default) for p in theirs]
    a = parameters()
    b = copies(a)
    train(getattr(descend, name)(a, *arguments), a, 5)
    train(getattr(torch.optim, name)(b, *arguments), b, 5)
    assert_equal(a, b, rtol=1e-7 if name == "NAdam" else 1e-12)


@pytest.mark.parametrize("name", ALL)
def test_woven_options_are_keywords_of_every_class(name):
    ours = {p.name: p for p in signature(getattr(descend, name))}
    assert set(ours) >= WOVEN
    ours_only = WOVEN - {p.name for p in signature(getattr(torch.optim, name, torch.optim.Adam))}
    assert all(ours[n].kind is inspect.Parameter.KEYWORD_ONLY for n in ours_only)


def test_the_list():
    names = list(descend.optimizers())
    assert names == sorted(names, key=str.lower)
    assert set(ALL) <= set(names)
    for name, cls in descend.optimizers().items():
        assert cls is getattr(descend, name)
        assert cls.__name__ == name
        assert descend.get(name) is cls
    assert all(getattr(descend, name).rule.name == name.lower() for name in ALL)


@pytest.mark.parametrize("name", ["AdamW", "adamw", "ADAMW"])
def test_get_by_name(name):
    assert descend.get(name) is descend.AdamW


@pytest.mark.parametrize(
    "name,expected", [("AdamV", "Did you mean 'Adam"), ("", "got ''. Known: "), (None, "Known|mean")]
)
def test_get_of_no_optimizer(name, expected):
    with pytest.raises(OptionError, match=f"No optimizer has this name.*{expected}"):
        descend.get(name)


@pytest.mark.parametrize("name", ALL)
def test_each_class_documents_its_options(name):
    cls = getattr(descend, name)
    for option, hyper in cls.rule.hypers.items():
        assert f"{option}: {hyper.describe_range()}; by default {hyper.default!r}." in cls.__doc__
    assert inspect.signature(cls).parameters["params"].default is inspect.Parameter.empty
