import copy
import math
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import descend
from compare.workloads import CLOUDS
from descend.compare.range_test import find_lr, find_lr_on, read_range, smooth
from descend.errors import OptionError

RATES = [10 ** (-6 + 7 * i / 99) for i in range(100)]


def bowl(lr):
    """Falls between 1e-4 and 1e-1, blows up behind."""
    place = math.log10(lr)
    return 2.0 - 1.5 / (1 + math.exp(-3 * (place + 2.5))) + (10 ** (place + 0.5) if place > -1 else 0.0)


def test_a_clean_bowl_is_read_right():
    found = read_range(RATES, [bowl(lr) for lr in RATES])
    assert found.estimates["steepest"] == pytest.approx(10**-2.5, rel=0.2)
    lowest = min(RATES, key=bowl)
    tenth = found.estimates["minimum/10"]
    assert tenth is not None and lowest / 20 < tenth < lowest / 5
    assert found.lr in found.estimates.values() and found.confidence in ("high", "medium")


def test_noise_around_nothing_is_no_answer():
    noise = random.Random(0)
    found = read_range(RATES, [2.0 + noise.gauss(0, 0.1) for _ in RATES])
    assert found.lr is None and found.confidence == "none" and "never fell" in found.reason
    assert str(found).startswith("No answer")


def test_a_loss_that_blows_up_at_once_is_no_answer():
    found = read_range(RATES[:4], [2.0, 5.0, 80.0, math.inf])
    assert found.lr is None and "blew up at once" in found.reason


def test_a_loss_that_still_falls_at_the_end_is_of_low_confidence_and_has_no_minimum():
    found = read_range(RATES, [2.0 - i / 100 for i in range(100)])
    assert found.confidence == "low" and "still falling" in found.reason
    assert found.estimates["minimum/10"] is None


def test_smoothing_keeps_lines_and_does_not_lag():
    line = [3.0 - 0.1 * i for i in range(60)]
    assert smooth(line)[10:50] == pytest.approx(line[10:50])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.ReLU())
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.body(x))


def loop():
    """A user's own: a model in use, a loader that shuffles with a generator of its own."""
    torch.manual_seed(0)
    data = CLOUDS.load().train
    generator = torch.Generator().manual_seed(3)
    loader = DataLoader(TensorDataset(data.inputs, data.targets), batch_size=8, shuffle=True, generator=generator)
    return Net(), loader


def groups(model):
    return [
        {"params": list(model.body.parameters()), "lr": 1e-3},
        {"params": list(model.head.parameters()), "lr": 1e-2},
    ]


MAKERS = {
    "torch": lambda m: torch.optim.Adam(groups(m)),
    "descend": lambda m: descend.Adam(groups(m)),
    "schedule": lambda m: descend.AdamW(m.parameters(), lr=descend.schedules.cosine(50) * 1e-3),
    "sam": lambda m: descend.SAM(descend.SGD(groups(m), lr=0.1)),
}


def everything(model, optimizer, loader):
    state = copy.deepcopy((model.state_dict(), optimizer.state_dict(), loader.generator.get_state()))
    gradients = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    modes = [m.training for m in model.modules()]
    return [state, gradients, modes, torch.get_rng_state(), random.getstate(), np.random.get_state()[1]]


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("started", [False, True])
def test_afterwards_everything_is_as_it_was_to_the_bit(kind, started):
    model, loader = loop()
    optimizer = MAKERS[kind](model)
    model.head.eval()

    def train(updates):
        for _, (x, y) in zip(range(updates), loader, strict=False):

            def closure(x=x, y=y):
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(x), y)
                loss.backward()
                return loss

            optimizer.step(closure)

    train(3 if started else 0)
    before = everything(model, optimizer, loader)
    twin_model, twin_optimizer, twin_state = copy.deepcopy((model, optimizer, torch.get_rng_state()))
    found = find_lr(model, optimizer, loader, nn.functional.cross_entropy, steps=40)
    assert len(found.losses) >= 10 and found.losses[0] != found.losses[-1]
    assert same(before, everything(model, optimizer, loader))
    train(2)
    after, (model, optimizer) = everything(model, optimizer, loader)[:2], (twin_model, twin_optimizer)
    torch.set_rng_state(twin_state)
    loader.generator.set_state(before[0][2])
    train(2)
    assert same(after, everything(model, optimizer, loader)[:2]), "and training goes on as if nothing had been"


def test_an_error_in_the_loss_leaves_nothing_behind():
    model, loader = loop()
    optimizer = descend.Adam(model.parameters())
    before = everything(model, optimizer, loader)
    calls = []

    def loss(outputs, targets):
        calls.append(1)
        if len(calls) == 5:
            raise ValueError("on purpose")
        return nn.functional.cross_entropy(outputs, targets)

    with pytest.raises(ValueError, match="on purpose"):
        find_lr(model, optimizer, loader, loss)
    assert same(before, everything(model, optimizer, loader))


def test_all_groups_are_scaled_together():
    model, loader = loop()
    seen = []

    class Spy(torch.optim.SGD):
        def step(self, closure=None):
            seen.append([g["lr"] for g in self.param_groups])
            return super().step(closure)

    find_lr(model, Spy(groups(model)), loader, nn.functional.cross_entropy, lowest=1e-5, highest=1e-2, steps=20)
    assert seen[0] == pytest.approx([1e-6, 1e-5]) and seen[-1] == pytest.approx([1e-3, 1e-2])


def test_a_task_that_clips_is_clipped_here_too():
    task = replace(CLOUDS, clip_norm=1e-3)
    free, clipped = (find_lr_on(t, "sgd", lowest=0.1, highest=10.0, steps=20) for t in (CLOUDS, task))
    assert free.losses[0] == clipped.losses[0]
    assert max(clipped.losses) - min(clipped.losses) < 0.3 < max(free.losses) - min(free.losses)


def test_a_task_gives_an_answer_for_a_good_optimizer():
    found = find_lr_on("digits-mlp", "adam")
    assert found.lr is not None and 1e-3 < found.lr < 0.05 and found.confidence != "none"
    assert found.to_data()["estimates"] == found.estimates


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lowest": 0.0}, "lowest: got 0.0; allowed: a finite number > 0"),
        ({"lowest": "1e-6"}, "lowest: got '1e-6'"),
        ({"lowest": 2.0, "highest": 1.0}, "highest: got 1.0; allowed: a finite number > 2"),
        ({"steps": 5}, "steps: got 5; allowed: a whole number >= 20"),
        ({"clip_norm": -1.0}, "clip_norm: got -1.0; allowed: a finite number > 0"),
    ],
)
def test_numbers_out_of_range_are_refused(changes, words):
    model, loader = loop()
    with pytest.raises(OptionError, match=words):
        find_lr(model, torch.optim.SGD(model.parameters(), lr=0.1), loader, nn.functional.cross_entropy, **changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": nn.Linear}, "find_lr: model: got 'type'; allowed: a torch.nn.Module"),
        ({"optimizer": 0.1}, "find_lr: optimizer: got 'float'; allowed: an optimizer of the model"),
        ({"batches": [{"x": 1.0, "y": 2.0}]}, "find_lr: a batch: got 'dict'; allowed: inputs and targets. Make pairs"),
        ({"batches": None}, "find_lr: batches: got 'NoneType'; allowed: pairs of inputs and targets"),
        ({"loss": "mse"}, "find_lr: loss: got 'str'; allowed: a function of outputs and targets"),
    ],
)
def test_parts_of_another_kind_are_refused(changes, words):
    model, loader = loop()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    parts = {"model": model, "optimizer": optimizer, "batches": loader, "loss": nn.functional.cross_entropy}
    with pytest.raises(OptionError, match=words):
        find_lr(**{**parts, **changes})


def test_a_loader_without_batches_is_refused():
    model, _ = loop()
    with pytest.raises(OptionError, match="no batches"):
        find_lr(model, torch.optim.SGD(model.parameters(), lr=0.1), [], nn.functional.cross_entropy)
