"""Schedules: pure functions of the number of updates done, accepted wherever a hyper-parameter is a number.

    lr = warmup(100) * cosine(1000) * 3e-3
    lr = constant(0.1).then(cosine(900) * 0.1, at=100)

To add one: a file with its formula, as in ``cosine.py``, and its line below.
"""

from descend.schedules.algebra import Schedule
from descend.schedules.constant import constant
from descend.schedules.cosine import cosine
from descend.schedules.form import from_data, schedule
from descend.schedules.warmup import warmup

__all__ = ["Schedule", "constant", "cosine", "from_data", "schedule", "warmup"]
