import pytest

from compare.workloads import CLOUDS
from descend.compare import compare


@pytest.fixture(scope="session")
def comparison():
    return compare(CLOUDS, ["sgd-momentum", "adam"], seeds=3, search_seeds=2, trials=3, workers=0)
