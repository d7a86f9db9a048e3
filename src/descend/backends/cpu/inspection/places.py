"""Whether tensors still lie where they lay, asked by compiled code.

Who has been given a state can move it in place, as ``share_memory_()`` does, and kernels hold addresses.
"""

import ctypes
import functools
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from descend.backends.cpu import compiler
from descend.backends.cpu.inspection.gradients import Torch
from descend.backends.cpu.record import Record, read_item

_RECORD = Record(
    "record",
    {
        "count": "i64",  # number of tensors
        "handle": "i64",  # bytes from the beginning of a Python tensor to the C++ one
        "tensors": "ptr",  # int64 [count]: the Python objects
        "places": "ptr",  # int64 [count]: where each lay
        "get_data_ptr": "ptr",  # torch's function
    },
)

_STAY = (
    """
define i64 @stay(ptr %record) {
entry:
  %at = alloca i64
"""
    + _RECORD.read(*_RECORD.words)
    + """  br label %head
head:
  %j = phi i64 [ 0, %entry ], [ %j.next, %next ]
  %some = icmp slt i64 %j, %count
  br i1 %some, label %ask, label %same
ask:
"""
    + read_item("object", "tensors", "ptr")
    + read_item("place", "places")
    + """  %tensor = getelementptr i8, ptr %object, i64 %handle
  store i64 -1, ptr %at
  %e = call i32 %get_data_ptr(ptr %tensor, ptr %at)
  %now = load i64, ptr %at
  %stays = icmp eq i64 %now, %place
  br i1 %stays, label %next, label %other
next:
  %j.next = add i64 %j, 1
  br label %head
same:
  ret i64 1
other:
  ret i64 0
}
"""
)


@functools.cache
def _load() -> compiler.Kernel:
    return compiler.load("places", _STAY, 0)


class Places:
    """Where some tensors lie now.

    Args:
        found: torch's functions.
        tensors: in this machine's memory.

    Attributes:
        record: what compiled code reads.
    """

    def __init__(self, found: Torch, tensors: Sequence[Tensor]) -> None:
        arrays = {
            "tensors": np.array(list(map(id, tensors)), np.int64),
            "places": np.array([t.data_ptr() for t in tensors], np.int64),
        }
        words = {name: array.ctypes.data for name, array in arrays.items()}
        words |= {"count": len(tensors), "handle": found.handle, "get_data_ptr": found.functions["get_data_ptr"]}
        self.record = _RECORD.fill(words)
        self._owned = (list(tensors), arrays)  # the record points to what they hold
        self._stay = _load().function("stay", ctypes.c_void_p, result=ctypes.c_int64, unlocked=False)

    def are_same(self) -> bool:
        """Whether each lies where it lay."""
        return bool(self._stay(self.record.ctypes.data))


def find_stay() -> int:
    """Address of the compiled ``stay``: 1 if the tensors of a record lie where they lay, else 0."""
    return _load().address("stay")
