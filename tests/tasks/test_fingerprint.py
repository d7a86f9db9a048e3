from dataclasses import replace

import pytest
import torch
from torch import nn

from descend.tasks import Task, fingerprint

X, Y = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 2
BASE = Task(name="mine", data=lambda: (X, Y), model=lambda: nn.Linear(3, 2), loss=nn.functional.cross_entropy)


def digest(task):
    return fingerprint(task, task.load())


def test_it_is_stable_and_does_not_depend_on_the_global_generator():
    first = digest(BASE)
    torch.manual_seed(123)
    assert digest(BASE) == first


@pytest.mark.parametrize(
    "changes",
    [
        {"data": lambda: (X + 1e-3, Y)},
        {"data": lambda: (X, 1 - Y)},
        {"model": lambda: nn.Linear(3, 2, bias=False)},
        {"loss": lambda o, t: 2 * nn.functional.cross_entropy(o, t)},
        {"metric": lambda o, t: 0.0},
    ],
    ids=["inputs", "targets", "model", "loss", "metric"],
)
def test_it_changes_with(changes):
    assert digest(replace(BASE, **changes)) != digest(BASE)
