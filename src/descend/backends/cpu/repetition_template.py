"""In LLVM IR: the step that is like the last one. ``repetition`` fills the records that it reads."""

from enum import IntEnum

from descend.backends.cpu.context import CONTEXT
from descend.backends.cpu.inspection.gradients_template import RECORD as GRADIENTS
from descend.backends.cpu.inspection.gradients_template import Answer
from descend.backends.cpu.record import Record, find_record, read_item

RECORD = Record(
    "record",
    {
        "updates": "ptr",  # int64: how many updates the optimizer has done
        "until": "i64",  # the number of updates after which Python takes the step
        "asked": "i64",  # number of questions
        "questions": "ptr",  # [asked] of ``QUESTION``
        "batches": "i64",  # number of batches
        "gradients": "ptr",  # int64 [batches]: the record of each one's gradients
        "take": "ptr",  # int64 take(ptr), of ``gradients_template``
        "sums": "i64",  # number of sums over all tensors
        "totals": "ptr",  # float64 [sums]: the first is the number of gradients that are not finite
        "guarded": "i64",  # 1 if the first pass writes nothing, so that a step with such gradients can be left
        "calls": "ptr",  # [counted] of ``CALL``: passes, then what counts the step
        "begun": "i64",  # number of calls until the first pass has ended
        "run": "i64",  # until all passes have
        "counted": "i64",  # until the step has been counted
        "watched": "i64",  # number of batches whose counts of steps somebody may edit
        "counts": "ptr",  # int64 [watched]: the ``COUNTS`` of each
        "unlock": "ptr",  # of Python: let other threads run
        "lock": "ptr",  # of Python: go on when they let this one
    },
)
QUESTION = Record("question", {"asks": "ptr", "of": "ptr"})
"""A function that returns 1 if something is as it was at the last step, else 0, and the record that it gets."""
CALL = Record("call", {"function": "ptr", "context": "ptr", "first": "i64", "last": "i64"})
"""A function of a kernel, its context, and the block of tensors that it is for."""
COUNTS = Record("count", {"steps": "ptr", "known": "ptr", "bytes": "i64"})
"""How many steps each tensor has done: where the optimizer counts them, and a copy that nobody edits."""
TEAM = Record(
    "team",
    {
        "forks": "ptr",  # int64: how many forks lie behind this process
        "forked": "i64",  # how many did at the last step
        "thread": "i64",  # the thread that took it
        "threads": "i64",  # how many threads it could ask for
        "most_threads": "ptr",  # int omp_get_max_threads(void)
        "identify": "ptr",  # of Python: this thread
    },
)


class Outcome(IntEnum):
    """What became of a step."""

    NOTHING = 0  # something is otherwise than at the last step; nothing has been done
    DONE = 1
    NOT_FINITE = 2  # done, with gradients that are not finite


_QUESTIONS = (
    """
define i64 @same_team(ptr %team) {
entry:
"""
    + TEAM.read(*TEAM.words)
    + """  %forks.now = load i64, ptr %forks
  %thread.now = call i64 %identify()
  %threads.32 = call i32 %most_threads()
  %threads.now = sext i32 %threads.32 to i64
  %same.process = icmp eq i64 %forks.now, %forked
  %same.thread = icmp eq i64 %thread.now, %thread
  %same.size = icmp eq i64 %threads.now, %threads
  %same.1 = and i1 %same.process, %same.thread
  %same.2 = and i1 %same.1, %same.size
  %same = zext i1 %same.2 to i64
  ret i64 %same
}

declare i32 @memcmp(ptr, ptr, i64)

define i64 @same_counts(ptr %count) {
entry:
"""
    + COUNTS.read(*COUNTS.words)
    + """  %differ = call i32 @memcmp(ptr %steps, ptr %known, i64 %bytes)
  %same.1 = icmp eq i32 %differ, 0
  %same = zext i1 %same.1 to i64
  ret i64 %same
}
"""
)

_HELPERS = (
    """
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

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
    + find_record(CALL, "calls")
    + CALL.read(*CALL.words)
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

define internal void @take_over_counts(ptr %counts, i64 %watched) {{
entry:
  br label %head
head:
  %j = phi i64 [ 0, %entry ], [ %j.next, %work ]
  %some = icmp slt i64 %j, %watched
  br i1 %some, label %work, label %exit
work:
"""
    + read_item("count", "counts", "ptr")
    + COUNTS.read(*COUNTS.words)
    + """  call void @llvm.memcpy.p0.p0.i64(ptr %known, ptr %steps, i64 %bytes, i1 false)
  %j.next = add i64 %j, 1
  br label %head
exit:
  ret void
}
"""
)

_REPEAT = (
    """
define i64 @repeat(ptr %record) {
entry:
"""
    + RECORD.read(*RECORD.words)
    + """  %done = load i64, ptr %updates
  %wanted = icmp eq i64 %done, %until
  br i1 %wanted, label %nothing, label %question.head
question.head:
  %q = phi i64 [ 0, %entry ], [ %q.next, %question.next ]
  %q.some = icmp slt i64 %q, %asked
  br i1 %q.some, label %question.ask, label %batch.head
question.ask:
"""
    + find_record(QUESTION, "questions", "%q")
    + QUESTION.read(*QUESTION.words)
    + """  %same = call i64 %asks(ptr %of)
  %other = icmp eq i64 %same, 0
  br i1 %other, label %nothing, label %question.next
question.next:
  %q.next = add i64 %q, 1
  br label %question.head
batch.head:
  %b = phi i64 [ 0, %question.head ], [ %b.next, %batch.next ]
  %b.some = icmp slt i64 %b, %batches
  br i1 %b.some, label %batch.take, label %begin
batch.take:
"""
    + read_item("batch", "gradients", "ptr", "%b")
    + f"""  %answer = call i64 %take(ptr %batch)
  %usual = icmp eq i64 %answer, {Answer.SAME}
  br i1 %usual, label %batch.next, label %batch.forget
batch.forget:
  call void @forget(ptr %batch)
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
  call void @take_over_counts(ptr %counts, i64 %watched)
  store double 0.0, ptr %totals
  %done.next = add i64 %done, 1
  store i64 %done.next, ptr %updates
  %outcome = select i1 %finite, i64 {Outcome.DONE}, i64 {Outcome.NOT_FINITE}
  ret i64 %outcome
nothing:
  ret i64 {Outcome.NOTHING}
}}
"""
)

REPETITION = _QUESTIONS + _HELPERS + _REPEAT
