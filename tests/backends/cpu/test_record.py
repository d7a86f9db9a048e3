"""Records: what the host fills is what compiled code reads."""

import ctypes

import numpy as np
import pytest

from descend.backends.cpu import compiler
from descend.backends.cpu.record import Record, find_record, read_item

RECORD = Record("record", {"count": "i64", "items": "ptr", "j": "i64"})


def test_words_and_items_are_read_by_name():
    text = f"""
define i64 @f(ptr %record) {{
{RECORD.read("j", "items", "count")}{read_item("item", "items")}  %sum = add i64 %item, %count
  ret i64 %sum
}}
"""
    kernel = compiler.load("record", text, 0)
    items = np.array([10, 20, 30], np.int64)
    record = RECORD.fill({"j": 2, "items": items.ctypes.data, "count": 3})
    assert kernel.function("f", ctypes.c_void_p, result=ctypes.c_int64)(record.ctypes.data) == 33


def test_records_that_follow_one_another():
    text = f"""
define i64 @f(ptr %many, i64 %which) {{
{find_record(RECORD, "many", "%which")}{RECORD.read("count", "j")}  %sum = add i64 %j, %count
  ret i64 %sum
}}
"""
    kernel = compiler.load("records", text, 0)
    many = np.array([RECORD.fill({"j": 100 * k, "items": 0, "count": k}) for k in range(4)])
    function = kernel.function("f", ctypes.c_void_p, ctypes.c_int64, result=ctypes.c_int64)
    assert [function(many.ctypes.data, k) for k in range(4)] == [0, 101, 202, 303]


def test_a_record_needs_every_word():
    with pytest.raises(KeyError, match="items"):
        RECORD.fill({"count": 3, "j": 2})
