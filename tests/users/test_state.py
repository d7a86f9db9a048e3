"""Problems 2, 11 and 12 of users of other libraries, all with checkpoints; and what is said of copies."""

import gc
import pickle
import weakref
from copy import deepcopy

import pytest
import torch
from torch import nn

import descend
from descend.errors import CheckpointError


def step(optimizer, values):
    for group in optimizer.param_groups:
        for p in group["params"]:
            p.grad = torch.full_like(p, values)
    optimizer.step()


def test_02_state_is_matched_by_name_and_shapes_are_checked_at_load():
    a, b = nn.Parameter(torch.zeros(2, 2)), nn.Parameter(torch.zeros(2, 2))
    first = descend.AdamW([("a", a), ("b", b)])
    a.grad, b.grad = torch.ones(2, 2), torch.full((2, 2), 3.0)
    first.step()
    swapped = descend.AdamW([("b", b), ("a", a)])
    swapped.load_state_dict(first.state_dict())
    assert swapped.state[a]["exp_avg"][0, 0] < swapped.state[b]["exp_avg"][0, 0]
    other = descend.AdamW([("a", nn.Parameter(torch.zeros(3))), ("b", b)])
    with pytest.raises(CheckpointError, match=r"'a'.*\(2, 2\).*\(3,\)"):
        other.load_state_dict(first.state_dict())
    fewer = descend.AdamW([("a", a)])
    with pytest.raises(CheckpointError, match="b"):
        fewer.load_state_dict(first.state_dict())


def test_11_loading_keeps_the_dtype_of_the_state():
    p = nn.Parameter(torch.ones(3, dtype=torch.bfloat16))
    first = descend.AdamW([p])
    step(first, 1.0)
    second = descend.AdamW([p])
    second.load_state_dict(deepcopy(first.state_dict()))
    assert second.state[p]["exp_avg"].dtype == torch.float32
    assert torch.equal(second.state[p]["exp_avg"], first.state[p]["exp_avg"])


def test_12_a_state_dict_shares_nothing_with_the_optimizers():
    p, q = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    first, second = descend.AdamW([p]), descend.AdamW([q])
    step(first, 1.0)
    saved = first.state_dict()
    kept = deepcopy(saved["state"][0])
    second.load_state_dict(saved)
    step(first, 2.0)
    step(second, -2.0)
    assert all(torch.equal(saved["state"][0][k], kept[k]) for k in kept)
    assert not torch.equal(first.state[p]["exp_avg"], second.state[q]["exp_avg"])


def test_optimizers_with_schedules_are_pickled_and_leave_nothing_behind():
    p = nn.Parameter(torch.ones(3))
    optimizer = descend.SGD([p], lr=descend.schedules.one_cycle(9) * 0.1, momentum=0.9)
    step(optimizer, 1.0)
    copy = pickle.loads(pickle.dumps(optimizer))
    step(optimizer, 1.0)
    step(copy, 1.0)
    assert torch.equal(copy.param_groups[0]["params"][0], p)
    seen = weakref.ref(p)
    del p, optimizer, copy
    gc.collect()
    assert seen() is None
