"""Schedules: pure functions of the number of updates done, accepted wherever a hyper-parameter is a number.

    lr = warmup(100) * cosine(1000) * 3e-3
    lr = constant(0.1).then(cosine(900) * 0.1, at=100)
    lr = warmup(epochs(5, 391)) * milestones((epochs(60, 391), epochs(120, 391))) * 0.1

To add one: a file with its formula, as in ``cosine.py``, and its line below.
"""

from descend.schedules.algebra import Schedule
from descend.schedules.constant import constant
from descend.schedules.cosine import cosine
from descend.schedules.cosine_restarts import cosine_restarts
from descend.schedules.cosine_with_warmup import cosine_with_warmup
from descend.schedules.cyclical import exp_range, triangular, triangular2
from descend.schedules.exponential import exponential
from descend.schedules.form import from_data, schedule
from descend.schedules.inverse_sqrt import inverse_sqrt
from descend.schedules.linear import linear
from descend.schedules.milestones import milestones
from descend.schedules.one_cycle import one_cycle, one_cycle_momentum
from descend.schedules.polynomial import polynomial
from descend.schedules.step_decay import step_decay
from descend.schedules.units import epochs, samples
from descend.schedules.warmup import warmup
from descend.schedules.warmup_stable_decay import warmup_stable_decay

__all__ = [
    "Schedule",
    "constant",
    "cosine",
    "cosine_restarts",
    "cosine_with_warmup",
    "epochs",
    "exp_range",
    "exponential",
    "from_data",
    "inverse_sqrt",
    "linear",
    "milestones",
    "one_cycle",
    "one_cycle_momentum",
    "polynomial",
    "samples",
    "schedule",
    "step_decay",
    "triangular",
    "triangular2",
    "warmup",
    "warmup_stable_decay",
]
