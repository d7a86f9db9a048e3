"""Rendering of what a tile computes before a pass, ``begin_k``: values of its rows and columns that no other tile has.

Each loop runs over stretches of about a thousand elements: values of smaller slices are laid out for them first, and
what is added up over such slices is put together afterwards, as a flat span does with coordinates.
"""

import math
from dataclasses import dataclass, field

from descend.backends.cpu.body import Body
from descend.backends.cpu.record import read_word
from descend.backends.cpu.reductions import NOTHING, name_join, take_share
from descend.backends.cpu.tiles import template
from descend.backends.cpu.tiles.beginning import Beginning, Memory
from descend.backends.cpu.tiles.groups import list_scalars, place_scratch
from descend.backends.cpu.tiles.layout import lay_out
from descend.backends.cpu.tiles.nest import Nest
from descend.backends.cpu.tiles.phases import Loop, plan_phases
from descend.backends.cpu.tiles.short_axes import GROUP, STRETCH
from descend.backends.cpu.tiles.shuffles import SPARE, Pattern, fill_group
from descend.lang.graph import Node, Rate
from descend.lang.program import Pass, Program


def render_tile_beginning(program: Program, step: Pass, work: str) -> str:
    """The functions that compute a tile's slice values before a pass.

    Args:
        program: the step.
        step: a pass that begins in tiles.
        work: the type in which coordinates are computed.
    """
    writer = _TileBeginning(program, step, work, lay_out(program))
    loops = [loop for phase in plan_phases(program, step) for loop in phase.loops]
    writer.read_known()
    writer.find_tile()
    for node in list_scalars(program, loops):
        if node not in program.slots:
            writer.compute_scalar(node)
        elif node not in writer.body.operands:  # computed for the whole tensor just before
            writer.body.read(node, "%s", program.slots[node])
    for loop in loops:
        writer.write_loop(loop)
    return "".join([*writer.functions, template.BEGIN.format(k=step.index, text=writer.body.text())])


@dataclass
class _TileBeginning(Beginning):
    """Writes a function for each loop, so that its addresses are known to be different ones, and calls them."""

    functions: list[str] = field(default_factory=list)

    def find_tile(self) -> None:
        """Append the reading of which indices along the long axis the tile has."""
        assert self.layout.short is not None
        rows = math.prod(self.layout.short[:-1])
        for at, name in enumerate(("row.from", "row.to")):
            self.body.lines.append(read_word(name, "tile", at).rstrip())
            self.body.emit(f"%{name}.long = udiv i64 %{name}, {rows}")
        self.body.emit("%n = sub i64 %row.to.long, %row.from.long")

    def find_buffer(self, node: Node) -> str:
        """Append where the tile's part of a slice value lies in float64."""
        at = place_scratch(self.program)[0].get(node)
        return self._find(super().find_buffer(node), node.axes, "double") if at is None else self._find_scratch(at)

    def find_narrow(self, node: Node) -> str:
        """Append where the tile's part of a slice value lies in the work type."""
        at = place_scratch(self.program)[1].get(node)
        return self._find(super().find_narrow(node), node.axes, self.work) if at is None else self._find_scratch(at)

    def find_state(self, name: str) -> str:
        """Append where the tile's part of a state lies."""
        return self._find(super().find_state(name), self.program.step.slice_states[name], self.work)

    def _find_scratch(self, at: int) -> str:
        name = self.body.name()
        self.body.lines.append(template.SCRATCH.format(name=name.removeprefix("%"), at=at).rstrip())
        return name

    def _find(self, base: str, axes: frozenset[int], kind: str) -> str:
        name = self.body.name()
        self.body.emit(f"{name}.m = mul i64 %row.from.long, {self.layout.count_short(axes)}")
        self.body.emit(f"{name} = getelementptr {kind}, ptr {base}, i64 {name}.m")
        return name

    def write_loop(self, loop: Loop) -> None:
        """Append the call of one loop, and its function."""
        memory = self.find_memory(loop)
        homes = {n: self.find_buffer(n) for n in loop.sums}
        addresses = [
            a for part in (memory.read, memory.kept, memory.rounded, memory.states, homes) for a in part.values()
        ]
        used = dict.fromkeys(a for n in loop.nodes if n.op != "reduce" for a in n.args)
        scalars = {n: self.body.operand(n) for n in used if n.rate is not Rate.SLICE and n.op != "const"}
        kinds = {n: "i1" if n.boolean else "double" for n in scalars}
        name = f"loop_{self.step.index}_{len(self.functions)}"
        call = [*(f"ptr {a}" for a in addresses), *(f"{kinds[n]} {x}" for n, x in scalars.items())]
        self.body.emit(f"call void @{name}({''.join(f'{c}, ' for c in call)}i64 %n)")
        inside = {a: f"%p{i}" for i, a in enumerate(addresses)}
        parameters = [f"ptr noalias nocapture {p}" for p in inside.values()]
        parameters += [f"{kinds[n]} %c{i}" for i, n in enumerate(scalars)]
        outside, self.body = self.body, Body("double", operands={n: f"%c{i}" for i, n in enumerate(scalars)})
        parts = (memory.read, memory.kept, memory.rounded, memory.states)
        self._write_stretches(
            loop,
            Memory(*({key: inside[a] for key, a in part.items()} for part in parts)),  # type: ignore[arg-type]
            {n: inside[a] for n, a in homes.items()},
        )
        self.functions.append(
            template.LOOP.format(name=name, parameters="".join(f"{p}, " for p in parameters), text=self.body.text())
        )
        self.body = outside

    def _write_stretches(self, loop: Loop, memory: Memory, homes: dict[Node, str]) -> None:
        """Append one loop over the tile's elements, with the tile's addresses."""
        body, own = self.body, self.layout.count_short(loop.axes)
        laid = [n for n in memory.read if n.axes != loop.axes]
        for i in range(len(laid)):
            body.emit(f"%e{i} = alloca double, i64 {STRETCH + SPARE}, align 64")
        for i, (node, home) in enumerate(homes.items()):
            body.emit(f"%d{i} = alloca double, i64 {STRETCH + SPARE}, align 64")
            body.emit(f"%h{i} = mul i64 %n, {self.layout.count_short(node.axes)}")
            body.emit(f"call void @fill(ptr {home}, double {NOTHING[name_join(node)]}, i64 %h{i})")
        outer = Nest(body, "stretch", (0,), 0, ["%n"])
        first, end = outer.open_blocks("0", "%n", STRETCH // own // GROUP * GROUP)
        body.emit(f"%count = sub i64 {end}, {first}")
        body.emit(f"%elements = mul i64 %count, {own}")

        def advance(base: str, kind: str, axes: frozenset[int]) -> str:
            name = body.name()
            body.emit(f"{name}.m = mul i64 {first}, {self.layout.count_short(axes)}")
            body.emit(f"{name} = getelementptr {kind}, ptr {base}, i64 {name}.m")
            return name

        read = {n: advance(a, "double", n.axes) for n, a in memory.read.items()}
        here = Memory(
            read | {n: f"%e{i}" for i, n in enumerate(laid)},
            {n: advance(a, "double", n.axes) for n, a in memory.kept.items()},
            {n: advance(a, self.work, n.axes) for n, a in memory.rounded.items()},
            {s: advance(a, self.work, loop.axes) for s, a in memory.states.items()},
        )
        for i, node in enumerate(laid):
            pattern = Pattern(self.layout.list_short(node.axes, loop.axes))
            pattern.lay_out(body, f"lay{i}", "double", read[node], f"%e{i}", "%count", along=True)
        run = Nest(body, "run", (0,), 0, ["%elements"])
        run.open_outer()
        index = run.open_inner()
        self.compute_element(loop, here, dict.fromkeys({loop.axes, *(n.axes for n in memory.read)}, index))
        for i, node in enumerate(homes):
            body.store("double", take_share(body, node), f"%d{i}", index)
        run.close_inner()
        for i, (node, home) in enumerate(homes.items()):
            name = name_join(node)
            fill_group(body, f"%d{i}", NOTHING[name], "%count", own)
            pattern = Pattern(self.layout.list_short(node.axes, loop.axes))
            pattern.put_together(body, f"put{i}", name, f"%d{i}", advance(home, "double", node.axes), "%count")
        outer.close_outer()
