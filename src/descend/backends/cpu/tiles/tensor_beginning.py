"""Rendering of what one tensor computes before a pass, ``tensor_k``: values of its own, of its rows and columns."""

from dataclasses import dataclass

from descend.backends.cpu.reductions import NOTHING, join, name_join, take_share
from descend.backends.cpu.tiles.beginning import Beginning
from descend.backends.cpu.tiles.groups import list_begun
from descend.backends.cpu.tiles.layout import lay_out
from descend.backends.cpu.tiles.nest import Nest, Place
from descend.backends.cpu.tiles.phases import Loop, plan_phases
from descend.lang.graph import Node, Rate
from descend.lang.program import Pass, Program


def render_tensor_beginning(program: Program, step: Pass, work: str) -> str:
    """The instructions that compute a pass's tensor and slice values, store new states and round for coordinates.

    Args:
        program: the step; of one without rows or columns there are tensor values alone.
        step: the pass.
        work: the type in which coordinates are computed.
    """
    writer = _TensorBeginning(program, step, work, lay_out(program))
    body, phases = writer.body, plan_phases(program, step)
    writer.read_known()
    later = step.index in list_begun(program)
    for phase in phases:
        for node in phase.scalars:
            writer.compute_scalar(node)
        for loop in () if later else phase.loops:
            writer.write_loop(loop)
    for node in step.slots:
        body.write(node, "%s", program.slots[node])
    for name, node in step.tensor_stores:
        address = writer.read_entry(writer.state_column(name))
        body.emit(f"store double {body.operand(node)}, ptr {address}")
    written = {name for phase in phases for loop in phase.loops for name, _ in loop.stores}
    for name, node in step.slice_stores:
        if name not in written:
            writer.store_state(name, node)
    return body.text()


@dataclass
class _TensorBeginning(Beginning):
    """Loops over all slices of a tensor."""

    loops: int = 0

    def write_loop(self, loop: Loop) -> None:
        """Append one loop over slices."""
        outside = dict(self.body.operands)
        homes = {n: self._locate(n) for n in loop.sums}
        for node in loop.sums:
            self._set_all(homes[node], node)
        memory = self.find_memory(loop)
        kinds = {loop.axes, *(a.axes for a in (*memory.read, *loop.sums))}
        nest, places = self._open_nest(loop.axes, kinds)
        still = [n for n in loop.sums if places[n.axes][1] == "0"]
        totals = {n: (f"%{nest.label}.sum{i}", "double", NOTHING[name_join(n)]) for i, n in enumerate(still)}
        step = nest.open_inner(list(totals.values()))
        at = {kind: nest.step_to(step, place) for kind, place in places.items()}
        self.compute_element(loop, memory, at)
        for node in loop.sums:
            value = take_share(self.body, node)
            if node in totals:
                self._join(node, totals[node][0], value, f"{totals[node][0]}.next")
            else:
                self._add(node, homes[node], at[node.axes], value)
        nest.close_inner()
        for node, (total, *_) in totals.items():
            self._add(node, homes[node], at[node.axes], total)
        nest.close_outer()
        self.body.operands = outside

    def _locate(self, node: Node) -> str:
        """Append where a sum of slice values is added up."""
        return self.body.operands[node] if node.rate is Rate.TENSOR else self.find_buffer(node)

    def _set_all(self, home: str, node: Node) -> None:
        nothing = NOTHING[name_join(node)]
        if node.rate is Rate.TENSOR:
            self.body.emit(f"store double {nothing}, ptr {home}")
        else:
            self.body.emit(f"call void @fill(ptr {home}, double {nothing}, i64 {self.multiply(node.axes)})")

    def _open_nest(self, axes: frozenset[int], kinds: set[frozenset[int]]) -> tuple[Nest, dict[frozenset[int], Place]]:
        """Append the beginning of loops over the elements along some axes; the innermost is not open yet.

        Returns:
            The loops, and where elements along each kind of axes lie.
        """
        self.loops += 1
        label, along = f"loop{self.loops}", self.layout.along(axes)
        if kinds <= {axes, frozenset()}:  # elements one after the other
            nest = Nest(self.body, label, (0,), 0, [self.multiply(axes)])
            nest.open_outer()
            return nest, {kind: ("0", "1" if kind == axes else "0") for kind in kinds}
        inner = self.layout.inner if self.layout.inner in along else along[-1]
        nest = Nest(self.body, label, along, inner, self.sizes)
        nest.open_outer()
        return nest, {kind: nest.locate(self.layout.along(kind)) for kind in kinds}

    def _join(self, node: Node, sofar: str, value: str, name: str) -> None:
        self.body.emit(join(name_join(node), name, sofar, value))

    def _add(self, node: Node, home: str, place: str, value: str) -> None:
        """Append the joining of a value to what lies in memory."""
        sofar, name = self.body.load("double", home, place), self.body.name()
        self._join(node, sofar, value, name)
        self.body.store("double", name, home, place)

    def store_state(self, name: str, node: Node) -> None:
        """Append the writing of a slice's new state."""
        axes = self.program.step.slice_states[name]
        address = self.read_entry(self.state_column(name))
        base = self.find_buffer(node) if node.rate is Rate.SLICE else ""
        nest, places = self._open_nest(axes, {axes, node.axes})
        step = nest.open_inner()
        source = nest.step_to(step, places[node.axes]) if base else ""
        value = self.body.load("double", base, source) if base else self.body.as_double(node)
        self.write_work(value, address, nest.step_to(step, places[axes]))
        nest.close_inner()
        nest.close_outer()
