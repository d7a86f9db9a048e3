"""Slice values laid out for consecutive elements, and put together from them, by shuffles of whole vectors.

Where the sizes of the short axes are known, which element lies in which slice is a pattern that repeats. One gather a
coordinate becomes one permutation for a vector of them.
"""

import functools
from collections.abc import Sequence

from descend.backends.cpu.body import Body
from descend.backends.cpu.reductions import join, name_partial
from descend.backends.cpu.tiles.nest import Nest
from descend.backends.cpu.tiles.short_axes import GROUP

LANES = {"float": 16, "double": 8}
"""Numbers of a vector of 64 bytes; LLVM cuts it up where the processor's are shorter."""
SPARE = 64
"""Elements behind a stretch that vectors may touch."""
SLACK = 4096
"""Bytes behind an array that vectors may touch beyond its last element."""


class Pattern:
    """Which slice each element behind an index of the long axis lies in.

    Args:
        places: the slice of each element, in order.
    """

    def __init__(self, places: Sequence[int]) -> None:
        self.places = tuple(places)
        self.elements, self.slices = len(places), 1 + max(places)
        self.firsts = [places.index(s) for s in range(self.slices)]
        self.apart = [t for t, s in enumerate(places) if s == 0]  # the elements of any slice, counted from its first

    def lay_out(self, body: Body, label: str, kind: str, source: str, target: str, count: str, *, along: bool) -> None:
        """Append the writing of each element's slice value.

        Args:
            body: where instructions are appended.
            label: what the names of the loop begin with.
            kind: ``"float"`` or ``"double"``.
            source: address of the slice values of the first index.
            target: address for the elements.
            count: how many indices; elements up to the next whole group are written.
            along: whether slice values differ along the long axis.
        """
        nest, lanes = Nest(body, label, (0,), 0, [count]), LANES[kind]
        at = nest.open_loop("g", "0", count, GROUP)
        apart = self.slices if along else 0
        read = _Source(body, kind, _step(body, kind, source, at, apart))
        end = _step(body, kind, target, at, self.elements)
        for v in range(0, GROUP * self.elements, lanes):
            wanted = [divmod(c, self.elements) for c in range(v, v + lanes)]
            _store(body, kind, read.pick([m * apart + self.places[t] for m, t in wanted]), end, v)
        nest.close_outer()

    def put_together(
        self, body: Body, label: str, name: str, source: str, target: str, count: str, kind: str = "double"
    ) -> None:
        """Append the joining of all elements of each slice to what it has so far.

        Args:
            body: where instructions are appended.
            label: what the names of the loop begin with.
            name: how two values are put together.
            source: address of the elements; up to the next whole group they are nothing.
            target: address of the slice values of the first index, float64.
            count: how many indices.
            kind: type of the elements.
        """
        lanes = LANES[kind]
        nest = Nest(body, label, (0,), 0, [count])
        at = nest.open_loop("g", "0", count, GROUP)
        read = _Source(body, kind, _step(body, kind, source, at, self.elements))
        end = _step(body, "double", target, at, self.slices)

        def put(one: str, other: str, kind: str = kind) -> str:
            made = body.name()
            body.emit(join(name, made, one, other, kind, lanes))
            return made

        for v in range(0, GROUP * self.slices, lanes):
            wanted = [divmod(o, self.slices) for o in range(v, v + lanes)]
            parts = [read.pick([m * self.elements + self.firsts[s] + t for m, s in wanted]) for t in self.apart]
            value = _widen(body, kind, functools.reduce(put, parts))
            _store(body, "double", put(_load(body, "double", end, v, lanes), value, "double"), end, v, lanes)
        nest.close_outer()


def fill_group(body: Body, name: str, nothing: str, count: str, elements: int, kind: str = "double") -> None:
    """Append the setting of elements behind the last index to nothing, up to the next whole group.

    Args:
        body: where instructions are appended.
        name: address of the elements.
        nothing: what they are set to.
        count: how many indices there are.
        elements: of each index.
        kind: type of the elements.
    """
    made = body.name()
    body.emit(f"{made}.u = add i64 {count}, {GROUP - 1}")
    body.emit(f"{made}.w = and i64 {made}.u, {-GROUP}")
    body.emit(f"{made}.r = sub i64 {made}.w, {count}")
    body.emit(f"{made}.n = mul i64 {made}.r, {elements}")
    start = _step(body, kind, name, count, elements)
    body.emit(f"call void @{name_partial('fill', kind)}(ptr {start}, {kind} {nothing}, i64 {made}.n)")


def _vector(kind: str, lanes: int = 0) -> str:
    return f"<{lanes or LANES[kind]} x {kind}>"


def _widen(body: Body, kind: str, value: str) -> str:
    if kind == "double":
        return value
    name = body.name()
    body.emit(f"{name} = fpext {_vector(kind)} {value} to {_vector('double', LANES[kind])}")
    return name


def _step(body: Body, kind: str, base: str, index: str, apart: int) -> str:
    name = body.name()
    body.emit(f"{name}.m = mul i64 {index}, {apart}")
    body.emit(f"{name} = getelementptr {kind}, ptr {base}, i64 {name}.m")
    return name


def _load(body: Body, kind: str, base: str, at: int, lanes: int = 0) -> str:
    name = body.name()
    body.emit(f"{name}.a = getelementptr {kind}, ptr {base}, i64 {at}")
    body.emit(f"{name} = load {_vector(kind, lanes)}, ptr {name}.a, align {4 if kind == 'float' else 8}")
    return name


def _store(body: Body, kind: str, value: str, base: str, at: int, lanes: int = 0) -> None:
    name = body.name()
    body.emit(f"{name}.a = getelementptr {kind}, ptr {base}, i64 {at}")
    body.emit(f"store {_vector(kind, lanes)} {value}, ptr {name}.a, align {4 if kind == 'float' else 8}")


class _Source:
    """Consecutive numbers in memory, read as whole vectors, each once; numbers anywhere are picked from these.

    Loads that begin anywhere cross cache lines, which costs more than one more permutation.
    """

    def __init__(self, body: Body, kind: str, start: str) -> None:
        self.body, self.kind, self.start, self.lanes = body, kind, start, LANES[kind]
        self._vectors: dict[int, str] = {}

    def _read(self, k: int) -> str:
        if k not in self._vectors:
            self._vectors[k] = _load(self.body, self.kind, self.start, k * self.lanes)
        return self._vectors[k]

    def pick(self, offsets: Sequence[int]) -> str:
        """Append the making of a vector of the numbers at some offsets."""
        first, *others = sorted({o // self.lanes for o in offsets})
        value, within = self._read(first), [o % self.lanes for o in offsets]
        if not others:
            whole = within == list(range(self.lanes))
            return value if whole else _shuffle(self.body, self.kind, value, "poison", within)
        for k in others:
            mask: list[int | None] = []
            for lane, (o, at) in enumerate(zip(offsets, within, strict=True)):
                done = at if k == others[0] else lane  # picked before
                mask.append(self.lanes + at if o // self.lanes == k else (done if o // self.lanes < k else None))
            value = _shuffle(self.body, self.kind, value, self._read(k), mask)
        return value


def _shuffle(body: Body, kind: str, one: str, other: str, mask: Sequence[int | None]) -> str:
    name, vector = body.name(), _vector(kind)
    text = ", ".join("i32 poison" if m is None else f"i32 {m}" for m in mask)
    body.emit(f"{name} = shufflevector {vector} {one}, {vector} {other}, <{len(mask)} x i32> <{text}>")
    return name
