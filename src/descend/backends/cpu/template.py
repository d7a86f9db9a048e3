"""The frame of a kernel in LLVM IR: loops over chunks, rows and tensors, and the hand-over to OpenMP.

Nothing here knows a formula; ``render`` fills the braces.
"""

from descend.backends.cpu.context import CONTEXT, FIND_SLOTS, FIND_UNIFORMS, READ_ROW, SIZE, read_entry

COMMIT = (
    """
define void @commit(ptr %ctx) {{
entry:
"""
    + CONTEXT.read("tensors", "rows", "table", "inputs", "steps", "gradients", "release")
    + """  br label %head
head:
  %j = phi i64 [ 0, %entry ], [ %j.next, %next ]
  %some = icmp slt i64 %j, %tensors
  br i1 %some, label %find, label %row.head
find:
"""
    + READ_ROW
    + """  br i1 %absent, label %next, label %work
work:
  %step.p = getelementptr float, ptr %steps, i64 %j
  %step = load float, ptr %step.p
  %step.next = fadd float %step, 1.0
  store float %step.next, ptr %step.p
  br label %next
next:
  %j.next = add i64 %j, 1
  br label %head
row.head:
  %r = phi i64 [ 0, %head ], [ %r.next, %row.work ]
  %row.some = icmp slt i64 %r, %rows
  br i1 %row.some, label %row.work, label %held
row.work:
  %x.m = mul i64 %r, {inputs}
  %x.t = add i64 %x.m, {number}
  %t.p = getelementptr double, ptr %inputs, i64 %x.t
  {advance}
  %r.next = add i64 %r, 1
  br label %row.head
held:
  %none = icmp eq ptr %release, null
  br i1 %none, label %exit, label %let.go
let.go:
  call void %release(ptr %gradients)
  br label %exit
exit:
  ret void
}}
"""
)
"""Counts the step: of each tensor that took it, and the number of the next in each row. Lets go of the gradients."""

ADVANCE = "%t = load double, ptr %t.p\n  %t.next = fadd double %t, 1.0\n  store double %t.next, ptr %t.p"

SPAN = """
define internal void @span_{k}({pointers}ptr noalias nocapture readonly %u, ptr noalias nocapture readonly %s,
                               ptr noalias nocapture %out, i64 %n) {{
entry:
{prologue}
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %i.next, %loop ]
{phis}
{body}
  %i.next = add nuw nsw i64 %i, 1
  %more = icmp ult i64 %i.next, %n
  br i1 %more, label %loop, label %exit
exit:
{ends}
  ret void
}}
"""

RUN_HEAD = (
    """
define void @run_{k}(ptr %ctx, i64 %me, i64 %team) noinline {{
entry:
{scratch}"""
    + CONTEXT.read("tensors", "first", "last", "table", "chunk_tensor", "chunk_first", "uniforms", "slots", "partials")
    + """  %from.p = getelementptr i64, ptr %chunk_first, i64 %first
  %from = load i64, ptr %from.p
  %to.p = getelementptr i64, ptr %chunk_first, i64 %last
  %to = load i64, ptr %to.p
  %chunks = sub i64 %to, %from
  %lo.m = mul i64 %chunks, %me
  %lo.d = sdiv i64 %lo.m, %team
  %lo = add i64 %from, %lo.d
  %me.1 = add i64 %me, 1
  %hi.m = mul i64 %chunks, %me.1
  %hi.d = sdiv i64 %hi.m, %team
  %hi = add i64 %from, %hi.d
  br label %head
head:
  %chunk = phi i64 [ %lo, %entry ], [ %chunk.next, %next ]
  %some = icmp slt i64 %chunk, %hi
  br i1 %some, label %find, label %exit
find:
  %j.p = getelementptr i32, ptr %chunk_tensor, i64 %chunk
  %j.32 = load i32, ptr %j.p
  %j = sext i32 %j.32 to i64
"""
    + READ_ROW
    + """  br i1 %absent, label %next, label %work
work:
"""
    + FIND_UNIFORMS
    + FIND_SLOTS
    + """  %o.m = mul i64 %chunk, {slots}
  %o = getelementptr double, ptr %partials, i64 %o.m
"""
)
"""From the threads' shares to one chunk of one tensor: its row of the uniform table, its slots, its partial sums."""

RUN_TAIL = """  br label %next
next:
  %chunk.next = add i64 %chunk, 1
  br label %head
exit:
  ret void
}}
"""
RUN = (
    RUN_HEAD
    + read_entry("size", SIZE, "i64")
    + """  %begin.p = getelementptr i64, ptr %chunk_first, i64 %j
  %begin = load i64, ptr %begin.p
  %past = sub i64 %chunk, %begin
  %start = mul i64 %past, {chunk}
  %rest = sub i64 %size, %start
  %full = icmp sgt i64 %rest, {chunk}
  %n = select i1 %full, i64 {chunk}, i64 %rest
{addresses}
  call void @span_{k}({pointers}ptr %u, ptr %s, ptr %o, i64 %n)
"""
    + RUN_TAIL
)

ENTER = (
    """
define void @enter_{k}(ptr %ctx) {{
entry:
"""
    + CONTEXT.read("first", "last", "rows", "table", "inputs", "uniforms", "slots", "totals")
    + """  {remember}
  %begin = icmp eq i64 %first, 0
  %rows.now = select i1 %begin, i64 %rows, i64 0
  br label %row.head
row.head:
  %r = phi i64 [ 0, %entry ], [ %r.next, %row.work ]
  %row.some = icmp slt i64 %r, %rows.now
  br i1 %row.some, label %row.work, label %tensor.head
row.work:
  %x.m = mul i64 %r, {inputs}
  %x = getelementptr double, ptr %inputs, i64 %x.m
  %u.m = mul i64 %r, {columns}
  %u = getelementptr double, ptr %uniforms, i64 %u.m
{rows}
  %r.next = add i64 %r, 1
  br label %row.head
tensor.head:
  %j = phi i64 [ %first, %row.head ], [ %j.next, %tensor.next ]
  %tensor.some = icmp slt i64 %j, %last
  br i1 %tensor.some, label %tensor.find, label %exit
tensor.find:
"""
    + READ_ROW
    + """  br i1 %absent, label %tensor.next, label %tensor.work
tensor.work:
  call void @tensor_{k}(ptr %ctx, i64 %j, i64 %row)
  br label %tensor.next
tensor.next:
  %j.next = add i64 %j, 1
  br label %tensor.head
exit:
{also}  ret void
}}

define internal void @tensor_{k}(ptr %ctx, i64 %j, i64 %row) {{
entry:
"""
    + CONTEXT.read("tensors", "table", "uniforms", "slots")
    + read_entry("size", SIZE, "i64")
    + FIND_UNIFORMS
    + FIND_SLOTS
    + """{tensors}
  ret void
}}
"""
)

FINISH = (
    """
define void @finish_{k}(ptr %ctx) {{
entry:
"""
    + CONTEXT.read("first", "last", "table", "chunk_first", "slots", "partials", "totals")
    + """  br label %head
head:
  %j = phi i64 [ %first, %entry ], [ %j.next, %next ]
  %some = icmp slt i64 %j, %last
  br i1 %some, label %find, label %exit
find:
"""
    + READ_ROW
    + """  br i1 %absent, label %next, label %work
work:
"""
    + FIND_SLOTS
    + """  %begin.p = getelementptr i64, ptr %chunk_first, i64 %j
  %begin = load i64, ptr %begin.p
  %end.p = getelementptr i64, ptr %begin.p, i64 1
  %end = load i64, ptr %end.p
{sums}
  br label %next
next:
  %j.next = add i64 %j, 1
  br label %head
exit:
{also}  ret void
}}
"""
)

JOIN_PARTIALS = """
define internal double @{name}_{k}(ptr %partials, i64 %first, i64 %last, i64 %slot) {{
entry:
  br label %head
head:
  %c = phi i64 [ %first, %entry ], [ %c.next, %work ]
  %sum = phi double [ {nothing}, %entry ], [ %sum.next, %work ]
  %some = icmp slt i64 %c, %last
  br i1 %some, label %work, label %exit
work:
  %m = mul i64 %c, {slots}
  %at = add i64 %m, %slot
  %p = getelementptr double, ptr %partials, i64 %at
  %x = load double, ptr %p
  {join}
  %c.next = add i64 %c, 1
  br label %head
exit:
  ret double %sum
}}
"""

CALL_JOIN = """  %r{slot} = call double @{name}_{k}(ptr %partials, i64 %begin, i64 %end, i64 {slot})
  %r{slot}.p = getelementptr double, ptr %s, i64 {slot}
  store double %r{slot}, ptr %r{slot}.p"""

TOTAL = """  %t{slot}.p = getelementptr double, ptr %totals, i64 {total}
  %t{slot} = load double, ptr %t{slot}.p
  %t{slot}.n = fadd double %t{slot}, %r{slot}
  store double %t{slot}.n, ptr %t{slot}.p"""

STAGE = (
    """
define void @share_{k}(ptr %ctx) {{
entry:
"""
    + CONTEXT.read("thread_number", "team_size")
    + """  %me.32 = call i32 %thread_number()
  %team.32 = call i32 %team_size()
  %me = sext i32 %me.32 to i64
  %team = sext i32 %team.32 to i64
  {adopt}
  call void @run_{k}(ptr %ctx, i64 %me, i64 %team)
  {restore}
  ret void
}}

define void @pool_{k}(ptr %ctx, i64 %me, i64 %team) {{
entry:
  {adopt}
  call void @run_{k}(ptr %ctx, i64 %me, i64 %team)
  {restore}
  ret void
}}

define void @stage_{k}(ptr %ctx) {{
entry:
  call void @enter_{k}(ptr %ctx)
"""
    + CONTEXT.read("threads", "parallel")
    + """  %alone = icmp sle i64 %threads, 1
  br i1 %alone, label %serial, label %team
serial:
  call void @run_{k}(ptr %ctx, i64 0, i64 1)
  br label %done
team:
  %threads.32 = trunc i64 %threads to i32
  call void %parallel(ptr @share_{k}, ptr %ctx, i32 %threads.32, i32 0)
  br label %done
done:
  call void @finish_{k}(ptr %ctx)
  ret void
}}
"""
)

CALL = "  call void @{name}_{k}(ptr %ctx)\n"
IDLE = "define void @stage_{k}(ptr %ctx) {{\n  call void @enter_{k}(ptr %ctx)\n  ret void\n}}"
"""The stage of a pass that touches no memory: no threads are woken for it."""
