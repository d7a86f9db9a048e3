"""What a pass over tiles works on, whichever way its span goes over a tile."""

from dataclasses import dataclass

from descend.backends.cpu import tile_template
from descend.backends.cpu.body import Body, Storage
from descend.backends.cpu.context import ADDRESSES, read_entry
from descend.backends.cpu.coordinates import list_touched
from descend.backends.cpu.reductions import NOTHING, name_join
from descend.backends.cpu.slices import SHARE_FIELDS, TILE_HEAD, SliceLayout, list_read
from descend.backends.cpu.tile_groups import place_scratch
from descend.lang.graph import Node, Rate
from descend.lang.program import Pass, Program


@dataclass
class TileOperands:
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
        field = tile_template.FIELD
        found = []
        for name in self.streams:
            text = read_entry(f"x.{name}", ADDRESSES + self.program.streams.index(name))
            found.append(("ptr", " noalias nocapture", f"%x.{name}", text))
        wide, narrow, _ = place_scratch(self.program)
        for i, node in enumerate(self.read):
            text = read_entry(f"w{i}", self.layout.narrow_column(node))
            if node in narrow:
                text = tile_template.SCRATCH.format(name=f"w{i}", at=narrow[node])
            found.append(("ptr", " noalias nocapture readonly", f"%w{i}", text))
        for i, node in enumerate(self.sliced):
            at = TILE_HEAD + SHARE_FIELDS * self.layout.taken.index(node)
            for offset, (name, kind) in enumerate((("q", "ptr"), ("qfrom", "i64"), ("qrows", "i64"))):
                attributes = " noalias nocapture" if kind == "ptr" else ""
                text = field.format(name=f"{name}{i}", at=at + offset, kind=kind)
                if node in wide and name == "q":
                    text = tile_template.SCRATCH.format(name=f"q{i}", at=wide[node])
                found.append((kind, attributes, f"%{name}{i}", text))
        for axis in range(len(self.layout.axes)):
            text = read_entry(f"n{axis}", self.layout.size_column(axis), "i64")
            found.append(("i64", "", f"%n{axis}", text))
        for at, name in enumerate(("row.from", "row.to", "column.from", "width")):
            found.append(("i64", "", f"%{name}", field.format(name=name, at=at, kind="i64")))
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

    def read_narrow(self, body: Body, node: Node, base: str, place: str) -> None:
        """Append the reading of a slice value."""
        name = body.name()
        body.emit(f"{name}.a = getelementptr inbounds {self.storage.work}, ptr {base}, i64 {place}")
        body.emit(f"{name} = load {self.storage.work}, ptr {name}.a")
        if node.boolean:
            body.emit(f"{name}.b = fcmp une {self.storage.work} {name}, 0.0")
            name = f"{name}.b"
        body.operands[node] = name
