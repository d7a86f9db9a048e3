"""Fair comparisons of optimizers: protocol, runs, records, statistics.

The package can be called: ``descend.compare(task)`` is ``descend.compare.compare(task)``, so that the
function and the package of one name do not stand in each other's way.
"""

import sys
from types import ModuleType
from typing import Any

from descend.compare.archive import read_comparison
from descend.compare.campaign import Campaign, compare
from descend.compare.comparison import Comparison, TaskResult
from descend.compare.contender import Contender, Entry
from descend.compare.range_test import RangeTest, find_lr, find_lr_on
from descend.compare.selection import contenders
from descend.compare.settings import Settings
from descend.compare.summary import Row
from descend.compare.tuning import Tuning, tune

__all__ = [
    "Campaign",
    "Comparison",
    "Contender",
    "Entry",
    "RangeTest",
    "Row",
    "Settings",
    "TaskResult",
    "Tuning",
    "compare",
    "contenders",
    "find_lr",
    "find_lr_on",
    "read_comparison",
    "tune",
]


class _CallablePackage(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Comparison:
        return compare(*args, **kwargs)


sys.modules[__name__].__class__ = _CallablePackage
