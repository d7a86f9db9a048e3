"""In LLVM IR: take a step's gradients from torch, and give them back. ``gradients`` fills the record that it reads."""

from enum import IntEnum

from descend.backends.cpu.record import Record, read_item

_WORDS = {
    "count": "i64",  # number of tensors T
    "handle": "i64",  # bytes from the beginning of a Python tensor to the C++ one, a pointer to its implementation
    "key_set": "i64",  # bytes from the beginning of the implementation to the set of its dispatch keys
    "params": "ptr",  # int64 [T]: the Python objects
    "tensors": "ptr",  # int64 [T]: their implementations, for this call
    "wanted": "ptr",  # int64 [T]: where each holds its gradient, for this call; 0 where it wants none
    "places": "ptr",  # int64 [T]: where each parameter lies
    "bytes": "ptr",  # int64 [T]: how many bytes it has
    "known": "ptr",  # int64 [T]: where what is known of its layout begins, in the order in which it is compared
    "gradients": "ptr",  # int64 [T]: where each gradient lies, for the kernel; 0 where there is none
    "present": "ptr",  # uint8 [T]: whether there is one
    "held": "ptr",  # int64 [T]: C++ tensors, each a pointer to an implementation, that keep the gradients alive
    "nothing": "ptr",  # an undefined C++ tensor
    "stretches": "i64",  # number S of stretches of memory that belong to parameters
    "starts": "ptr",  # int64 [S]: where they begin, in order
    "ends": "ptr",  # int64 [S + 1]: 0, and the furthest end of a stretch and all before it
    "grad": "ptr",
    "requires_grad": "ptr",
    "is_defined": "ptr",
    "get_dtype": "ptr",
    "get_dim": "ptr",
    "get_sizes": "ptr",
    "get_strides": "ptr",
    "get_data_ptr": "ptr",
    "assign_tensors": "ptr",
}
"""The last ones are addresses of torch's functions."""
RECORD = Record("record", _WORDS)


class Answer(IntEnum):
    """What became of the gradients."""

    SAME = 0  # taken; the same tensors have one as in the last step
    OTHERS = 1  # taken; other tensors have one
    UNUSUAL = 2  # not taken: one is laid out otherwise than its parameter, or lies in one
    MOVED = 3  # not taken: a parameter has another place or layout than known


TAKE = (
    """
declare void @llvm.prefetch.p0(ptr, i32, i32, i32)

define internal void @fetch(ptr %from) {
entry:
  %b = getelementptr i8, ptr %from, i64 64
  %c = getelementptr i8, ptr %from, i64 128
  call void @llvm.prefetch.p0(ptr %from, i32 0, i32 3, i32 1)
  call void @llvm.prefetch.p0(ptr %b, i32 0, i32 3, i32 1)
  call void @llvm.prefetch.p0(ptr %c, i32 0, i32 3, i32 1)
  ret void
}

define internal i1 @differs(ptr %record, ptr %tensor, ptr %known) {
entry:
"""
    + RECORD.read("get_dtype", "get_dim", "get_sizes", "get_strides", "key_set")
    + """  %number = alloca i64
  %sizes.at = alloca ptr
  %strides.at = alloca ptr
  %keys.p = load ptr, ptr %tensor
  %keys.a = getelementptr i8, ptr %keys.p, i64 %key_set
  %keys = load i64, ptr %keys.a
  %known.keys = load i64, ptr %known
  %keys.same = icmp eq i64 %keys, %known.keys
  br i1 %keys.same, label %ask, label %other
ask:
  store i64 0, ptr %number
  %e1 = call i32 %get_dtype(ptr %tensor, ptr %number)
  %dtype = load i64, ptr %number
  %known.dtype.p = getelementptr i64, ptr %known, i64 1
  %known.dtype = load i64, ptr %known.dtype.p
  %dtype.same = icmp eq i64 %dtype, %known.dtype
  br i1 %dtype.same, label %axes, label %other
axes:
  %e2 = call i32 %get_dim(ptr %tensor, ptr %number)
  %dim = load i64, ptr %number
  %known.dim.p = getelementptr i64, ptr %known, i64 2
  %known.dim = load i64, ptr %known.dim.p
  %dim.same = icmp eq i64 %dim, %known.dim
  br i1 %dim.same, label %shape, label %other
shape:
  %e3 = call i32 %get_sizes(ptr %tensor, ptr %sizes.at)
  %sizes = load ptr, ptr %sizes.at
  %e4 = call i32 %get_strides(ptr %tensor, ptr %strides.at)
  %strides = load ptr, ptr %strides.at
  %known.sizes = getelementptr i64, ptr %known, i64 3
  %known.strides = getelementptr i64, ptr %known.sizes, i64 %dim
  br label %head
head:
  %j = phi i64 [ 0, %shape ], [ %j.next, %next ]
  %some = icmp slt i64 %j, %dim
  br i1 %some, label %axis, label %equal
axis:
"""
    + read_item("size", "sizes")
    + read_item("known.size", "known.sizes")
    + """  %size.same = icmp eq i64 %size, %known.size
  br i1 %size.same, label %stride.work, label %other
stride.work:
"""
    + read_item("stride", "strides")
    + read_item("known.stride", "known.strides")
    + """  %stride.same = icmp eq i64 %stride, %known.stride
  %single = icmp eq i64 %size, 1
  %fits = or i1 %stride.same, %single
  br i1 %fits, label %next, label %other
next:
  %j.next = add i64 %j, 1
  br label %head
equal:
  ret i1 false
other:
  ret i1 true
}

define internal i1 @meets(ptr %record, i64 %start, i64 %bytes) {
entry:
"""
    + RECORD.read("starts", "ends", "stretches")
    + """  %end = add i64 %start, %bytes
  br label %head
head:
  %low = phi i64 [ 0, %entry ], [ %low.next, %halve ]
  %high = phi i64 [ %stretches, %entry ], [ %high.next, %halve ]
  %some = icmp slt i64 %low, %high
  br i1 %some, label %halve, label %found
halve:
  %sum = add i64 %low, %high
  %j = lshr i64 %sum, 1
"""
    + read_item("begin", "starts")
    + """  %below = icmp slt i64 %begin, %end
  %after = add i64 %j, 1
  %low.next = select i1 %below, i64 %after, i64 %low
  %high.next = select i1 %below, i64 %high, i64 %j
  br label %head
found:
  %furthest.p = getelementptr i64, ptr %ends, i64 %low
  %furthest = load i64, ptr %furthest.p
  %reaches = icmp sgt i64 %furthest, %start
  %some.bytes = icmp sgt i64 %bytes, 0
  %met = and i1 %reaches, %some.bytes
  ret i1 %met
}

define void @release(ptr %record) {
entry:
"""
    + RECORD.read("held", "nothing", "assign_tensors", "count")
    + """  br label %head
head:
  %j = phi i64 [ 0, %entry ], [ %j.next, %work ]
  %some = icmp slt i64 %j, %count
  br i1 %some, label %work, label %exit
work:
  %hold = getelementptr ptr, ptr %held, i64 %j
  %e = call i32 %assign_tensors(ptr %nothing, ptr %hold)
  %j.next = add i64 %j, 1
  br label %head
exit:
  ret void
}

define i64 @take(ptr %record) {
entry:
"""
    + RECORD.read("params", "tensors", "wanted", "places", "bytes", "known", "gradients", "present", "held")
    + RECORD.read("grad", "requires_grad", "is_defined", "get_data_ptr", "assign_tensors", "count", "handle")
    + f"""  %at = alloca i64
  %is.at = alloca i8
  br label %near.head
near.head:
  %near.j = phi i64 [ 0, %entry ], [ %near.next, %near ]
  %near.some = icmp slt i64 %near.j, %count
  br i1 %near.some, label %near, label %far.head
near:
  %near.o.p = getelementptr ptr, ptr %params, i64 %near.j
  %near.o = load ptr, ptr %near.o.p
  %near.t = getelementptr i8, ptr %near.o, i64 %handle
  %near.s = load ptr, ptr %near.t
  %near.s.p = getelementptr ptr, ptr %tensors, i64 %near.j
  store ptr %near.s, ptr %near.s.p
  call void @fetch(ptr %near.s)
  %near.next = add i64 %near.j, 1
  br label %near.head
far.head:
  %far.j = phi i64 [ 0, %near.head ], [ %far.next, %far.end ]
  %far.some = icmp slt i64 %far.j, %count
  br i1 %far.some, label %far, label %head
far:
  %far.s.p = getelementptr ptr, ptr %tensors, i64 %far.j
  %far.s = load ptr, ptr %far.s.p
  %far.g.p = getelementptr ptr, ptr %wanted, i64 %far.j
  %wants = call zeroext i1 %requires_grad(ptr %far.s)
  br i1 %wants, label %far.ask, label %far.none
far.none:
  store ptr null, ptr %far.g.p
  br label %far.end
far.ask:
  %far.g = call ptr %grad(ptr %far.s)
  store ptr %far.g, ptr %far.g.p
  %far.i = load ptr, ptr %far.g
  call void @fetch(ptr %far.i)
  br label %far.end
far.end:
  %far.next = add i64 %far.j, 1
  br label %far.head
head:
  %j = phi i64 [ 0, %far.head ], [ %j.next, %next ]
  %answer = phi i64 [ {Answer.SAME}, %far.head ], [ %answer.next, %next ]
  %some = icmp slt i64 %j, %count
  br i1 %some, label %param, label %exit
param:
"""
    + read_item("object", "params", "ptr")
    + read_item("layout", "known", "ptr")
    + """  %tensor = getelementptr i8, ptr %object, i64 %handle
  %moved = call i1 @differs(ptr %record, ptr %tensor, ptr %layout)
  br i1 %moved, label %exit.moved, label %place.work
place.work:
  store i64 0, ptr %at
  %e1 = call i32 %get_data_ptr(ptr %tensor, ptr %at)
  %now = load i64, ptr %at
"""
    + read_item("place", "places")
    + """  %stays = icmp eq i64 %now, %place
  br i1 %stays, label %ask, label %exit.moved
ask:
"""
    + read_item("was", "present", "i8")
    + read_item("last", "gradients")
    + read_item("g", "wanted", "ptr")
    + """  %none = icmp eq ptr %g, null
  br i1 %none, label %absent, label %look
look:
  %e2 = call i32 %is_defined(ptr %g, ptr %is.at)
  %is = load i8, ptr %is.at
  %undefined = icmp eq i8 %is, 0
  br i1 %undefined, label %absent, label %compare
compare:
  %differs = call i1 @differs(ptr %record, ptr %g, ptr %layout)
  br i1 %differs, label %exit.unusual, label %find
find:
  store i64 0, ptr %at
  %e3 = call i32 %get_data_ptr(ptr %g, ptr %at)
  %lies = load i64, ptr %at
"""
    + read_item("size", "bytes")
    + """  %empty = icmp eq i64 %size, 0
  %null = icmp eq i64 %lies, 0
  %filled = xor i1 %empty, true
  %lost = and i1 %null, %filled
  br i1 %lost, label %exit.unusual, label %known.place
known.place:
  %same = icmp eq i64 %lies, %last
  br i1 %same, label %hold, label %check
check:
  %meets = call i1 @meets(ptr %record, i64 %lies, i64 %size)
  br i1 %meets, label %exit.unusual, label %write
write:
  store i64 %lies, ptr %last.p
  br label %hold
hold:
  %hold.p = getelementptr ptr, ptr %held, i64 %j
  %e4 = call i32 %assign_tensors(ptr %g, ptr %hold.p)
  br label %mark
absent:
  store i64 0, ptr %last.p
  br label %mark
mark:
  %is.there = phi i8 [ 1, %hold ], [ 0, %absent ]
  %as.before = icmp eq i8 %is.there, %was
  store i8 %is.there, ptr %was.p
"""
    + f"""  %answer.next = select i1 %as.before, i64 %answer, i64 {Answer.OTHERS}
  br label %next
next:
  %j.next = add i64 %j, 1
  br label %head
exit:
  ret i64 %answer
exit.moved:
  br label %give.up
exit.unusual:
  br label %give.up
give.up:
  %why = phi i64 [ {Answer.MOVED}, %exit.moved ], [ {Answer.UNUSUAL}, %exit.unusual ]
  call void @release(ptr %record)
  ret i64 %why
}}
"""
)
