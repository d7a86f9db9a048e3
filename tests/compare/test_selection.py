import pytest
import torch

import descend
from descend.compare import Contender, contenders
from descend.compare.search import DEFAULT
from descend.errors import OptionError, UnknownOptionError


def test_nine_by_default():
    assert tuple(c.name for c in contenders()) == DEFAULT


def test_names_titles_classes_and_contenders_are_understood():
    own = Contender("own", "Own", "SGD", tuple(0.1 * (i + 1) for i in range(7)))
    chosen = contenders(["Adam", "SGD + momentum", descend.Lion, own])
    assert [c.name for c in chosen] == ["adam", "sgd-momentum", "lion", "own"]
    assert [c.name for c in contenders("adam")] == ["adam"]


def test_fewer_trials_are_the_middle_of_the_grid():
    (full,), (three,), (one,) = contenders("adam"), contenders("adam", 3), contenders("adam", 1)
    assert three.lrs == full.lrs[2:5] and one.lrs == full.lrs[3:4]


def test_unknown_names_are_answered():
    with pytest.raises(UnknownOptionError, match="no optimizer 'adamm'. Did you mean 'adam'"):
        contenders(["adamm"])


@pytest.mark.parametrize("trials", [0, -1, 1.5, True])
def test_trials_are_a_positive_integer(trials):
    with pytest.raises(OptionError, match="trials: got"):
        contenders("adam", trials)


def test_more_trials_than_the_table_has_are_refused():
    with pytest.raises(OptionError, match="trials of adam: got 8; allowed: 1 to 7"):
        contenders("adam", 8)


@pytest.mark.parametrize("wrong", [5, [5], [None], [int], [torch.nn.Linear(1, 1)]], ids=str)
def test_what_is_no_optimizer_is_refused(wrong):
    with pytest.raises(OptionError, match="allowed: names such as 'adamw', optimizer classes, or contenders"):
        contenders(wrong)


def test_nobody_is_nothing_to_compare():
    with pytest.raises(OptionError, match="no optimizers"):
        contenders([])


def test_learning_rates_of_ones_own_stand_in_place_of_the_tables():
    (adam, sgd) = contenders(["adam", "sgd"], lrs={"adam": [1e-5, 1e-4], "sgd": (0.1, 0.2)})
    assert adam.lrs == (1e-5, 1e-4) and sgd.lrs == (0.1, 0.2)
    assert adam.optimizer == "Adam" and adam.title == "Adam"
    with pytest.raises(OptionError, match="different numbers of trials"):
        contenders(["adam", "sgd"], lrs={"adam": [1e-5, 1e-4]})
    with pytest.raises(UnknownOptionError, match="does not take part: got 'adamw'.*Did you mean 'adam'"):
        contenders(["adam"], lrs={"adamw": [1e-5]})
    with pytest.raises(OptionError, match="learning rates of contender 'adam': got .*'low'.*positive numbers"):
        contenders(["adam"], lrs={"adam": ["low"]})
