"""Checkpoints beyond an optimizer's own: another method's state, another library's, and the test of resumption.

conversion = descend.convert_state(torch.load("sgd.pt"), to=optimizer)
conversion = descend.import_state("adamw8bit.pt", to=optimizer)
print(descend.check_resume(factory))
"""

from descend.checkpoints.conversion import convert_state
from descend.checkpoints.importing import import_state
from descend.checkpoints.random_state import RandomState
from descend.checkpoints.report import Carried, Conversion
from descend.checkpoints.resume import ResumeReport, check_resume

__all__ = ["Carried", "Conversion", "RandomState", "ResumeReport", "check_resume", "convert_state", "import_state"]
