"""What a pass over tiles works on, whichever way its span goes over a tile."""

from dataclasses import dataclass

from descend.backends.cpu.body import Body, Storage
from descend.backends.cpu.context import ADDRESSES, read_entry
from descend.backends.cpu.coordinates import list_touched
from descend.backends.cpu.record import read_word
from descend.backends.cpu.reductions import NOTHING, name_join
from descend.backends.cpu.tiles import template
from descend.backends.cpu.tiles.groups import place_scratch
from descend.backends.cpu.tiles.layout import SliceLayout
from descend.backends.cpu.tiles.phases import list_read
from descend.lang.graph import Node, Rate
from descend.lang.program import Pass, Program


@dataclass
class Operands:
    """Streams, slice values and partial values of one pass.

    In the text ``%x`` are streams, ``%w`` slice values that are read, ``%q`` a tile's partial values of the reductions
    over slices, ``%n`` sizes along the axes.

    Args:
        program: the step.
        step: the pass.
        storage: dtypes of the streams.
        layout: where slice values lie.
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

    def spans_columns(self, node: Node) -> bool:
        """Whether a slice value differs along the last axis."""
        return self.last in self.layout.along(node.axes)

    def list_operands(self) -> list[tuple[str, str, str, str]]:
        """What a span is called with: type, attributes, name, and the text that finds it in the walk."""
        found = []
        for name in self.streams:
            text = read_entry(f"x.{name}", ADDRESSES + self.program.streams.index(name))
            found.append(("ptr", " noalias nocapture", f"%x.{name}", text))
        wide, narrow, _ = place_scratch(self.program)
        for i, node in enumerate(self.read):
            text = read_entry(f"w{i}", self.layout.narrow_column(node))
            if node in narrow:
                text = template.SCRATCH.format(name=f"w{i}", at=narrow[node])
            found.append(("ptr", " noalias nocapture readonly", f"%w{i}", text))
        for i, node in enumerate(self.sliced):
            at = self.layout.share_field(node)
            for offset, (name, kind) in enumerate((("q", "ptr"), ("qfrom", "i64"), ("qrows", "i64"))):
                attributes = " noalias nocapture" if kind == "ptr" else ""
                text = read_word(f"{name}{i}", "tile", at + offset, kind)
                if node in wide and name == "q":
                    text = template.SCRATCH.format(name=f"q{i}", at=wide[node])
                found.append((kind, attributes, f"%{name}{i}", text))
        for axis in range(len(self.layout.axes)):
            text = read_entry(f"n{axis}", self.layout.size_column(axis), "i64")
            found.append(("i64", "", f"%n{axis}", text))
        for at, name in enumerate(("row.from", "row.to", "column.from", "width")):
            found.append(("i64", "", f"%{name}", read_word(name, "tile", at)))
        return found

    def parameters(self) -> str:
        """A span's parameters, as its definition has them."""
        return "".join(f"{kind}{attributes} {name}, " for kind, attributes, name, _ in self.list_operands())

    def clear_shares(self, body: Body) -> None:
        """Append the setting of this tile's partial values to nothing."""
        for i, node in enumerate(self.sliced):
            width = "%width" if self.spans_columns(node) else "1"
            body.emit(f"%q{i}.n = mul i64 %qrows{i}, {width}")
            body.emit(f"call void @fill(ptr %q{i}, double {NOTHING[name_join(node)]}, i64 %q{i}.n)")
