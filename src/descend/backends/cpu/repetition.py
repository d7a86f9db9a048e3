"""A step that differs from the last one in nothing but its gradients, taken by one compiled call.

Right after a backward pass the caches hold nothing of the interpreter, and what a step of a small model costs is its
walk through Python. So compiled code asks whether everything is as it was, takes the gradients, runs the kernels and
counts the step. Where anything is otherwise it leaves all as it is, and Python takes the step.
"""

import ctypes
import functools
from collections.abc import Callable, Sequence
from enum import IntEnum
from itertools import chain

import numpy as np

from descend.backends.cpu import compiler
from descend.backends.cpu.context import CONTEXT
from descend.backends.cpu.inspection.contents import Contents, find_same
from descend.backends.cpu.inspection.gradients import Gradients, find_take
from descend.backends.cpu.inspection.gradients_template import RECORD as GRADIENTS
from descend.backends.cpu.inspection.gradients_template import Answer
from descend.backends.cpu.record import Record, read_item
from descend.backends.cpu.runner import CpuRunner

_PYTHON = {"identify": "PyThread_get_thread_ident", "unlock": "PyEval_SaveThread", "lock": "PyEval_RestoreThread"}
_RECORD = Record(
    "record",
    {
        "updates": "ptr",  # int64: how many updates the optimizer has done
        "until": "i64",  # the number of updates after which Python takes the step
        "contents": "i64",  # number of records of contents
        "content": "ptr",  # int64 [contents]: these records
        "batches": "i64",  # number of batches
        "gradient": "ptr",  # int64 [batches]: the record of each one's gradients
        "sums": "i64",  # number of sums over all tensors
        "totals": "ptr",  # float64 [sums]: the first is the number of gradients that are not finite
        "guarded": "i64",  # 1 if the first pass writes nothing, so that a step with such gradients can be left
        "calls": "ptr",  # [runs and commits] of ``_CALL``
        "begun": "i64",  # where the calls of the first pass end
        "run": "i64",  # where those of all passes end
        "counted": "i64",  # where those that count the step end
        "forks": "ptr",  # int64: how many forks lie behind this process; null where no threads are asked for
        "forked": "i64",  # how many did at the last step
        "thread": "i64",  # the thread that took it
        "threads": "i64",  # how many it could ask for
        "most_threads": "ptr",  # int omp_get_max_threads(void)
        "same": "ptr",  # of ``contents``
        "take": "ptr",  # of ``gradients``
        **dict.fromkeys(_PYTHON, "ptr"),
    },
)
_TEAM = ("forks", "forked", "thread", "threads", "most_threads")
_CALL = Record("call", {"function": "ptr", "context": "ptr", "first": "i64", "last": "i64"})


class Outcome(IntEnum):
    """What became of a step."""

    NOTHING = 0  # something is otherwise than at the last step; nothing has been done
    DONE = 1
    NOT_FINITE = 2  # done, with gradients that are not finite


_HELPERS = (
    """
define internal i1 @stays(ptr %record) {
entry:
"""
    + _RECORD.read("updates", "until", "forks", "forked", "thread", "threads", "most_threads", "identify")
    + """  %done = load i64, ptr %updates
  %wanted = icmp eq i64 %done, %until
  br i1 %wanted, label %no, label %team
team:
  %alone = icmp eq ptr %forks, null
  br i1 %alone, label %yes, label %ask
ask:
  %forks.now = load i64, ptr %forks
  %thread.now = call i64 %identify()
  %threads.32 = call i32 %most_threads()
  %threads.now = sext i32 %threads.32 to i64
  %same.process = icmp eq i64 %forks.now, %forked
  %same.thread = icmp eq i64 %thread.now, %thread
  %same.team = icmp eq i64 %threads.now, %threads
  %same.1 = and i1 %same.process, %same.thread
  %same.2 = and i1 %same.1, %same.team
  ret i1 %same.2
yes:
  ret i1 true
no:
  ret i1 false
}

define internal void @forget(ptr %record) {
entry:
"""
    + GRADIENTS.read("present", "count")
    + """  call void @llvm.memset.p0.i64(ptr %present, i8 2, i64 %count, i1 false)
  ret void
}

define internal void @call_all(ptr %calls, i64 %from, i64 %to) {
entry:
  br label %head
head:
  %j = phi i64 [ %from, %entry ], [ %j.next, %work ]
  %some = icmp slt i64 %j, %to
  br i1 %some, label %work, label %exit
work:
"""
    + f"  %at = mul i64 %j, {len(_CALL.words)}\n  %call = getelementptr i64, ptr %calls, i64 %at\n"
    + _CALL.read(*_CALL.words)
    + f"""  %first.at = getelementptr i64, ptr %context, i64 {CONTEXT.place("first")}
  store i64 %first, ptr %first.at
  %last.at = getelementptr i64, ptr %context, i64 {CONTEXT.place("last")}
  store i64 %last, ptr %last.at
  call void %function(ptr %context)
  %j.next = add i64 %j, 1
  br label %head
exit:
  ret void
}}
"""
)

_REPEAT = (
    """
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)

define i64 @repeat(ptr %record) {
entry:
"""
    + _RECORD.read("contents", "content", "batches", "gradient", "sums", "totals", "guarded", "updates")
    + _RECORD.read("calls", "begun", "run", "counted", "same", "take", "unlock", "lock")
    + """  %stays = call i1 @stays(ptr %record)
  br i1 %stays, label %content.head, label %nothing
content.head:
  %c = phi i64 [ 0, %entry ], [ %c.next, %content.next ]
  %c.some = icmp slt i64 %c, %contents
  br i1 %c.some, label %content.ask, label %batch.head
content.ask:
"""
    + read_item("one", "content", "ptr", "%c")
    + """  %equal = call i64 %same(ptr %one)
  %other = icmp eq i64 %equal, 0
  br i1 %other, label %nothing, label %content.next
content.next:
  %c.next = add i64 %c, 1
  br label %content.head
batch.head:
  %b = phi i64 [ 0, %content.head ], [ %b.next, %batch.next ]
  %b.some = icmp slt i64 %b, %batches
  br i1 %b.some, label %batch.take, label %begin
batch.take:
"""
    + read_item("taken", "gradient", "ptr", "%b")
    + f"""  %answer = call i64 %take(ptr %taken)
  %usual = icmp eq i64 %answer, {Answer.SAME}
  br i1 %usual, label %batch.next, label %batch.forget
batch.forget:
  call void @forget(ptr %taken)
  br label %nothing
batch.next:
  %b.next = add i64 %b, 1
  br label %batch.head
begin:
  %sums.bytes = mul i64 %sums, 8
  call void @llvm.memset.p0.i64(ptr %totals, i8 0, i64 %sums.bytes, i1 false)
  %state = call ptr %unlock()
  call void @call_all(ptr %calls, i64 0, i64 %begun)
  %bad = load double, ptr %totals
  %finite = fcmp oeq double %bad, 0.0
  %unguarded = icmp eq i64 %guarded, 0
  %goes.on = or i1 %finite, %unguarded
  br i1 %goes.on, label %go.on, label %leave
leave:
  call void %lock(ptr %state)
  store double 0.0, ptr %totals
  br label %nothing
go.on:
  call void @call_all(ptr %calls, i64 %begun, i64 %run)
  call void %lock(ptr %state)
  call void @call_all(ptr %calls, i64 %run, i64 %counted)
  store double 0.0, ptr %totals
  %done = load i64, ptr %updates
  %done.next = add i64 %done, 1
  store i64 %done.next, ptr %updates
  %outcome = select i1 %finite, i64 {Outcome.DONE}, i64 {Outcome.NOT_FINITE}
  ret i64 %outcome
nothing:
  ret i64 {Outcome.NOTHING}
}}
"""
)


@functools.cache
def _load() -> tuple[compiler.Kernel, dict[str, int]]:
    functions = {
        word: ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0 for word, name in _PYTHON.items()
    }
    return compiler.load("repetition", _HELPERS + _REPEAT, 0), functions | {"same": find_same(), "take": find_take()}


def make(
    contents: Sequence[Contents],
    batches: Sequence[tuple[CpuRunner, Gradients]],
    stepping: Sequence[CpuRunner],
    totals: np.ndarray,
    guarded: bool,
    threads: dict[str, int] | None,
    updates: ctypes.c_int64,
    until: int,
) -> Callable[[], int] | None:
    """The last step once more, as a function that returns its ``Outcome``.

    Args:
        contents: what must still hold the same objects.
        batches: all that the optimizer has.
        stepping: those that took the last step, after ``begin``.
        totals: float64, the sums over all tensors.
        guarded: whether the first pass writes nothing.
        threads: what ``team.describe`` says.
        updates: how many updates the optimizer has done; counted on.
        until: the number of updates after which Python takes the step; -1 for none.

    Returns:
        None where only Python can take a step, because threads are not torch's.
    """
    if all(runner.serial for runner in stepping):
        threads = dict.fromkeys(_TEAM, 0)
    if threads is None or not all(runner.launches for runner in stepping):
        return None
    passes = max(len(runner.batch.program.passes) for runner in stepping)
    runs = [[call for runner in stepping for call in runner.list_calls(k)] for k in range(passes)]
    calls = [*chain.from_iterable(runs), *(runner.call_commit() for runner in stepping)]
    kernel, functions = _load()
    arrays = {
        "content": np.array([c.record.ctypes.data for c in contents], np.int64),
        "gradient": np.array([gradients.record for _, gradients in batches], np.int64),
        "calls": np.array([_CALL.fill(call) for call in calls], np.int64),
        "totals": totals,
    }
    numbers = {"contents": len(contents), "batches": len(batches), "sums": len(totals), "guarded": int(guarded)}
    ends = {"begun": len(runs[0]), "run": len(calls) - len(stepping), "counted": len(calls)}
    clock = {"updates": ctypes.addressof(updates), "until": until}
    addresses = {name: array.ctypes.data for name, array in arrays.items()}
    record = _RECORD.fill(numbers | ends | clock | addresses | threads | functions)
    # under the interpreter's lock, which it gives up while kernels run
    function = kernel.function("repeat", ctypes.c_void_p, result=ctypes.c_int64, unlocked=False)
    repeat = functools.partial(function, record.ctypes.data)
    repeat.__dict__["owned"] = (kernel, contents, batches, arrays, updates, record)  # what the record points to
    return repeat
