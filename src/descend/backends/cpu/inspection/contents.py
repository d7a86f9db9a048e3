"""Whether lists and dicts still hold the very objects that they held, asked by one compiled call.

A step must notice any value written into a group and any parameter put into its list; from Python that takes longer
than stepping six small tensors.
"""

import ctypes
import functools
import sys
import sysconfig
from collections.abc import Sequence
from itertools import chain
from operator import is_
from typing import Any, NamedTuple

import numpy as np

from descend.backends.cpu import compiler
from descend.backends.cpu.record import Record, read_item

_FUNCTIONS = ("PyList_Size", "PyList_GetItem", "PyDict_Size", "PyDict_Next")
_RECORD = Record(
    "record",
    {"count": "i64", **dict.fromkeys(("containers", "dicts", "sizes", "objects", *_FUNCTIONS), "ptr")},
)


_SAME = (
    """
define i64 @same(ptr %record) {
entry:
"""
    + _RECORD.read(*_RECORD.words)
    + """  %at = alloca i64
  %key = alloca ptr
  %value = alloca ptr
  br label %head
head:
  %c = phi i64 [ 0, %entry ], [ %c.next, %next ]
  %begin = phi i64 [ 0, %entry ], [ %end, %next ]
  %some = icmp slt i64 %c, %count
  br i1 %some, label %open, label %equal
open:
"""
    + read_item("container", "containers", "ptr", "%c")
    + read_item("dict.8", "dicts", "i8", "%c")
    + read_item("size", "sizes", "i64", "%c")
    + """  %dict = icmp ne i8 %dict.8, 0
  %end = add i64 %begin, %size
  %ask = select i1 %dict, ptr %PyDict_Size, ptr %PyList_Size
  %now = call i64 %ask(ptr %container)
  store i64 0, ptr %at
  %as.many = icmp eq i64 %now, %size
  br i1 %as.many, label %item.head, label %other
item.head:
  %i = phi i64 [ %begin, %open ], [ %i.next, %item.next ]
  %item.some = icmp slt i64 %i, %end
  br i1 %item.some, label %item, label %next
item:
"""
    + read_item("known", "objects", "ptr", "%i")
    + """  br i1 %dict, label %item.dict, label %item.list
item.dict:
  %more = call i32 %PyDict_Next(ptr %container, ptr %at, ptr %key, ptr %value)
  %held = load ptr, ptr %value
  br label %item.compare
item.list:
  %place = sub i64 %i, %begin
  %listed = call ptr %PyList_GetItem(ptr %container, i64 %place)
  br label %item.compare
item.compare:
  %object = phi ptr [ %held, %item.dict ], [ %listed, %item.list ]
  %is = icmp eq ptr %object, %known
  br i1 %is, label %item.next, label %other
item.next:
  %i.next = add i64 %i, 1
  br label %item.head
next:
  %c.next = add i64 %c, 1
  br label %head
equal:
  ret i64 1
other:
  ret i64 0
}
"""
)


@functools.cache
def _load() -> tuple[compiler.Kernel, dict[str, int]]:
    functions = {name: ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0 for name in _FUNCTIONS}
    return compiler.load("contents", _SAME, 0), functions


def find_same() -> int:
    """Address of the compiled ``same``: 1 if the contents of a record are as they were, else 0."""
    return _load()[0].address("same")


Container = list[Any] | dict[str, Any]


class Place(NamedTuple):
    """Where an object is kept: which container's it is, which of its, and which of all."""

    container: int
    item: int
    among_all: int


class Contents:
    """The objects in some lists, or in some dicts, as they are now.

    Args:
        containers: the lists, or the dicts, whose values count.
        compiled: whether compiled code compares; Python does without one.

    Attributes:
        record: what compiled code reads of them, in one place for good; empty without.
    """

    def __init__(self, containers: Sequence[Container], compiled: bool) -> None:
        self._containers = containers
        self._compiled = compiled
        self._held = list(map(_list_objects, containers))
        self.record = np.zeros(len(_RECORD.words) if self._compiled else 0, np.int64)
        if self._compiled:
            self._hand_over()
            self._address = self.record.ctypes.data
            self._same = _load()[0].function("same", ctypes.c_void_p, result=ctypes.c_int64, unlocked=False)

    def renew(self) -> None:
        """Take over what they hold now."""
        sizes = list(map(len, self._held))
        self._held = list(map(_list_objects, self._containers))
        if not self._compiled:
            return
        if list(map(len, self._held)) == sizes:
            self._objects[:] = list(map(id, chain.from_iterable(self._held)))
        else:
            self._hand_over()

    def let_go(self) -> None:
        """Hold the objects no longer; nobody asks again."""
        self._held = []

    def find(self, container: int, key: str) -> Place:
        """Where the value under a key of one of the dicts is kept, until ``renew`` finds other keys."""
        held = self._containers[container]
        item = list(held).index(key)
        return Place(container, item, sum(map(len, self._held[:container])) + item)

    def put(self, place: Place, value: Any) -> None:
        """Take over a value that has been written under a key."""
        self._held[place.container][place.item] = value
        if self._compiled:
            self._objects[place.among_all] = id(value)

    def are_same(self) -> bool:
        """Whether they hold the same objects in the same order."""
        if self._compiled:
            return bool(self._same(self._address))
        now = list(map(_list_objects, self._containers))
        return list(map(len, now)) == list(map(len, self._held)) and all(
            map(is_, chain.from_iterable(now), chain.from_iterable(self._held))
        )

    def _hand_over(self) -> None:
        objects = list(map(id, chain.from_iterable(self._held)))
        self._objects = (ctypes.c_int64 * len(objects))(*objects)  # of all memory the quickest to write a list to
        self._arrays = {
            "containers": np.array(list(map(id, self._containers)), np.int64),
            "dicts": np.array([isinstance(c, dict) for c in self._containers], np.uint8),
            "sizes": np.array(list(map(len, self._held)), np.int64),
        }
        words = {n: a.ctypes.data for n, a in self._arrays.items()} | _load()[1]
        words |= {"count": len(self._containers), "objects": ctypes.addressof(self._objects)}
        self.record[:] = _RECORD.fill(words)


def _list_objects(container: Container) -> list[Any]:
    return list(container.values()) if isinstance(container, dict) else list(container)


def can_look_inside() -> bool:
    """Whether compiled code may look at Python's objects: this is CPython with its interpreter's lock."""
    return sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED")
