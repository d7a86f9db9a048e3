"""Small tasks and made-up records for the tests of compare, draw and cli."""

import torch
from torch import nn

from descend.compare.protocol import Protocol
from descend.tasks import Task, accuracy


def clouds():
    """Three clouds of points, easy to tell apart."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(120) % 3
    centres = torch.tensor([[2.0, 0.0], [-2.0, 2.0], [-2.0, -2.0]])
    return centres[targets] + torch.randn(120, 2, generator=generator), targets


def network():
    return nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 3))


CLOUDS = Task(
    name="clouds",
    data=clouds,
    model=network,
    loss=nn.functional.cross_entropy,
    metric=accuracy,
    steps=12,
    batch_size=16,
    target=0.6,
    evaluate_every=4,
)

FILE = """
import os

import torch
from torch import nn

from descend.tasks import Task, accuracy


def data():
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(120) % 3
    centres = torch.tensor([[2.0, 0.0], [-2.0, 2.0], [-2.0, -2.0]])
    return centres[targets] + torch.randn(120, 2, generator=generator), targets


def model():
    print("a model that talks")
    {extra}
    return nn.Linear(2, 3)


mine = Task(name="mine", data=data, model=model, loss=nn.functional.cross_entropy, metric=accuracy, steps=6)
"""


def protocol(**changes):
    values = {
        "task": "clouds",
        "fingerprint": "f" * 12,
        "steps": 12,
        "batch_size": 16,
        "evaluate_every": 4,
        "target": 0.6,
        "metric": ("accuracy", True, True),
        "trials": 2,
        "search_seeds": (0, 1),
        "final_seeds": (1000, 1001, 1002),
        "together": False,
        "versions": ("0", "0"),
    }
    return Protocol(**{**values, **changes})


def record(contender="adam", stage="search", lr=0.1, seed=0, metric=0.9, loss=0.3, diverged=False, **changes):
    values = {
        "task": "clouds",
        "contender": contender,
        "identity": "i",
        "options": {},
        "settings": f"descend.Adam(model.parameters(), lr={lr:g})",
        "lr": lr,
        "trial": None,
        "values": {},
        "pruned": False,
        "seed": seed,
        "stage": stage,
        "diverged": diverged,
        "diverged_at": 3 if diverged else None,
        "steps": [0, 4, 8, 12],
        "train_loss": [1.0, 0.5, 0.3],
        "validation_losses": [1.1, 0.6, 0.4, loss],
        "validation_metrics": [0.3, 0.5, 0.7, metric],
        "validation_loss": loss,
        "validation_metric": metric,
        "test_loss": loss if stage == "final" else None,
        "test_metric": metric if stage == "final" else None,
        "steps_to_target": None if diverged else 8,
        "seconds_to_target": None if diverged else 0.1,
        "updates": 12,
        "seconds": 0.2,
        "optimizer_seconds": 0.05,
        "first_step_seconds": 0.01,
        "together": 1,
        "state_bytes": 64,
        "parameters": 8,
    }
    return {**values, **changes}
