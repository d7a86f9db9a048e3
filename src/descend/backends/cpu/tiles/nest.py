"""Loops over the elements along some of a tensor's axes, the innermost along a long one."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from descend.backends.cpu.body import Body

BLOCK = 512
"""Indices along the innermost axis that the axes behind it are gone through for, so that what lies between them in
memory stays in the first cache."""

Place = tuple[str, str]
"""Where the elements of an innermost loop lie: the one of index 0, and the distance from one to the next."""


@dataclass
class Nest:
    """Loops over the indices along axes before one, those behind it, and innermost its own.

    Args:
        body: where instructions are appended.
        label: what the names of its values and labels begin with; no other nest of the function has it.
        axes: to loop over, in order, as places in ``sizes``.
        inner: that of the innermost loop.
        sizes: operands of the tensor's sizes.
        at: the present index along each axis but the innermost.
    """

    body: Body
    label: str
    axes: Sequence[int]
    inner: int
    sizes: Sequence[str]
    at: dict[int, str] = field(default_factory=dict)
    _range: tuple[str, str] = ("0", "0")
    _open: list[tuple[str, int | str]] = field(default_factory=list)

    def open_outer(self) -> None:
        """Append the beginnings of all loops but the innermost, that one in blocks where axes lie behind it."""
        before = [a for a in self.axes if a < self.inner]
        if before:
            self.split(self.open_loop("o", "0", self.multiply(before)), before)
        self._range = ("0", self.sizes[self.inner])
        if self.axes[-1] > self.inner:
            self.open_behind(self.open_blocks("0", self.sizes[self.inner], BLOCK))

    def open_blocks(self, first: str, end: str, length: int | str) -> tuple[str, str]:
        """Append the beginning of a loop over blocks of indices along the innermost axis; returns a block's range."""
        block, body = self.open_loop("b", first, end, length), self.body
        body.emit(f"{block}.all = add i64 {block}, {length}")
        body.emit(f"{block}.full = icmp slt i64 {block}.all, {end}")
        body.emit(f"{block}.end = select i1 {block}.full, i64 {block}.all, i64 {end}")
        return block, f"{block}.end"

    def open_behind(self, block: tuple[str, str]) -> None:
        """Append the beginning of the loop along the axes behind the innermost, for a range of indices along that."""
        behind = [a for a in self.axes if a > self.inner]
        self.split(self.open_loop("t", "0", self.multiply(behind)), behind)
        self._range = block

    def open_inner(self, sums: Sequence[tuple[str, str, str]] = ()) -> str:
        """Append the beginning of the innermost loop; returns its index.

        Args:
            sums: name, type and value at first of what the loop adds up; the next value is the name and ``.next``.
        """
        return self.open_loop("k", *self._range, 1, sums)

    def close_inner(self) -> None:
        """Append the end of the innermost loop."""
        self._close_loop()

    def close_outer(self) -> None:
        """Append the ends of the other loops."""
        while self._open:
            self._close_loop()

    def locate(self, axes: Sequence[int]) -> Place:
        """Append where the elements along some axes lie that the innermost loop goes over."""
        place = "0"
        for axis in axes:
            name = self.body.name()
            self.body.emit(f"{name}.m = mul i64 {place}, {self.sizes[axis]}")
            self.body.emit(f"{name} = add i64 {name}.m, {self.at.get(axis, '0')}")
            place = name
        return place, self.multiply([a for a in axes if a > self.inner]) if self.inner in axes else "0"

    def step_to(self, index: str, place: Place) -> str:
        """Append, inside the innermost loop, where its present element lies."""
        first, distance = place
        if distance == "0":
            return first
        name = self.body.name()
        self.body.emit(f"{name}.m = mul nsw i64 {index}, {distance}")
        self.body.emit(f"{name} = add nsw i64 {name}.m, {first}")
        return name

    def multiply(self, axes: Sequence[int]) -> str:
        """Append the product of some sizes."""
        product = "1"
        for axis in axes:
            name = self.body.name()
            self.body.emit(f"{name} = mul i64 {product}, {self.sizes[axis]}")
            product = name
        return product

    def split(self, index: str, axes: Sequence[int]) -> None:
        """Append the indices along each of some axes from that along these as one."""
        for axis in reversed(axes[1:]):
            name = self.body.name()
            self.body.emit(f"{name} = urem i64 {index}, {self.sizes[axis]}")
            self.body.emit(f"{name}.q = udiv i64 {index}, {self.sizes[axis]}")
            self.at[axis], index = name, f"{name}.q"
        self.at[axes[0]] = index

    def open_loop(
        self, letter: str, first: str, end: str, step: int | str = 1, sums: Sequence[tuple[str, str, str]] = ()
    ) -> str:
        """Append the beginning of one more loop; returns its index.

        Args:
            letter: what its names have behind the label.
            first: its first index.
            end: behind its last.
            step: from one to the next.
            sums: as ``open_inner`` has them.
        """
        name, body = f"%{self.label}.{letter}", self.body
        body.emit(f"br label {name}.before")
        body.lines.append(f"{name[1:]}.before:")
        body.emit(f"br label {name}.head")
        body.lines.append(f"{name[1:]}.head:")
        body.emit(f"{name} = phi i64 [ {first}, {name}.before ], [ {name}.next, {name}.latch ]")
        for value, kind, nothing in sums:
            body.emit(f"{value} = phi {kind} [ {nothing}, {name}.before ], [ {value}.next, {name}.latch ]")
        body.emit(f"{name}.some = icmp slt i64 {name}, {end}")
        body.emit(f"br i1 {name}.some, label {name}.work, label {name}.after")
        body.lines.append(f"{name[1:]}.work:")
        self._open.append((name, step))
        return name

    def _close_loop(self) -> None:
        name, step = self._open.pop()
        self.body.emit(f"br label {name}.latch")
        self.body.lines.append(f"{name[1:]}.latch:")
        self.body.emit(f"{name}.next = add nsw i64 {name}, {step}")
        self.body.emit(f"br label {name}.head")
        self.body.lines.append(f"{name[1:]}.after:")
