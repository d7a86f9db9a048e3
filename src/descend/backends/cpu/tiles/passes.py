"""Rendering of passes over tiles: rows and columns are known inside, and are reduced tile by tile."""

from descend.backends.cpu.body import Storage
from descend.backends.cpu.context import read_entry
from descend.backends.cpu.record import read_word
from descend.backends.cpu.reductions import NOTHING, join, name_join, name_partial, partial_kind
from descend.backends.cpu.tiles import template
from descend.backends.cpu.tiles.flat_span import FlatSpan
from descend.backends.cpu.tiles.groups import group_passes, list_begun, place_scratch
from descend.backends.cpu.tiles.layout import lay_out
from descend.backends.cpu.tiles.operands import Operands
from descend.backends.cpu.tiles.row_span import RowSpan
from descend.backends.cpu.tiles.tile_beginning import render_tile_beginning
from descend.lang.program import Pass, Program


def render_tiles(program: Program, step: Pass, storage: Storage) -> str:
    """The functions of one pass: its span over a tile, the walk over tiles, and the sums over slices."""
    tiles = Operands(program, step, storage, lay_out(program))
    span = FlatSpan(tiles) if tiles.layout.flat else RowSpan(tiles)
    parts = [span.render(), _render_tile(tiles)]
    group = next((g for g in group_passes(program) if g[0] == step.index), None)
    if group is not None:
        parts.append(_render_run(program, group))
    if step.index in list_begun(program):
        parts.append(render_tile_beginning(program, step, storage.work))
    if not tiles.layout.local:
        parts.append(_render_collect(tiles))
    return "\n".join(parts)


def render_functions(program: Program, work: str) -> str:
    """The functions that all passes of a program share.

    Args:
        program: the step.
        work: the type in which coordinates are computed.
    """
    layout = lay_out(program)
    kinds = {(name_join(n), kind) for n in layout.taken for kind in ("double", partial_kind(n, work))}
    parts = [
        template.FILL.format(suffix="", kind="double"),
        template.FILL.format(suffix="_float", kind="float"),
        template.WIDEN,
    ]
    for name, kind in sorted(kinds):
        own = name_partial(name, kind)
        parts.append(template.GATHER.format(name=own, kind=kind, join=join(name, "%z", "%x", "%y", kind)))
        if layout.flat:
            parts.append(template.HALVE.format(name=own, kind=kind))
    return "\n".join(parts)


def _render_run(program: Program, group: tuple[int, ...]) -> str:
    """The walk of one thread over its share of the tiles."""
    *_, size = place_scratch(program)
    return template.RUN.format(
        k=group[0],
        scratch=f"  %scratch = alloca i8, i64 {size}, align 64\n",
        columns=len(program.columns),
        slots=len(program.slots),
        fields=lay_out(program).fields,
        tiles="".join(template.CALL_TILE.format(k=k) for k in group),
    )


def _render_tile(tiles: Operands) -> str:
    """One pass over one tile."""
    operands, k = tiles.list_operands(), tiles.step.index
    return template.TILE.format(
        k=k,
        begin=template.CALL_BEGIN.format(k=k) if k in list_begun(tiles.program) else "",
        operands="".join(text for *_, text in operands),
        call="".join(f"{kind} {name}, " for kind, _, name, _ in operands),
    )


def _render_collect(tiles: Operands) -> str:
    """The adding up of the tiles' partial values."""
    homes, shares = [], []
    for i, node in enumerate(tiles.sliced):
        across = tiles.spans_columns(node)
        at = tiles.layout.share_field(node)
        name = name_join(node)
        homes.append(read_entry(f"h{i}", tiles.layout.buffer_column(node)))
        count = "1"
        for axis in tiles.layout.along(node.axes):
            homes.append(read_entry(f"n{i}.{axis}", tiles.layout.size_column(axis), "i64"))
            homes.append(f"  %l{i}.{axis} = mul i64 {count}, %n{i}.{axis}\n")
            count = f"%l{i}.{axis}"
        homes.append(f"  call void @fill(ptr %h{i}, double {NOTHING[name]}, i64 {count})\n")
        for offset, (field, kind) in enumerate((("q", "ptr"), ("from", "i64"), ("rows", "i64"))):
            shares.append(read_word(f"{field}{i}", "tile", at + offset, kind))
        if across:
            shares.append(read_word(f"c{i}", "tile", 2))
            shares.append(read_word(f"width{i}", "tile", 3))
            shares.append(f"  %m{i} = mul i64 %from{i}, %n{i}.{tiles.last}\n  %to{i} = add i64 %m{i}, %c{i}\n")
            call = f"i64 %rows{i}, i64 %width{i}, i64 %n{i}.{tiles.last}"
        else:
            shares.append(f"  %to{i} = add i64 %from{i}, 0\n")
            call = f"i64 1, i64 %rows{i}, i64 0"
        shares.append(f"  %ha{i} = getelementptr double, ptr %h{i}, i64 %to{i}\n")
        shares.append(f"  call void @gather_{name}(ptr %ha{i}, ptr %q{i}, {call})\n")
    return template.COLLECT.format(
        k=tiles.step.index, fields=tiles.layout.fields, homes="".join(homes), shares="".join(shares)
    )
