"""Rendering: a program becomes the text of one LLVM module.

For each pass ``k`` the module has

    enter_k(context)            fills this pass's columns of the uniform table; calls tensor_k for each tensor
    tensor_k(context, j, row)   fills tensor j's slots, and computes values of its rows and columns
    run_k(context, me, team)    one thread's share of the chunks; calls span_k for each
    span_k(streams..., n)       straight-line code over n coordinates of one tensor: the formula
    finish_k(context)           adds up the chunks' partial sums, in a fixed order
    share_k, pool_k             run_k on a thread of the OpenMP team, or of a pool, with the caller's float state
    stage_k(context)            all of it, the middle part on torch's own OpenMP team where threads > 1

and ``commit(context)``, which counts the step of every tensor that took it.

What the context holds is said in ``context``.
"""

from descend.backends.cpu import chunk_passes, template
from descend.backends.cpu.body import Body, Storage
from descend.backends.cpu.float_state import FLOAT_STATE, OWN_STATE
from descend.backends.cpu.reductions import NOTHING, join, name_join
from descend.backends.cpu.tiles.groups import group_passes
from descend.backends.cpu.tiles.layout import lay_out
from descend.backends.cpu.tiles.passes import render_functions, render_tiles
from descend.backends.cpu.tiles.tensor_beginning import render_tensor_beginning
from descend.backends.cpu.words import declare
from descend.lang.graph import Rate, walk
from descend.lang.program import Pass, Program


def render(program: Program, storage: Storage, machine: str) -> str:
    """The text of a program's LLVM module.

    Args:
        program: the step.
        storage: dtypes of its streams.
        machine: the processor's family, ``"x86_64"`` or ``"aarch64"``; others keep each thread's own float state.
    """
    float_state = FLOAT_STATE.get(machine, OWN_STATE)
    parts = [
        float_state["declare"],
        declare(),
        render_functions(program, storage.work) if program.axes else "",
    ]
    followers = {group[0]: group[1:] for group in group_passes(program)}
    for step in program.passes:
        if program.axes:
            parts.append(render_tiles(program, step, storage))
        else:
            parts.append(chunk_passes.render_chunks(program, step, storage))
        after = followers.get(step.index, ())
        parts += [
            _render_enter(program, step, storage.work, float_state["remember"], after),
            _render_finish(program, step, after),
        ]
        if step.index in followers:
            parts.append((template.STAGE if step.walks else template.IDLE).format(k=step.index, **float_state))
    at = program.inputs.index("t") if "t" in program.inputs else None
    advance = "" if at is None else template.ADVANCE
    parts.append(template.COMMIT.format(inputs=len(program.inputs), number=at or 0, advance=advance))
    return "\n".join(parts)


def _render_enter(program: Program, step: Pass, work: str, remember: str, after: tuple[int, ...]) -> str:
    rows = Body("double")
    known = frozenset((*program.totals, *program.group_sums))
    for node in walk(step.columns, cut=known):
        if node.op == "input" or node in program.group_sums:
            rows.read(node, "%x", program.inputs.index(program.group_sums.get(node, node.name)))
        elif node in known:
            rows.read(node, "%totals", program.totals[node])
        elif node.op != "const":
            rows.compute(node)
    for node in step.columns:
        rows.write(node, "%u", program.columns[node])
    return template.ENTER.format(
        k=step.index,
        remember=remember,
        also="".join(template.CALL.format(name="enter", k=k) for k in after),
        rows=rows.text(),
        tensors=render_tensor_beginning(program, step, work),
        inputs=len(program.inputs),
        columns=len(program.columns),
        slots=len(program.slots),
    )


def _render_finish(program: Program, step: Pass, after: tuple[int, ...]) -> str:
    sums, names = [], set()
    for node in (n for n in step.reductions if n.rate is not Rate.SLICE):
        slot = program.slots[node]
        name = name_join(node)
        names.add(name)
        sums.append(template.CALL_JOIN.format(name=name, k=step.index, slot=slot))
        if node in program.totals:
            sums.append(template.TOTAL.format(slot=slot, total=program.totals[node]))
    if program.axes and not lay_out(program).local:
        sums.append(f"  call void @collect_{step.index}(ptr %ctx, i64 %j, i64 %begin, i64 %end)")
    functions = [
        template.JOIN_PARTIALS.format(
            name=n, k=step.index, slots=len(program.slots), nothing=NOTHING[n], join=join(n, "%sum.next", "%sum", "%x")
        )
        for n in sorted(names)
    ]
    also = "".join(template.CALL.format(name="finish", k=k) for k in after)
    text = template.FINISH.format(k=step.index, slots=len(program.slots), sums="\n".join(sums), also=also)
    return text + "".join(functions)
