"""Rendering of passes over tiles: rows and columns are known inside, and are reduced tile by tile."""

from dataclasses import dataclass

from descend.backends.cpu import template, tile_template
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
from descend.backends.cpu.reductions import JOIN, NOTHING, add_up, name_join
from descend.backends.cpu.slices import SHARE_FIELDS, TILE_HEAD, SliceLayout, lay_out, list_read
from descend.backends.cpu.words import CELL
from descend.lang.graph import Node, Rate
from descend.lang.program import Pass, Program


def render_tiles(program: Program, step: Pass, storage: Storage) -> str:
    """The functions of one pass: its span over a tile, the walk over tiles, and the sums over slices."""
    tiles = _TilePass(program, step, storage, lay_out(program))
    return "\n".join([tiles.render_span(), tiles.render_run(), tiles.render_collect()])


def render_functions(program: Program) -> str:
    """The functions that all passes of a program share."""
    names = {name_join(n) for n in lay_out(program).taken}
    gathers = [tile_template.GATHER.format(name=n, join=JOIN[n].format("%x", "%y")) for n in sorted(names)]
    return "\n".join([tile_template.FUNCTIONS, *gathers])


@dataclass
class _TilePass:
    """One pass over tiles.

    In the text ``%x`` are streams, ``%y`` these from the present row on, ``%w`` slice values that are read, ``%q`` a
    tile's partial values of the reductions over slices, ``%n`` sizes along the axes, ``%at`` the row's indices there.
    """

    program: Program
    step: Pass
    storage: Storage
    layout: SliceLayout

    def __post_init__(self) -> None:
        self.streams = list_touched(self.program, self.step)
        self.read = list_read(self.step)
        self.sliced = [n for n in self.step.reductions if n.rate is Rate.SLICE]
        self.last = len(self.layout.axes) - 1

    def _spans_columns(self, node: Node) -> bool:
        return self.last in self.layout.along(node.axes)

    def _operands(self) -> list[tuple[str, str, str, str]]:
        """What a span is called with: type, attributes, name, and the text that finds it in the walk."""
        field = tile_template.FIELD
        found = []
        for name in self.streams:
            text = read_entry(f"x.{name}", ADDRESSES + self.program.streams.index(name))
            found.append(("ptr", " noalias nocapture", f"%x.{name}", text))
        for i, node in enumerate(self.read):
            text = read_entry(f"w{i}", self.layout.narrow_column(node))
            found.append(("ptr", " noalias nocapture readonly", f"%w{i}", text))
        for i, node in enumerate(self.sliced):
            at = TILE_HEAD + SHARE_FIELDS * self.layout.taken.index(node)
            for offset, (name, kind) in enumerate((("q", "ptr"), ("qfrom", "i64"), ("qrows", "i64"))):
                attributes = " noalias nocapture" if kind == "ptr" else ""
                text = field.format(name=f"{name}{i}", at=at + offset, kind=kind)
                found.append((kind, attributes, f"%{name}{i}", text))
        for axis in range(len(self.layout.axes)):
            text = read_entry(f"n{axis}", self.layout.size_column(axis), "i64")
            found.append(("i64", "", f"%n{axis}", text))
        for at, name in enumerate(("row.from", "row.to", "column.from", "width")):
            found.append(("i64", "", f"%{name}", field.format(name=name, at=at, kind="i64")))
        return found

    def render_run(self) -> str:
        """The walk of one thread over its share of the tiles."""
        operands = self._operands()
        return tile_template.RUN.format(
            k=self.step.index,
            columns=len(self.program.columns),
            slots=len(self.program.slots),
            fields=self.layout.fields,
            operands="".join(text for *_, text in operands),
            call="".join(f"{kind} {name}, " for kind, _, name, _ in operands),
        )

    def render_span(self) -> str:
        """The formula over the rows and columns of one tile."""
        prologue = read_scalars(self.program, self.step, self.storage)
        self._clear_shares(prologue)
        phis = self._start_indices(prologue)
        row = Body(self.storage.work, operands=dict(prologue.operands), prefix="%r")
        outer = self._find_outer(row)
        self._place_row(row, outer)
        body = Body(self.storage.work, operands=row.operands, prefix="%c")
        for i, node in enumerate(self.read):
            if self._spans_columns(node):
                self._read_narrow(body, node, f"%wr{i}", "%i")
        compute_coordinate(body, self.program, self.step, self.storage, "%y")
        end = Body("double", prefix="%e")
        sums: list[tuple[int, Node, str, str]] = []
        share = 0
        for i, node in enumerate(self.step.reductions):
            across = node.rate is Rate.SLICE and self._spans_columns(node)
            if across:
                self._add_to_column(body, node, i, share)
            else:
                sums.append((i, node, *add_up(body, node, i)))
            if node.rate is Rate.SLICE:
                if not across:
                    self._add_row(end, node, i, share)
                share += 1
        store_streams(body, self.program, self.step, self.storage)
        self._advance(end)
        whole = [(i, n, t, z) for i, n, t, z in sums if n.rate is not Rate.SLICE]
        return tile_template.SPAN.format(
            k=self.step.index,
            parameters="".join(f"{kind}{attributes} {name}, " for kind, attributes, name, _ in self._operands()),
            prologue=prologue.text(),
            row_phis="\n".join(
                [*phis, *(f"  %sofar{i} = phi {t} [ {z}, %entry ], [ %sum{i}.next, %row.end ]" for i, _, t, z in whole)]
            ),
            row=row.text(),
            phis="\n".join(
                f"  %sum{i} = phi {t} [ {z if n.rate is Rate.SLICE else f'%sofar{i}'}, %row ], [ %sum{i}.next, %loop ]"
                for i, n, t, z in sums
            ),
            body=body.text(),
            row_end=end.text(),
            ends="\n".join(template.SUM_END[t].format(i=i, slot=self.program.slots[n]) for i, n, t, _ in whole),
        )

    def _clear_shares(self, body: Body) -> None:
        """Append the setting of this tile's partial values to nothing."""
        for i, node in enumerate(self.sliced):
            width = "%width" if self._spans_columns(node) else "1"
            body.emit(f"%q{i}.n = mul i64 %qrows{i}, {width}")
            body.emit(f"call void @fill(ptr %q{i}, double {NOTHING[name_join(node)]}, i64 %q{i}.n)")

    def _start_indices(self, body: Body) -> list[str]:
        """Append where the first row lies along each axis but the last; returns the phis that count on."""
        rest, phis = "%row.from", []
        for axis in reversed(range(1, self.last)):
            body.emit(f"%at{axis}.from = urem i64 {rest}, %n{axis}")
            body.emit(f"%rest{axis} = udiv i64 {rest}, %n{axis}")
            rest = f"%rest{axis}"
            phis.append(f"  %at{axis} = phi i64 [ %at{axis}.from, %entry ], [ %at{axis}.next, %row.end ]")
        if self.last > 1:
            phis.append(f"  %at0 = phi i64 [ {rest}, %entry ], [ %at0.next, %row.end ]")
        return phis

    def _advance(self, body: Body) -> None:
        """Append the step from one row to the next along each axis but the last."""
        carry = "1"
        for axis in reversed(range(1, self.last)):
            body.emit(f"%at{axis}.up = add i64 %at{axis}, {carry}")
            body.emit(f"%at{axis}.full = icmp eq i64 %at{axis}.up, %n{axis}")
            body.emit(f"%at{axis}.next = select i1 %at{axis}.full, i64 0, i64 %at{axis}.up")
            body.emit(f"%carry{axis} = zext i1 %at{axis}.full to i64")
            carry = f"%carry{axis}"
        if self.last > 1:
            body.emit(f"%at0.next = add i64 %at0, {carry}")

    def _find_outer(self, body: Body) -> dict[tuple[int, ...], str]:
        """Append this row's number among the slices of each kind, the last axis left out."""
        rows = tuple(range(self.last))
        places = {(): "0", rows: "%r"}
        for node in (*self.read, *self.sliced):
            along = tuple(a for a in self.layout.along(node.axes) if a != self.last)
            if along in places:
                continue
            place = "0"
            for axis in along:
                name = body.name()
                body.emit(f"{name}.m = mul i64 {place}, %n{axis}")
                body.emit(f"{name} = add i64 {name}.m, %at{axis}")
                place = name
            places[along] = place
        return places

    def _outer(self, node: Node, outer: dict[tuple[int, ...], str]) -> str:
        return outer[tuple(a for a in self.layout.along(node.axes) if a != self.last)]

    def _place_row(self, body: Body, outer: dict[tuple[int, ...], str]) -> None:
        """Append where this row lies in each stream and each slice value; values of whole rows are read here."""
        dtypes = name_dtypes(self.program, self.storage)
        body.emit(f"%row.m = mul i64 %r, %n{self.last}")
        body.emit("%row.at = add i64 %row.m, %column.from")
        body.emit("%start = add i64 %row.at, 0")
        read_keys(body, self.program, self.step)
        for name in self.streams:
            cell = CELL[dtypes[name]]
            body.emit(f"%y.{name} = getelementptr {cell}, ptr %x.{name}, i64 %row.at")
        for i, node in enumerate(self.read):
            place = self._outer(node, outer)
            if not self._spans_columns(node):
                self._read_narrow(body, node, f"%w{i}", place)
                continue
            body.emit(f"%wm{i} = mul i64 {place}, %n{self.last}")
            body.emit(f"%wa{i} = add i64 %wm{i}, %column.from")
            body.emit(f"%wr{i} = getelementptr {self.storage.work}, ptr %w{i}, i64 %wa{i}")
        for i, node in enumerate(self.sliced):
            body.emit(f"%qo{i} = sub i64 {self._outer(node, outer)}, %qfrom{i}")
            width = "%width" if self._spans_columns(node) else "1"
            body.emit(f"%qm{i} = mul i64 %qo{i}, {width}")
            body.emit(f"%qr{i} = getelementptr double, ptr %q{i}, i64 %qm{i}")

    def _read_narrow(self, body: Body, node: Node, base: str, place: str) -> None:
        name = body.name()
        body.emit(f"{name}.a = getelementptr inbounds {self.storage.work}, ptr {base}, i64 {place}")
        body.emit(f"{name} = load {self.storage.work}, ptr {name}.a")
        if node.boolean:
            body.emit(f"{name}.b = fcmp une {self.storage.work} {name}, 0.0")
            name = f"{name}.b"
        body.operands[node] = name

    def _add_to_column(self, body: Body, node: Node, i: int, share: int) -> None:
        """Append one coordinate's share of a sum that lies in memory, one number a column."""
        body.emit(f"%qa{i} = getelementptr inbounds double, ptr %qr{share}, i64 %i")
        body.emit(f"%sum{i} = load double, ptr %qa{i}")
        add_up(body, node, i)
        body.emit(f"store double %sum{i}.next, ptr %qa{i}")

    def _add_row(self, body: Body, node: Node, i: int, share: int) -> None:
        """Append the adding of a row's sum to what its slice has so far."""
        body.emit(f"%old{i} = load double, ptr %qr{share}")
        body.emit(f"%new{i} = {JOIN[name_join(node)].format(f'%old{i}', f'%sum{i}.next')}")
        body.emit(f"store double %new{i}, ptr %qr{share}")

    def render_collect(self) -> str:
        """The adding up of the tiles' partial values."""
        homes, shares = [], []
        for i, node in enumerate(self.sliced):
            across = self._spans_columns(node)
            at = TILE_HEAD + SHARE_FIELDS * self.layout.taken.index(node)
            name = name_join(node)
            homes.append(read_entry(f"h{i}", self.layout.buffer_column(node)))
            count = "1"
            for axis in self.layout.along(node.axes):
                homes.append(read_entry(f"n{i}.{axis}", self.layout.size_column(axis), "i64"))
                homes.append(f"  %l{i}.{axis} = mul i64 {count}, %n{i}.{axis}\n")
                count = f"%l{i}.{axis}"
            homes.append(f"  call void @fill(ptr %h{i}, double {NOTHING[name]}, i64 {count})\n")
            for offset, (field, kind) in enumerate((("q", "ptr"), ("from", "i64"), ("rows", "i64"))):
                shares.append(tile_template.FIELD.format(name=f"{field}{i}", at=at + offset, kind=kind))
            if across:
                shares.append(tile_template.FIELD.format(name=f"c{i}", at=2, kind="i64"))
                shares.append(tile_template.FIELD.format(name=f"width{i}", at=3, kind="i64"))
                shares.append(f"  %m{i} = mul i64 %from{i}, %n{i}.{self.last}\n  %to{i} = add i64 %m{i}, %c{i}\n")
                call = f"i64 %rows{i}, i64 %width{i}, i64 %n{i}.{self.last}"
            else:
                shares.append(f"  %to{i} = add i64 %from{i}, 0\n")
                call = f"i64 1, i64 %rows{i}, i64 0"
            shares.append(f"  %ha{i} = getelementptr double, ptr %h{i}, i64 %to{i}\n")
            shares.append(f"  call void @gather_{name}(ptr %ha{i}, ptr %q{i}, {call})\n")
        return tile_template.COLLECT.format(
            k=self.step.index, fields=self.layout.fields, homes="".join(homes), shares="".join(shares)
        )
