"""What is no optimizer's state is refused in words, by all that read one, and changes nothing."""

import pytest
import torch
from torch import nn

import descend
from descend.errors import CheckpointError
from descend.optim.state_layout import check_layout

GROUP = {"params": [0, 1]}


@pytest.mark.parametrize(
    "state_dict,expected",
    [
        (None, "X: this is no optimizer's state: it is a NoneType; allowed: a dict with 'state' and 'param_groups'"),
        ([1, 2], "it is a list"),
        ({"model": 1}, "it has no 'state' and no 'param_groups'"),
        ({"state": {}}, "it has no 'param_groups'"),
        ({"state": [], "param_groups": [GROUP]}, "its 'state' is a list"),
        ({"state": {0: torch.ones(2)}, "param_groups": [GROUP]}, "the state of parameter 0 is a Tensor"),
        ({"state": {}, "param_groups": []}, "its 'param_groups' are no list of groups"),
        ({"state": {}, "param_groups": GROUP}, "its 'param_groups' are no list of groups"),
        ({"state": {}, "param_groups": [GROUP, {"lr": 0.1}]}, "group 1 has no list of 'params'"),
        ({"state": {}, "param_groups": [{"params": None}]}, "group 0 has no list of 'params'"),
        ({"state": {}, "param_groups": [{**GROUP, "param_names": ["a"]}]}, "'param_names' of group 0 .* 2 parameters"),
        ({"state": {}, "param_groups": [{**GROUP, "param_names": None}]}, "'param_names' of group 0"),
    ],
)
def test_another_layout_is_refused(state_dict, expected):
    with pytest.raises(CheckpointError, match=expected):
        check_layout(state_dict, "X")


def test_torchs_own_layout_is_taken():
    model = nn.Linear(2, 1)
    named = torch.optim.Adam(model.named_parameters())
    model(torch.ones(1, 2)).sum().backward()
    named.step()
    check_layout(named.state_dict(), "X")
    check_layout(torch.optim.Adam(model.parameters()).state_dict(), "X")


@pytest.mark.parametrize(
    "read",
    [
        lambda wrong, p: descend.Adam([p]).load_state_dict(wrong),
        lambda wrong, p: descend.SAM(descend.Adam([p])).load_state_dict(wrong),
        lambda wrong, p: descend.convert_state(wrong, to="SGD"),
        lambda wrong, p: descend.import_state(wrong, to=descend.Adam([p])),
    ],
    ids=["optimizer", "wrapper", "convert_state", "import_state"],
)
def test_all_that_read_a_state_refuse_it(read):
    with pytest.raises(CheckpointError, match="no optimizer's state: the state of parameter 0 is a list"):
        read({"state": {0: [1.0]}, "param_groups": [{"params": [0]}]}, nn.Parameter(torch.ones(2)))
