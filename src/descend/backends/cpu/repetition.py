"""A step that differs from the last one in nothing but its gradients, taken by one compiled call.

Right after a backward pass the caches hold nothing of the interpreter, and what a step of a small model costs is its
walk through Python. So compiled code asks whether everything is as it was, takes the gradients, runs the kernels and
counts the step. Where anything is otherwise it leaves all as it is, and Python takes the step.
"""

import ctypes
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from descend.backends.cpu import compiler
from descend.backends.cpu.inspection.contents import Contents, find_same
from descend.backends.cpu.inspection.gradients import Gradients, find_take
from descend.backends.cpu.inspection.places import Places, find_stay
from descend.backends.cpu.repetition_template import CALL, COUNTS, QUESTION, RECORD, REPETITION, TEAM
from descend.backends.cpu.runner import CpuRunner


@dataclass(frozen=True)
class Repeated:
    """One batch of an optimizer, as compiled code sees it.

    Args:
        runner: steps it.
        gradients: takes its gradients.
        active: whether any of its tensors took the last step; that was after ``runner.begin``.
        places: where its states lie, if somebody can have moved one.
        counts: how many steps each tensor has done, float32, and a copy that nobody edits; if somebody can have edited
            the first.
    """

    runner: CpuRunner
    gradients: Gradients
    active: bool
    places: Places | None = None
    counts: tuple[np.ndarray, np.ndarray] | None = None


def make(
    contents: Sequence[Contents],
    batches: Sequence[Repeated],
    totals: np.ndarray,
    guarded: bool,
    threads: Mapping[str, int] | None,
    updates: ctypes.c_int64,
    until: int,
) -> Callable[[], int] | None:
    """The last step once more, as a function that returns its ``Outcome``.

    Args:
        contents: what must still hold the same objects.
        batches: all that the optimizer has.
        totals: float64, the sums over all tensors.
        guarded: whether the first pass writes nothing.
        threads: what ``team.describe`` says.
        updates: how many updates the optimizer has done; counted on.
        until: the number of updates after which Python takes the step; -1 for none.

    Returns:
        None where only Python can take a step, because threads are not torch's.
    """
    stepping = [batch.runner for batch in batches if batch.active]
    serial = all(runner.serial for runner in stepping)
    if not all(runner.launches for runner in stepping) or (threads is None and not serial):
        return None
    kernel, functions = _load()
    team = None if serial or threads is None else TEAM.fill({**threads, "identify": functions["identify"]})
    counts = [
        COUNTS.fill({"steps": known[0].ctypes.data, "known": known[1].ctypes.data, "bytes": known[0].nbytes})
        for known in (batch.counts for batch in batches)
        if known is not None
    ]
    questions = [
        *([] if team is None else [(kernel.address("same_team"), team)]),
        *((find_same(), one.record) for one in contents),
        *((find_stay(), batch.places.record) for batch in batches if batch.places is not None),
        *((kernel.address("same_counts"), record) for record in counts),
    ]
    passes = max(len(runner.batch.program.passes) for runner in stepping)
    runs = [[call for runner in stepping for call in runner.list_calls(k)] for k in range(passes)]
    calls = [*chain.from_iterable(runs), *(runner.call_commit() for runner in stepping)]
    arrays = {
        "questions": np.array([QUESTION.fill({"asks": f, "of": r.ctypes.data}) for f, r in questions], np.int64),
        "gradients": np.array([batch.gradients.record for batch in batches], np.int64),
        "totals": totals,
        "calls": np.array([CALL.fill(call) for call in calls], np.int64),
        "counts": np.array([record.ctypes.data for record in counts], np.int64),
    }
    words = {name: array.ctypes.data for name, array in arrays.items()}
    words |= {"asked": len(questions), "batches": len(batches), "sums": len(totals), "watched": len(counts)}
    words |= {"begun": len(runs[0]), "run": len(calls) - len(stepping), "counted": len(calls), "guarded": int(guarded)}
    words |= {"updates": ctypes.addressof(updates), "until": until, "take": find_take(), **functions}
    record = RECORD.fill(words)
    # under the interpreter's lock, which it gives up while kernels run
    function = kernel.function("repeat", ctypes.c_void_p, result=ctypes.c_int64, unlocked=False)
    repeat = functools.partial(function, record.ctypes.data)
    repeat.__dict__["owned"] = (kernel, contents, batches, questions, arrays, updates, record)  # what is pointed to
    return repeat


_PYTHON = {"identify": "PyThread_get_thread_ident", "unlock": "PyEval_SaveThread", "lock": "PyEval_RestoreThread"}


@functools.cache
def _load() -> tuple[compiler.Kernel, dict[str, int]]:
    functions = {
        word: ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0 for word, name in _PYTHON.items()
    }
    return compiler.load("repetition", REPETITION, 0), functions
