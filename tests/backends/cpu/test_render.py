"""The text of a kernel: valid for every processor, exact literals, and no licence to change values."""

import math
import re
import struct

import pytest

import descend
from backends.formulas import arithmetic, conditions, host_words, reductions, rounding_free, transcendental
from descend.backends.cpu.body import Storage
from descend.backends.cpu.compiler import _llvm
from descend.backends.cpu.render import render
from descend.backends.cpu.words import CELL, IR, LOAD, STORE, literal
from descend.lang.fold import build_program
from descend.lang.rule import Rule
from descend.lang.trace import Structure
from descend.lang.weave import default_structure
from descend.lang.words import WORDS

MACHINES = ["x86_64", "aarch64", "riscv64"]
RULES = [*(cls.rule for cls in descend.optimizers().values()), arithmetic, conditions, host_words, reductions,
         rounding_free, transcendental]  # fmt: skip


def text_of(rule: Rule, machine: str = "x86_64", *, own: str = "float32", work: str = "float") -> str:
    program = build_program(rule, default_structure(rule))
    kept = "float64" if work == "double" else "float32"
    return render(program, Storage(work, tuple(own if s in "pg" else kept for s in program.streams)), machine)


def test_every_word_is_rendered():
    assert IR.keys() == WORDS.keys()


def test_every_dtype_is_read_and_written():
    assert LOAD.keys() == STORE.keys()
    assert {name for name, _ in LOAD} == CELL.keys()


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.name)
def test_the_text_is_valid_on_every_machine(rule, machine):
    for own, work in LOAD:
        module = _llvm().parse_assembly(text_of(rule, machine, own=own, work=work))
        module.verify()
        defined = {f.name for f in module.functions if not f.is_declaration}
        assert {"enter_0", "run_0", "finish_0", "stage_0", "pool_0", "commit"} <= defined


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.name)
def test_no_flag_lets_values_change(rule):
    """The one freedom is the order of a sum, which chunks fix again."""
    flags = {"fast", "nnan", "ninf", "nsz", "arcp", "contract", "afn", "reassoc"}
    found = [
        line
        for line in text_of(rule).splitlines()
        if flags & set(line.split()) and not re.match(r"\s*%sum\d+\.next = fadd reassoc nsz double", line)
    ]
    assert found == []


def test_each_dtype_has_a_text_of_its_own():
    assert len({text_of(descend.Adam.rule, own=own, work=work) for own, work in LOAD}) == len(LOAD)


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.name)
def test_another_process_writes_the_same_text(rule):
    """Or it compiles a kernel that lies in the store. Nodes hash by address: no set of them may give an order."""
    programs = [build_program.__wrapped__(rule, default_structure(rule)) for _ in range(5)]
    storages = [Storage("float", ("float32",) * len(program.streams)) for program in programs]
    assert len({render(p, s, "x86_64") for p, s in zip(programs, storages, strict=True)}) == 1


def test_a_pass_a_reduction():
    lamb = descend.LAMB.rule
    names = re.findall(r"define void @stage_(\d)", text_of(lamb))
    assert names == ["0", "1"]
    clipped = build_program(lamb, Structure(**{**vars(default_structure(lamb)), "clip_norm": True}))
    assert len(clipped.passes) == 3


@pytest.mark.parametrize("value", [0.1, -0.0, 1 / 3, 1e-45, 1e-300, 16777217.0, 3.4028235e38, math.inf, -math.inf])
def test_literals_are_rounded_once(value):
    assert literal(value, "double") == "0x" + struct.pack(">d", value).hex().upper()
    rounded = struct.unpack(">d", bytes.fromhex(literal(value, "float").removeprefix("0x")))[0]
    assert math.copysign(1, rounded) == math.copysign(1, value)
    assert rounded == (struct.unpack("f", struct.pack("f", value))[0] if math.isfinite(value) else value)


def test_a_literal_that_is_not_a_number():
    for kind in ("float", "double"):
        bits = bytes.fromhex(literal(math.nan, kind).removeprefix("0x"))
        assert math.isnan(struct.unpack(">d", bits)[0])


@pytest.mark.parametrize("value", [1e39, -1e300, 1.7e308])
def test_a_literal_beyond_float32_is_infinite(value):
    assert literal(value, "float") == literal(math.copysign(math.inf, value), "float")
