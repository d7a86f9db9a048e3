"""Real workloads: data, model, loss, metric, budget and target.

A :class:`Task` says what is trained; which optimizer trains it, and how often, is the business of
``descend.compare``. ``find("digits-mlp")`` returns one of ours, ``find("my_file.py:my_task")`` one of yours.
"""

from descend.tasks.checks import check
from descend.tasks.data import Data, Part, split
from descend.tasks.fingerprint import fingerprint
from descend.tasks.metric import Metric, accuracy
from descend.tasks.registry import find, tasks
from descend.tasks.task import Evaluation, Task

__all__ = [
    "Data",
    "Evaluation",
    "Metric",
    "Part",
    "Task",
    "accuracy",
    "check",
    "find",
    "fingerprint",
    "split",
    "tasks",
]
