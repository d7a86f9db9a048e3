"""The straight-line part of a span: what is done to one coordinate, in a loop over a chunk or over a tile's rows."""

from descend.backends.cpu import rounding
from descend.backends.cpu.body import Body, Storage
from descend.backends.cpu.words import CELL, LOAD, STORE
from descend.lang.graph import Rate
from descend.lang.parameter_write import NEAREST, STOCHASTIC
from descend.lang.program import Pass, Program


def list_touched(program: Program, step: Pass) -> list[str]:
    """The streams that a pass reads or writes."""
    touched = {*step.loads, *(name for name, _ in step.stores)}
    return [s for s in program.streams if s in touched]


def name_dtypes(program: Program, storage: Storage) -> dict[str, str]:
    """The dtype name of each stream."""
    return dict(zip(program.streams, storage.streams, strict=True))


def read_scalars(program: Program, step: Pass, storage: Storage) -> Body:
    """The reading of what a pass's coordinates need from the uniform table and the tensor's slots."""
    used = {a for n in step.body for a in n.args} | {n for _, n in step.stores}
    prologue = Body(storage.work)
    for node in (n for n in program.columns if n in used):
        prologue.read(node, "%u", program.columns[node])
    for node in (n for n in program.slots if n in used and n.rate is Rate.TENSOR):
        prologue.read(node, "%s", program.slots[node])
    return prologue


def read_keys(body: Body, program: Program, step: Pass) -> None:
    """Append the making of the keys of random bits, from the number ``%start`` of the first coordinate."""
    for node in (n for n in step.body if n.op == STOCHASTIC):
        body.emit(rounding.read_keys(f"{body.name()}.d", "%s", program.slots[node.args[1]]))


def compute_coordinate(body: Body, program: Program, step: Pass, storage: Storage, base: str) -> None:
    """Append the loads of a coordinate and the formula.

    Args:
        body: of the loop over ``%i``.
        program: the step.
        step: the pass.
        storage: dtypes of the streams.
        base: what the names of the streams' addresses begin with.
    """
    dtypes = name_dtypes(program, storage)
    for name in list_touched(program, step):
        body.emit(f"%a.{name} = getelementptr inbounds {CELL[dtypes[name]]}, ptr {base}.{name}, i64 %i")
    for name in step.loads:
        body.emit(LOAD[dtypes[name], storage.work].format(r=f"%in.{name}", a=f"%a.{name}"))
    for node in step.body:
        if node in step.reloads or node.op == "input":
            body.operands[node] = f"%in.{step.reloads.get(node, node.name)}"
        elif node.op in (NEAREST, STOCHASTIC):
            body.operands[node] = rounding.round_value(body, node, dtypes["p"])
        else:
            body.compute(node)


def store_streams(body: Body, program: Program, step: Pass, storage: Storage) -> None:
    """Append the writing of what is new."""
    dtypes = name_dtypes(program, storage)
    for name, node in step.stores:
        body.emit(STORE[dtypes[name], storage.work].format(x=body.operand(node), a=f"%a.{name}"))
