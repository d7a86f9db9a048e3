"""Rendering: a program becomes the text of one LLVM module.

For each pass ``k`` the module has

    enter_k(context)            fills this pass's columns of the uniform table and its tensor slots
    run_k(context, me, team)    one thread's share of the chunks; calls span_k for each
    span_k(streams..., n)       straight-line code over n coordinates of one tensor: the formula
    finish_k(context)           adds up the chunks' partial sums, in a fixed order
    share_k, pool_k             run_k on a thread of the OpenMP team, or of a pool, with the caller's float state
    stage_k(context)            all of it, the middle part on torch's own OpenMP team where threads > 1

and ``commit(context)``, which counts the step of every tensor that took it.

What the context holds is said in ``context``.
"""

from descend.backends.cpu import template, tile_passes
from descend.backends.cpu.beginning import render_beginning
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
from descend.backends.cpu.float_state import FLOAT_STATE, OWN_STATE
from descend.backends.cpu.reductions import JOIN, NOTHING, add_up, name_join
from descend.backends.cpu.words import CELL, declare
from descend.lang.graph import Rate, walk
from descend.lang.parameter_write import STOCHASTIC
from descend.lang.program import Pass, Program

CHUNK = 4096
"""Coordinates a chunk: shares end on chunk borders counted from each tensor's start, so that thread counts
cannot change bits. Measured at 4096 and 16384: the smaller is 1.8 times faster on a 55,000-coordinate network
and equal at GPT-2's size."""


IDLE = "define void @stage_{k}(ptr %ctx) {{\n  call void @enter_{k}(ptr %ctx)\n  ret void\n}}"
"""The stage of a pass that touches no memory: no threads are woken for it."""


def render(program: Program, storage: Storage, machine: str) -> str:
    """The text of a program's LLVM module.

    Args:
        program: the step.
        storage: dtypes of its streams.
        machine: the processor's family, ``"x86_64"`` or ``"aarch64"``; others keep each thread's own float state.
    """
    float_state = FLOAT_STATE.get(machine, OWN_STATE)
    parts = [float_state["declare"], declare(), tile_passes.render_functions(program) if program.axes else ""]
    for step in program.passes:
        if program.axes:
            parts.append(tile_passes.render_tiles(program, step, storage))
        else:
            parts += [_render_span(program, step, storage), _render_run(program, step, storage)]
        parts += [
            _render_enter(program, step, storage.work, float_state["remember"]),
            _render_finish(program, step),
            (template.STAGE if step.walks else IDLE).format(k=step.index, **float_state),
        ]
    at = program.inputs.index("t") if "t" in program.inputs else None
    advance = "" if at is None else template.ADVANCE
    parts.append(template.COMMIT.format(inputs=len(program.inputs), number=at or 0, advance=advance))
    return "\n".join(parts)


def _render_span(program: Program, step: Pass, storage: Storage) -> str:
    names = list_touched(program, step)
    prologue = read_scalars(program, step, storage)
    read_keys(prologue, program, step)
    body = Body(storage.work, operands=prologue.operands, prefix="%c")
    compute_coordinate(body, program, step, storage, "%x")
    sums = [add_up(body, node, i) for i, node in enumerate(step.reductions)]
    store_streams(body, program, step, storage)
    return template.SPAN.format(
        k=step.index,
        pointers="".join(f"ptr noalias nocapture %x.{n}, " for n in names) + _number(step),
        prologue=prologue.text(),
        phis="\n".join(
            f"  %sum{i} = phi {t} [ {z}, %entry ], [ %sum{i}.next, %loop ]" for i, (t, z) in enumerate(sums)
        ),
        body=body.text(),
        ends="\n".join(
            template.SUM_END[kind].format(i=i, slot=program.slots[node])
            for i, ((kind, _), node) in enumerate(zip(sums, step.reductions, strict=True))
        ),
    )


def _number(step: Pass) -> str:
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
        chunk=CHUNK,
        addresses="\n".join(addresses),
        pointers="".join(f"ptr %x.{n}, " for n in names) + _number(step),
        columns=len(program.columns),
        slots=len(program.slots),
    )


def _render_enter(program: Program, step: Pass, work: str, remember: str) -> str:
    rows = Body("double")
    known = frozenset((*program.totals, *program.group_sums))
    for node in walk(step.columns, cut=known):
        if node.op == "input" or node in program.group_sums:
            rows.read_scalar(node, "%x", program.inputs.index(program.group_sums.get(node, node.name)))
        elif node in known:
            rows.read_scalar(node, "%totals", program.totals[node])
        elif node.op != "const":
            rows.compute(node)
    for node in step.columns:
        rows.write_scalar(node, "%u", program.columns[node])
    return template.ENTER.format(
        k=step.index,
        remember=remember,
        rows=rows.text(),
        tensors=render_beginning(program, step, work),
        inputs=len(program.inputs),
        columns=len(program.columns),
        slots=len(program.slots),
    )


def _render_finish(program: Program, step: Pass) -> str:
    sums, names = [], set()
    for node in (n for n in step.reductions if n.rate is not Rate.SLICE):
        slot = program.slots[node]
        name = name_join(node)
        names.add(name)
        sums.append(template.CALL_JOIN.format(name=name, k=step.index, slot=slot))
        if node in program.totals:
            sums.append(template.TOTAL.format(slot=slot, total=program.totals[node]))
    if program.axes:
        sums.append(f"  call void @collect_{step.index}(ptr %ctx, i64 %j, i64 %begin, i64 %end)")
    functions = [
        template.JOIN_PARTIALS.format(
            name=n, k=step.index, slots=len(program.slots), nothing=NOTHING[n], join=JOIN[n].format("%sum", "%x")
        )
        for n in sorted(names)
    ]
    return template.FINISH.format(k=step.index, slots=len(program.slots), sums="\n".join(sums)) + "".join(functions)
