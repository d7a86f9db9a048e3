"""Nothing waits for the device: no number is copied to the host on the way."""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from descend.clip import clip_adaptive, clip_norm, clip_value


class CountTransfers(TorchDispatchMode):
    """Counts what makes a Python number out of a tensor."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.is_nonzero.default)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("clip", "transfers"),
    [
        (lambda m: clip_norm(m, 0.1), 0),
        (lambda m: clip_norm(m, 0.1, formula="exact"), 0),
        (lambda m: clip_norm(m, 0.1, on_nonfinite="skip"), 0),
        (lambda m: clip_value(m, 0.1), 0),
        (lambda m: clip_adaptive(m, 0.1), 0),
        (lambda m: clip_norm(m, 0.1).item(), 1),
    ],
    ids=["norm", "exact", "skip", "value", "adaptive", "the counter counts"],
)
def test_no_transfer(clip, transfers):
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    model(torch.ones(4, 2)).sum().backward()
    with CountTransfers() as mode:
        clip(model)
    assert mode.count == transfers
