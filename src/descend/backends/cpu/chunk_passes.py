"""Rendering of passes over chunks: consecutive coordinates of one tensor, where nothing depends on rows or columns."""

from descend.backends.cpu import template
from descend.backends.cpu.body import Body, Storage
from descend.backends.cpu.context import ADDRESSES, read_entry
from descend.backends.cpu.coordinates import (
    compute_coordinate,
    list_touched,
    name_dtypes,
    read_keys,
    read_scalars,
    store_streams,
)
from descend.backends.cpu.reductions import accumulator, add_up, hand_over
from descend.backends.cpu.words import CELL
from descend.lang.parameter_write import STOCHASTIC
from descend.lang.program import Pass, Program

CHUNK = 4096
"""Coordinates a chunk: shares end on chunk borders counted from each tensor's start, so that thread counts
cannot change bits. Measured at 4096 and 16384: the smaller is 1.8 times faster on a 55,000-coordinate network
and equal at GPT-2's size."""


def render_chunks(program: Program, step: Pass, storage: Storage) -> str:
    """The functions of one pass: its span over a chunk, and the walk over chunks."""
    return "\n".join([_render_span(program, step, storage), _render_run(program, step, storage)])


def _render_span(program: Program, step: Pass, storage: Storage) -> str:
    names = list_touched(program, step)
    prologue = read_scalars(program, step, storage)
    read_keys(prologue, program, step)
    body = Body(storage.work, operands=prologue.operands, prefix="%c")
    compute_coordinate(body, program, step, storage, "%x")
    ends = Body(storage.work, prefix="%e")
    phis = []
    for i, node in enumerate(step.reductions):
        kind, nothing = accumulator(node, storage.work)
        phis.append(f"  %sum{i} = phi {kind} [ {nothing}, %entry ], [ %sum{i}.next, %loop ]")
        add_up(body, node, i)
        hand_over(ends, node, f"%sum{i}.next", program.slots[node])
    store_streams(body, program, step, storage)
    return template.SPAN.format(
        k=step.index,
        pointers="".join(f"ptr noalias nocapture %x.{n}, " for n in names) + _pass_start(step),
        prologue=prologue.text(),
        phis="\n".join(phis),
        body=body.text(),
        ends=ends.text(),
    )


def _pass_start(step: Pass) -> str:
    """The argument that says which coordinate of its tensor a span's first is, for passes that use it."""
    return "i64 %start, " if any(n.op == STOCHASTIC for n in step.body) else ""


def _render_run(program: Program, step: Pass, storage: Storage) -> str:
    names = list_touched(program, step)
    dtypes = name_dtypes(program, storage)
    addresses = [
        read_entry(f"base.{n}", ADDRESSES + program.streams.index(n))
        + f"  %x.{n} = getelementptr {CELL[dtypes[n]]}, ptr %base.{n}, i64 %start"
        for n in names
    ]
    return template.RUN.format(
        k=step.index,
        scratch="",
        chunk=CHUNK,
        addresses="\n".join(addresses),
        pointers="".join(f"ptr %x.{n}, " for n in names) + _pass_start(step),
        columns=len(program.columns),
        slots=len(program.slots),
    )
