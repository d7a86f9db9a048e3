"""Horizons in epochs and samples."""

import copy
import math
import pickle

import pytest

from descend.errors import OptionError
from descend.schedules import Schedule, cosine, epochs, milestones, samples, warmup


def test_epochs_are_accepted_wherever_updates_are():
    e = epochs(2, updates_per_epoch=391)
    assert cosine(e) == cosine(782)
    assert warmup(5).then(cosine(9), at=e).to_data() == ["then", ["warmup", 5], ["cosine", 9], 782]
    assert milestones((e, epochs(3, 391))) == milestones((782, 1173))
    assert cosine(3).table(epochs(1, 4)) == cosine(3).table(4)
    assert type(cosine(e).to_data()[1]) is int  # plain data, whatever it was given in


@pytest.mark.parametrize(("n", "each", "updates"), [(1, 10, 10), (0.5, 391, 196), (0.1, 30, 3), (90, 5004, 450360)])
def test_epochs_in_updates(n: float, each: int, updates: int):
    assert epochs(n, each) == updates


@pytest.mark.parametrize(("n", "size", "updates"), [(1, 10, 1), (10, 10, 1), (11, 10, 2), (1_281_167, 256, 5005)])
def test_samples_in_updates(n: int, size: int, updates: int):
    assert samples(n, batch_size=size) == updates == math.ceil(n / size)


def test_the_unit_is_remembered():
    e = epochs(90, updates_per_epoch=391)
    assert repr(e) == str(e) == "epochs(90, 391) = 35190 updates"
    assert repr(pickle.loads(pickle.dumps(e))) == repr(copy.deepcopy(e)) == repr(e)
    assert repr(e - epochs(5, 391)) == "33235"
    assert f"{samples(1000, 32)}" == "samples(1000, 32) = 32 updates"


@pytest.mark.parametrize(
    "make",
    [
        lambda: epochs(0, 10),
        lambda: epochs(0.01, 10),
        lambda: epochs(-1, 10),
        lambda: epochs(math.nan, 10),
        lambda: epochs(math.inf, 10),
        lambda: epochs(True, 10),
        lambda: epochs("3", 10),
        lambda: epochs(3, 0),
        lambda: epochs(3, 10.0),
        lambda: samples(0, 10),
        lambda: samples(1.5, 10),
        lambda: samples(10, 0),
    ],
)
def test_refusals(make):
    with pytest.raises(OptionError, match="epochs|samples"):
        make()


def test_schedules_made_in_epochs_are_equal_values():
    by_epoch: Schedule = warmup(epochs(5, 100)) * cosine(epochs(90, 100))
    assert by_epoch == warmup(500) * cosine(9000)
    assert repr(by_epoch) == "warmup(500) * cosine(9000)"
