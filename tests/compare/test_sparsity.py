from dataclasses import replace

import pytest
import torch

from compare.workloads import CLOUDS
from descend.compare import Campaign, Settings, contenders
from descend.compare.contender import Contender
from descend.compare.search import DEFAULT
from descend.compare.sparsity import split_by_sparsity, steps_sparse
from descend.errors import OptionError

SPARSE = replace(CLOUDS, name="sparse-clouds", sparse=True)


def test_of_the_usual_optimizers_those_that_serve_sparse_gradients_take_part():
    able, unable = split_by_sparsity(contenders(), [CLOUDS, SPARSE])
    assert [c.name for c in unable] == ["lamb"] and [c.name for c in able] == [n for n in DEFAULT if n != "lamb"]
    assert split_by_sparsity(contenders(), [CLOUDS]) == (contenders(), [])


def test_options_and_foreign_classes_are_tried_out():
    assert steps_sparse(Contender("a", "A", torch.optim.SparseAdam, (0.1,)))
    assert not steps_sparse(Contender("a", "A", torch.optim.Adam, (0.1,)))
    assert not steps_sparse(Contender("a", "A", "Adam", (0.1,), {"differentiable": True}))


def test_a_campaign_says_whom_it_has_left_out_and_refuses_those_that_were_asked_for():
    settings = Settings(seeds=1, search_seeds=1, trials=1, workers=0)
    with Campaign([CLOUDS, SPARSE], None, settings) as campaign:
        assert campaign.left_out == ["LAMB"]
        assert {e.name for result in campaign.comparison().results for e in result.contenders} == {*DEFAULT} - {"lamb"}
    with pytest.raises(OptionError, match="gradients are sparse, and these do not serve them: got 'lamb'"):
        Campaign(SPARSE, ["adam", "lamb"], settings)
