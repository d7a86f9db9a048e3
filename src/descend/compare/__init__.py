"""Fair comparisons of optimizers: protocol, runs, records, statistics."""

from descend.compare.comparison import Campaign, Comparison, TaskResult, compare
from descend.compare.contender import Contender
from descend.compare.selection import contenders
from descend.compare.summary import Row

__all__ = ["Campaign", "Comparison", "Contender", "Row", "TaskResult", "compare", "contenders"]
