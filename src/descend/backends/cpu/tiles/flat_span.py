"""Rendering of a span over a tile whose last axes are short: the formula runs over stretches of coordinates.

A row of three coordinates, as a 3 x 3 convolution has them, costs more to begin than to compute. Here slice values are
laid out in memory for each coordinate of a stretch first, the formula runs over the stretch as over a chunk, and what
is added up over slices is put together from memory afterwards; each of these loops runs along a long axis.
"""

import math

from descend.backends.cpu.coordinates import compute_coordinate, name_dtypes, read_keys, read_scalars, store_streams
from descend.backends.cpu.reductions import (
    NOTHING,
    accumulator,
    add_up,
    hand_over,
    join,
    name_join,
    name_partial,
    partial_kind,
    take_share,
)
from descend.backends.cpu.tiles import template
from descend.backends.cpu.tiles.groups import place_scratch
from descend.backends.cpu.tiles.nest import Nest, Place
from descend.backends.cpu.tiles.operands import Operands
from descend.backends.cpu.tiles.short_axes import GROUP, STRETCH
from descend.backends.cpu.tiles.shuffles import SPARE, Pattern, fill_group
from descend.backends.cpu.words import CELL
from descend.lang.graph import Node, Rate


class FlatSpan:
    """One span.

    In the text ``%i`` counts the coordinates of a stretch, ``%y`` are streams from its first on, ``%e`` slice values
    laid out along it, ``%d`` what is to be put together over slices.

    Args:
        tiles: what it works on.
    """

    def __init__(self, tiles: Operands) -> None:
        self.tiles = tiles
        self.program, self.step, self.storage, self.layout = tiles.program, tiles.step, tiles.storage, tiles.layout
        self.inner, axes = self.layout.inner, range(len(self.layout.axes))
        self.every, self.along = axes, list(axes[self.inner :])
        self.sizes = [f"%n{a}" for a in axes]
        if self.layout.short:
            self.sizes[self.inner + 1 :] = map(str, self.layout.short)
        self.body = read_scalars(self.program, self.step, self.storage)
        self.outer = Nest(self.body, "at", axes, self.inner, self.sizes)
        self.laid = [n for n in tiles.read if self._differs(n)]
        self.spread = [n for n in tiles.sliced if self._differs(n)]
        numbers = {key: j for j, key in enumerate(dict.fromkeys(map(_identify_value, self.spread)))}
        self.numbers = {n: numbers[_identify_value(n)] for n in self.spread}  # of their ``%d``
        self.values = {j: n for n, j in self.numbers.items()}  # one of them for each
        self.registers = [(i, n) for i, n in enumerate(self.step.reductions) if n not in self.spread]

    def _accumulator(self, node: Node) -> tuple[str, str]:
        return accumulator(node, self.storage.work)

    def _partial_kind(self, node: Node) -> str:
        return partial_kind(node, self.storage.work)

    def _differs(self, node: Node) -> bool:
        """Whether a slice value differs within a stretch."""
        return any(a >= self.inner for a in self.layout.along(node.axes))

    def render(self) -> str:
        """The text of the span."""
        body, work = self.body, self.storage.work
        self.tiles.clear_shares(body)
        for i in range(len(self.laid)):
            body.emit(f"%e{i} = alloca {work}, i64 {STRETCH + SPARE}, align 64")
        for j in range(len(self.values)):
            body.emit(f"%d{j} = alloca {self._partial_kind(self.values[j])}, i64 {STRETCH + SPARE}, align 64")
        cells = [(i, n, *self._accumulator(n)) for i, n in self.registers if n.rate is not Rate.SLICE]
        for i, _, kind, nothing in cells:
            body.emit(f"%cell{i} = alloca {kind}")
            body.emit(f"store {kind} {nothing}, ptr %cell{i}")
        self._open_stretch()
        self._lay_out()
        self._run(cells)
        self._put_together()
        self.outer.close_outer()
        for i, node, kind, _ in cells:
            body.emit(f"%all{i} = load {kind}, ptr %cell{i}")
            hand_over(body, node, f"%all{i}", self.program.slots[node])
        return template.FLAT_SPAN.format(k=self.step.index, parameters=self.tiles.parameters(), text=body.text())

    def _open_stretch(self) -> None:
        """Append the loops over stretches: blocks of indices along one axis, for each index along those before it."""
        body, outer, before = self.body, self.outer, self.every[: self.inner]
        body.emit(f"%behind = add i64 {outer.multiply(self.along[1:])}, 0")
        body.emit(f"%length = {self._find_length()}")
        rows = outer.multiply(self.along[:-1] if before else self.along[1:-1])  # of what tiles hold whole
        body.emit(f"%tile.from = udiv i64 %row.from, {rows}")
        body.emit(f"%tile.to = udiv i64 %row.to, {rows}")
        whole = "%tile.from", "%tile.to"
        if before:
            outer.split(outer.open_loop("o", *whole), before)
            whole = "0", self.sizes[self.inner]
        self.block = first, end = outer.open_blocks(*whole, "%length")
        body.emit(f"%count = sub i64 {end}, {first}")
        body.emit("%n = mul i64 %count, %behind")
        body.emit(f"%skipped = mul i64 {first}, %behind")
        body.emit(f"%start = add i64 {outer.locate(self.every)[0]}, %skipped")

    def _find_length(self) -> str:
        """How many indices along the long axis a stretch has."""
        if self.layout.short:
            return f"add i64 0, {STRETCH // math.prod(self.layout.short) // GROUP * GROUP}"
        return f"udiv i64 {STRETCH}, %behind"

    def _nest(self, label: str, block: tuple[str, str]) -> Nest:
        """Append loops over a stretch, or its first indices; the innermost, along the long axis, is not open yet."""
        nest = Nest(self.body, label, self.along, self.inner, self.sizes, dict(self.outer.at))
        nest.open_behind(block)
        return nest

    def _find_in_stretch(self, nest: Nest) -> Place:
        """Append where a loop's coordinates lie in the stretch."""
        first, distance = nest.locate(self.along)
        name = self.body.name()
        self.body.emit(f"{name} = sub i64 {first}, %skipped")
        return name, distance

    def _lay_out(self) -> None:
        """Append the reading of slice values: the same for a stretch, or laid out for its coordinates."""
        body, work = self.body, self.storage.work
        for i, node in enumerate(self.tiles.read):
            if node not in self.laid:
                body.read(node, f"%w{i}", self.outer.locate(self.layout.along(node.axes))[0], work)
        if not self.laid:
            return
        if self.layout.short:
            self._lay_out_by_shuffles()
            return
        nest = self._nest("lay", self.block)
        places = [nest.locate(self.layout.along(node.axes)) for node in self.laid]
        target = self._find_in_stretch(nest)
        index = nest.open_inner()
        at = nest.step_to(index, target)
        for j, (node, place) in enumerate(zip(self.laid, places, strict=True)):
            i = self.tiles.read.index(node)
            value = body.load(work, f"%w{i}", nest.step_to(index, place))
            body.store(work, value, f"%e{j}", at)
        nest.close_inner()
        nest.close_outer()

    def _lay_out_by_shuffles(self) -> None:
        for j, node in enumerate(self.laid):
            along = self.inner in self.layout.along(node.axes)
            first = self._find_first(node)
            if node in place_scratch(self.program)[1]:  # begins with the tile's first slice, not the tensor's
                name = self.body.name()
                self.body.emit(f"{name}.m = mul i64 %tile.from, {self.layout.count_short(node.axes)}")
                self.body.emit(f"{name} = sub i64 {first}, {name}.m")
                first = name
            start, work = self.body.name(), self.storage.work
            self.body.emit(f"{start} = getelementptr {work}, ptr %w{self.tiles.read.index(node)}, i64 {first}")
            pattern = Pattern(self.layout.list_short(node.axes))
            pattern.lay_out(self.body, f"lay{j}", work, start, f"%e{j}", "%count", along=along)

    def _find_first(self, node: Node) -> str:
        """Append where a value's first slice of a stretch lies."""
        place, distance = self.outer.locate(self.layout.along(node.axes))
        name = self.body.name()
        self.body.emit(f"{name}.m = mul i64 {self.block[0]}, {distance}")
        self.body.emit(f"{name} = add i64 {place}, {name}.m")
        return name

    def _run(self, cells: list[tuple[int, Node, str, str]]) -> None:
        """Append the formula over a stretch."""
        body, dtypes = self.body, name_dtypes(self.program, self.storage)
        read_keys(body, self.program, self.step)
        for name in self.tiles.streams:
            body.emit(f"%y.{name} = getelementptr {CELL[dtypes[name]]}, ptr %x.{name}, i64 %start")
        for i, _, kind, _ in cells:
            body.emit(f"%sofar{i} = load {kind}, ptr %cell{i}")
        whole = {i for i, *_ in cells}
        sums = [(f"%sum{i}", kind, f"%sofar{i}" if i in whole else nothing)
                for i, n in self.registers for kind, nothing in [self._accumulator(n)]]  # fmt: skip
        loop = Nest(body, "run", (0,), 0, ["%n"])
        loop.open_outer()
        body.emit(f"%i = add i64 {loop.open_inner(sums)}, 0")
        for j, node in enumerate(self.laid):
            body.read(node, f"%e{j}", "%i", self.storage.work)
        compute_coordinate(body, self.program, self.step, self.storage, "%y")
        for i, node in self.registers:
            add_up(body, node, i)
        for j, node in self.values.items():
            kind = self._partial_kind(node)
            value = take_share(body, node) if kind == "double" else body.operand(node.args[0])
            body.store(kind, value, f"%d{j}", "%i")
        store_streams(body, self.program, self.step, self.storage)
        loop.close_inner()
        for i, _, kind, _ in cells:
            body.emit(f"store {kind} %sum{i}, ptr %cell{i}")

    def _put_together(self) -> None:
        """Append the adding of a stretch's values to the tile's partial ones: first those that need them one by one."""
        for i, node in self.registers:
            if node.rate is Rate.SLICE:
                place = self._partial(node, self.outer.locate(self.layout.along(node.axes))[0])
                self._join(node, place, f"%sum{i}", self._accumulator(node)[0])
        crossing = [n for n in self.spread if self.inner in self.layout.along(n.axes)]
        if crossing and self.layout.short:
            self._put_together_by_shuffles(crossing)
        elif crossing:
            self._put_together_one_by_one(crossing)
        self._put_together_by_halves([n for n in self.spread if n not in crossing])

    def _put_together_by_shuffles(self, crossing: list[Node]) -> None:
        assert self.layout.short is not None
        for j, node in {self.numbers[n]: n for n in crossing}.items():
            nothing, count = NOTHING[name_join(node)], math.prod(self.layout.short)
            fill_group(self.body, f"%d{j}", nothing, "%count", count, self._partial_kind(node))
        for node in crossing:
            share, name, kind = self.tiles.sliced.index(node), name_join(node), self._partial_kind(node)
            place = self._partial(node, self._find_first(node))
            target = self.body.name()
            self.body.emit(f"{target} = getelementptr double, ptr %q{share}, i64 {place}")
            pattern = Pattern(self.layout.list_short(node.axes))
            pattern.put_together(self.body, f"put{share}", name, f"%d{self.numbers[node]}", target, "%count", kind)

    def _put_together_one_by_one(self, crossing: list[Node]) -> None:
        """Append a loop over the elements for slices that differ along the long axis."""
        body, nest, places = self.body, self._nest("put", self.block), []
        for node in crossing:
            base, stride = nest.locate(self.layout.along(node.axes))
            places.append((self._partial(node, base), stride))
        source = self._find_in_stretch(nest)
        index = nest.open_inner()
        at = nest.step_to(index, source)
        numbers = {self.numbers[n]: self._partial_kind(n) for n in crossing}
        values = {j: body.load(kind, f"%d{j}", at) for j, kind in numbers.items()}
        for node, place in zip(crossing, places, strict=True):
            self._join(node, nest.step_to(index, place), values[self.numbers[node]], numbers[self.numbers[node]])
        nest.close_inner()
        nest.close_outer()

    def _put_together_by_halves(self, still: list[Node]) -> None:
        """Append the joining of all indices along the long axis, for slices that do not differ along it."""
        for j, node in {self.numbers[n]: n for n in still}.items():
            own = name_partial(name_join(node), self._partial_kind(node))
            self.body.emit(f"call void @halve_{own}(ptr %d{j}, i64 %count, i64 %behind)")
        for node in still:
            nest = self._nest(f"last{self.tiles.sliced.index(node)}", ("0", "1"))
            place = self._partial(node, nest.locate(self.layout.along(node.axes))[0])
            kind = self._partial_kind(node)
            value = self.body.load(kind, f"%d{self.numbers[node]}", nest.locate(self.along)[0])
            self._join(node, place, value, kind)
            nest.close_outer()

    def _partial(self, node: Node, place: str) -> str:
        """Append where an element's partial value lies among the tile's."""
        name = self.body.name()
        width = "%width" if self.tiles.spans_columns(node) else "1"
        self.body.emit(f"{name}.m = mul i64 %qfrom{self.tiles.sliced.index(node)}, {width}")
        self.body.emit(f"{name} = sub i64 {place}, {name}.m")
        return name

    def _join(self, node: Node, place: str, value: str, kind: str) -> None:
        """Append the joining of a value to one of the tile's partial ones."""
        body, share = self.body, f"%q{self.tiles.sliced.index(node)}"
        value, sofar = body.widen(kind, value), body.load("double", share, place)
        name = body.name()
        body.emit(join(name_join(node), name, sofar, value))
        body.store("double", name, share, place)


def _identify_value(node: Node) -> tuple[Node, bool, str]:
    """What a reduction takes of a coordinate, whether squared, and how it is put together: one ``%d`` for each."""
    return node.args[0], node.name == "sumsq", name_join(node)
