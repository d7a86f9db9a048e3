from dataclasses import replace

import pytest

from compare.workloads import CLOUDS
from descend.compare import compare


@pytest.fixture(scope="session")
def comparison():
    return compare(CLOUDS, ["sgd-momentum", "adam"], seeds=3, search_seeds=2, trials=3, workers=0)


@pytest.fixture(scope="session")
def sampled():
    """A comparison whose trials a sampler gave, some of them pruned."""
    task = replace(CLOUDS, steps=30, evaluate_every=3)
    plan = {"search": "tpe", "trials": 12, "tune": ["weight_decay"], "seeds": 3, "search_seeds": 2, "workers": 0}
    return compare(task, ["sgd-momentum", "adam"], **plan)
