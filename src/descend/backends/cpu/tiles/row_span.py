"""Rendering of a span over a tile row by row: its innermost loop runs along the last axis."""

from descend.backends.cpu.body import Body
from descend.backends.cpu.coordinates import compute_coordinate, name_dtypes, read_keys, read_scalars, store_streams
from descend.backends.cpu.reductions import (
    NOTHING,
    accumulator,
    add_up,
    hand_over,
    join,
    name_join,
    partial_kind,
    take_share,
)
from descend.backends.cpu.tiles import template
from descend.backends.cpu.tiles.operands import Operands
from descend.backends.cpu.tiles.tiling import WIDEST
from descend.backends.cpu.words import CELL
from descend.lang.graph import Node, Rate


class RowSpan:
    """One span. In the text ``%y`` are streams from the present row on, ``%at`` the row's indices along the axes.

    Args:
        tiles: what it works on.
    """

    def __init__(self, tiles: Operands) -> None:
        self.tiles = tiles
        self.program, self.step, self.storage, self.layout = tiles.program, tiles.step, tiles.storage, tiles.layout
        work, columns = self.storage.work, (tiles.last,)
        self.tops = {
            share  # largest numbers of columns that stay in the work type until the tile has ended
            for share, node in enumerate(tiles.sliced)
            if partial_kind(node, work) == "float" and self.layout.along(node.axes) == columns
        }

    def render(self) -> str:
        """The formula over the rows and columns of one tile."""
        prologue = read_scalars(self.program, self.step, self.storage)
        self.tiles.clear_shares(prologue)
        self._open_tops(prologue)
        phis = self._start_indices(prologue)
        row = Body(self.storage.work, operands=dict(prologue.operands), prefix="%r")
        outer = self._find_outer(row)
        self._place_row(row, outer)
        body = Body(self.storage.work, operands=row.operands, prefix="%c")
        for i, node in enumerate(self.tiles.read):
            if self.tiles.spans_columns(node):
                body.read(node, f"%wr{i}", "%i", self.storage.work)
        compute_coordinate(body, self.program, self.step, self.storage, "%y")
        end, ends = Body("double", prefix="%e"), Body(self.storage.work, prefix="%z")
        self._close_tops(ends)
        row_phis, inner_phis = phis, list[str]()
        for i, node in enumerate(self.step.reductions):
            share = self.tiles.sliced.index(node) if node.rate is Rate.SLICE else None
            if share is not None and self.tiles.spans_columns(node):
                self._add_to_column(body, node, i, share)
                continue
            add_up(body, node, i)
            kind, nothing = accumulator(node, self.storage.work)
            if share is None:
                row_phis.append(f"  %sofar{i} = phi {kind} [ {nothing}, %entry ], [ %sum{i}.next, %row.end ]")
                nothing = f"%sofar{i}"
                hand_over(ends, node, f"%sum{i}.next", self.program.slots[node])
            else:
                self._add_row(end, node, i, share)
            inner_phis.append(f"  %sum{i} = phi {kind} [ {nothing}, %row ], [ %sum{i}.next, %loop ]")
        store_streams(body, self.program, self.step, self.storage)
        self._advance(end)
        return template.ROW_SPAN.format(
            k=self.step.index,
            parameters=self.tiles.parameters(),
            prologue=prologue.text(),
            row_phis="\n".join(row_phis),
            row=row.text(),
            phis="\n".join(inner_phis),
            body=body.text(),
            row_end=end.text(),
            ends=ends.text(),
        )

    def _open_tops(self, body: Body) -> None:
        for share in self.tops:
            body.emit(f"%top{share} = alloca float, i64 {WIDEST}, align 64")
            body.emit(f"call void @fill_float(ptr %top{share}, float {NOTHING['largest']}, i64 %width)")

    def _close_tops(self, body: Body) -> None:
        for share in sorted(self.tops):
            body.emit(f"call void @widen(ptr %q{share}, ptr %top{share}, i64 %width)")

    def _start_indices(self, body: Body) -> list[str]:
        """Append where the first row lies along each axis but the last; returns the phis that count on."""
        rest, phis = "%row.from", []
        for axis in reversed(range(1, self.tiles.last)):
            body.emit(f"%at{axis}.from = urem i64 {rest}, %n{axis}")
            body.emit(f"%rest{axis} = udiv i64 {rest}, %n{axis}")
            rest = f"%rest{axis}"
            phis.append(f"  %at{axis} = phi i64 [ %at{axis}.from, %entry ], [ %at{axis}.next, %row.end ]")
        if self.tiles.last > 1:
            phis.append(f"  %at0 = phi i64 [ {rest}, %entry ], [ %at0.next, %row.end ]")
        return phis

    def _advance(self, body: Body) -> None:
        """Append the step from one row to the next along each axis but the last."""
        carry = "1"
        for axis in reversed(range(1, self.tiles.last)):
            body.emit(f"%at{axis}.up = add i64 %at{axis}, {carry}")
            body.emit(f"%at{axis}.full = icmp eq i64 %at{axis}.up, %n{axis}")
            body.emit(f"%at{axis}.next = select i1 %at{axis}.full, i64 0, i64 %at{axis}.up")
            body.emit(f"%carry{axis} = zext i1 %at{axis}.full to i64")
            carry = f"%carry{axis}"
        if self.tiles.last > 1:
            body.emit(f"%at0.next = add i64 %at0, {carry}")

    def _find_outer(self, body: Body) -> dict[tuple[int, ...], str]:
        """Append this row's number among the slices of each kind, the last axis left out."""
        rows = tuple(range(self.tiles.last))
        places = {(): "0", rows: "%r"}
        for node in (*self.tiles.read, *self.tiles.sliced):
            along = tuple(a for a in self.layout.along(node.axes) if a != self.tiles.last)
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
        return outer[tuple(a for a in self.layout.along(node.axes) if a != self.tiles.last)]

    def _place_row(self, body: Body, outer: dict[tuple[int, ...], str]) -> None:
        """Append where this row lies in each stream and each slice value; values of whole rows are read here."""
        dtypes = name_dtypes(self.program, self.storage)
        body.emit(f"%row.m = mul i64 %r, %n{self.tiles.last}")
        body.emit("%row.at = add i64 %row.m, %column.from")
        body.emit("%start = add i64 %row.at, 0")
        read_keys(body, self.program, self.step)
        for name in self.tiles.streams:
            cell = CELL[dtypes[name]]
            body.emit(f"%y.{name} = getelementptr {cell}, ptr %x.{name}, i64 %row.at")
        for i, node in enumerate(self.tiles.read):
            place = self._outer(node, outer)
            if not self.tiles.spans_columns(node):
                body.read(node, f"%w{i}", place, self.storage.work)
                continue
            body.emit(f"%wm{i} = mul i64 {place}, %n{self.tiles.last}")
            body.emit(f"%wa{i} = add i64 %wm{i}, %column.from")
            body.emit(f"%wr{i} = getelementptr {self.storage.work}, ptr %w{i}, i64 %wa{i}")
        for i, node in enumerate(self.tiles.sliced):
            body.emit(f"%qo{i} = sub i64 {self._outer(node, outer)}, %qfrom{i}")
            width = "%width" if self.tiles.spans_columns(node) else "1"
            body.emit(f"%qm{i} = mul i64 %qo{i}, {width}")
            body.emit(f"%qr{i} = getelementptr double, ptr %q{i}, i64 %qm{i}")

    def _add_to_column(self, body: Body, node: Node, i: int, share: int) -> None:
        """Append one coordinate's share of a sum that lies in memory, one number a column."""
        top = share in self.tops
        kind, base = (self.storage.work, f"%top{share}") if top else ("double", f"%qr{share}")
        body.emit(f"%qa{i} = getelementptr inbounds {kind}, ptr {base}, i64 %i")
        body.emit(f"%sum{i} = load {kind}, ptr %qa{i}")
        if node.name == "largest":
            value = body.operand(node.args[0]) if top else take_share(body, node)
            body.emit(join("largest", f"%sum{i}.next", f"%sum{i}", value, kind))
        else:
            add_up(body, node, i)
        body.emit(f"store {kind} %sum{i}.next, ptr %qa{i}")

    def _add_row(self, body: Body, node: Node, i: int, share: int) -> None:
        """Append the adding of a row's sum to what its slice has so far."""
        body.emit(f"%old{i} = load double, ptr %qr{share}")
        value = body.widen(partial_kind(node, self.storage.work), f"%sum{i}.next")
        body.emit(join(name_join(node), f"%new{i}", f"%old{i}", value))
        body.emit(f"store double %new{i}, ptr %qr{share}")
