"""The frame of a kernel over tiles, for programs with values of rows or columns.

A tile is some rows, and of wide matrices some columns, of one tensor; ``template`` walks over tiles as over chunks.
"""

from descend.backends.cpu.context import CONTEXT
from descend.backends.cpu.template import RUN_HEAD, RUN_TAIL

FILL = """
define internal void @fill{suffix}(ptr noalias nocapture %to, {kind} %value, i64 %n) {{
entry:
  %some = icmp sgt i64 %n, 0
  br i1 %some, label %loop, label %exit
loop:
  %i = phi i64 [ 0, %entry ], [ %i.next, %loop ]
  %a = getelementptr inbounds {kind}, ptr %to, i64 %i
  store {kind} %value, ptr %a
  %i.next = add nuw nsw i64 %i, 1
  %more = icmp ult i64 %i.next, %n
  br i1 %more, label %loop, label %exit
exit:
  ret void
}}
"""
"""Sets ``n`` numbers."""

GATHER = """
define internal void @gather_{name}(ptr noalias nocapture %to, ptr noalias nocapture readonly %from, i64 %rows,
                                    i64 %n, i64 %stride) {{
entry:
  br label %row
row:
  %r = phi i64 [ 0, %entry ], [ %r.next, %row.end ]
  %some = icmp slt i64 %r, %rows
  br i1 %some, label %row.work, label %exit
row.work:
  %to.m = mul i64 %r, %stride
  %to.r = getelementptr {kind}, ptr %to, i64 %to.m
  %from.m = mul i64 %r, %n
  %from.r = getelementptr {kind}, ptr %from, i64 %from.m
  br label %loop
loop:
  %i = phi i64 [ 0, %row.work ], [ %i.next, %loop ]
  %a = getelementptr inbounds {kind}, ptr %to.r, i64 %i
  %b = getelementptr inbounds {kind}, ptr %from.r, i64 %i
  %x = load {kind}, ptr %a
  %y = load {kind}, ptr %b
  {join}
  store {kind} %z, ptr %a
  %i.next = add nuw nsw i64 %i, 1
  %more = icmp ult i64 %i.next, %n
  br i1 %more, label %loop, label %row.end
row.end:
  %r.next = add i64 %r, 1
  br label %row
exit:
  ret void
}}
"""
"""Puts a tile's partial values, ``rows`` times ``n`` of them, together with a tensor's."""

HALVE = """
define internal void @halve_{name}(ptr %values, i64 %count, i64 %width) {{
entry:
  br label %head
head:
  %left = phi i64 [ %count, %entry ], [ %half, %work ]
  %more = icmp sgt i64 %left, 1
  br i1 %more, label %work, label %exit
work:
  %up = add i64 %left, 1
  %half = lshr i64 %up, 1
  %rest = sub i64 %left, %half
  %n = mul i64 %rest, %width
  %m = mul i64 %half, %width
  %upper = getelementptr {kind}, ptr %values, i64 %m
  call void @gather_{name}(ptr %values, ptr %upper, i64 1, i64 %n, i64 0)
  br label %head
exit:
  ret void
}}
"""
"""Puts ``count`` rows of ``width`` values together, into the first of them."""

WIDEN = """
define internal void @widen(ptr noalias nocapture %to, ptr noalias nocapture readonly %from, i64 %n) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %i.next, %loop ]
  %a = getelementptr inbounds double, ptr %to, i64 %i
  %b = getelementptr inbounds float, ptr %from, i64 %i
  %x = load float, ptr %b
  %y = fpext float %x to double
  store double %y, ptr %a
  %i.next = add nuw nsw i64 %i, 1
  %more = icmp ult i64 %i.next, %n
  br i1 %more, label %loop, label %exit
exit:
  ret void
}
"""
"""Writes ``n`` numbers, at least one, in float64."""

RUN = (
    RUN_HEAD
    + CONTEXT.read("tiles")
    + """  %tile.m = mul i64 %chunk, {fields}
  %tile = getelementptr i64, ptr %tiles, i64 %tile.m
{tiles}"""
    + RUN_TAIL
)
CALL_TILE = "  call void @tile_{k}(ptr %ctx, i64 %j, ptr %u, ptr %s, ptr %o, ptr %tile, ptr %scratch)\n"
TILE = (
    """
define internal void @tile_{k}(ptr %ctx, i64 %j, ptr %u, ptr %s, ptr %o, ptr %tile, ptr %scratch) {{
entry:
"""
    + CONTEXT.read("tensors", "table")
    + """{begin}{operands}
  call void @span_{k}({call}ptr %u, ptr %s, ptr %o)
  ret void
}}
"""
)
"""One pass over one tile."""
CALL_BEGIN = "  call void @begin_{k}(ptr %ctx, i64 %j, ptr %u, ptr %s, ptr %tile, ptr %scratch)\n"
SCRATCH = "  %{name} = getelementptr i8, ptr %scratch, i64 {at}\n"

ROW_SPAN = """
define internal void @span_{k}({parameters}ptr noalias nocapture readonly %u, ptr noalias nocapture readonly %s,
                               ptr noalias nocapture %out) {{
entry:
{prologue}
  br label %row
row:
  %r = phi i64 [ %row.from, %entry ], [ %r.next, %row.end ]
{row_phis}
{row}
  br label %loop
loop:
  %i = phi i64 [ 0, %row ], [ %i.next, %loop ]
{phis}
{body}
  %i.next = add nuw nsw i64 %i, 1
  %more = icmp ult i64 %i.next, %width
  br i1 %more, label %loop, label %row.end
row.end:
{row_end}
  %r.next = add nuw nsw i64 %r, 1
  %r.more = icmp ult i64 %r.next, %row.to
  br i1 %r.more, label %row, label %exit
exit:
{ends}
  ret void
}}
"""

FLAT_SPAN = """
define internal void @span_{k}({parameters}ptr noalias nocapture readonly %u, ptr noalias nocapture readonly %s,
                               ptr noalias nocapture %out) {{
entry:
{text}
  ret void
}}
"""

BEGIN = (
    """
define internal void @begin_{k}(ptr %ctx, i64 %j, ptr %u, ptr %s, ptr %tile, ptr %scratch) noinline {{
entry:
"""
    + CONTEXT.read("tensors", "table")
    + "{text}\n  ret void\n}}\n"
)
"""What a tile computes before a pass."""
LOOP = """
define internal void @{name}({parameters}i64 %n) noinline {{
entry:
{text}
  ret void
}}
"""
"""One loop over a tile's slices, whose addresses are known to be different ones."""

COLLECT = (
    """
define internal void @collect_{k}(ptr %ctx, i64 %j, i64 %begin, i64 %end) {{
entry:
"""
    + CONTEXT.read("tensors", "table", "tiles")
    + """{homes}
  br label %head
head:
  %chunk = phi i64 [ %begin, %entry ], [ %chunk.next, %work ]
  %some = icmp slt i64 %chunk, %end
  br i1 %some, label %work, label %exit
work:
  %tile.m = mul i64 %chunk, {fields}
  %tile = getelementptr i64, ptr %tiles, i64 %tile.m
{shares}
  %chunk.next = add i64 %chunk, 1
  br label %head
exit:
  ret void
}}
"""
)
"""Puts the tiles' partial values of each slice together, in the order of the tiles."""
