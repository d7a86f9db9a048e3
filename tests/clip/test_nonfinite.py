"""find_nonfinite names the culprits."""

import torch
from torch import nn

from descend.clip import find_nonfinite


def test_names_and_counts():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    assert find_nonfinite(model) == {}
    model[0].weight.grad.flatten().narrow(0, 1, 1).fill_(float("nan"))
    model[1].weight.grad.fill_(-float("inf"))
    assert find_nonfinite(model) == {"0.weight": 1, "1.weight": 3}
    assert find_nonfinite(model.parameters()) == {"tensor 0": 1, "tensor 2": 3}


def test_no_gradients_at_all():
    assert find_nonfinite(nn.Linear(1, 1)) == {}
