"""Rendering of what one tensor computes before a pass, ``tensor_k``: values of its own, of its rows and columns."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from descend.backends.cpu.body import Body
from descend.backends.cpu.context import read_entry
from descend.backends.cpu.nest import Nest, Place
from descend.backends.cpu.reductions import NOTHING, join, name_join
from descend.backends.cpu.slices import Loop, SliceLayout, lay_out, plan_beginning
from descend.backends.cpu.tile_groups import list_begun
from descend.backends.cpu.words import LOAD, STORE
from descend.lang.graph import Node, Rate
from descend.lang.program import Pass, Program

NAMES = {"float": "float32", "double": "float64"}
"""The storage dtype of each work type."""


def render_beginning(program: Program, step: Pass, work: str) -> str:
    """The instructions that compute a pass's tensor and slice values, store new states and round for coordinates.

    Args:
        program: the step.
        step: the pass.
        work: the type in which coordinates are computed.
    """
    writer = BeginningWriter(program, step, work, lay_out(program))
    writer.read_known()
    later = step.index in list_begun(program)
    for phase in plan_beginning(program, step):
        for node in phase.scalars:
            writer.compute_scalar(node)
        for loop in () if later else phase.loops:
            writer.write_loop(loop)
    for node in step.slots:
        writer.body.write_scalar(node, "%s", program.slots[node])
    for name, node in step.tensor_stores:
        address = writer.read_entry(writer.state_column(name))
        writer.body.emit(f"store double {writer.body.operand(node)}, ptr {address}")
    written = {name for phase in plan_beginning(program, step) for loop in phase.loops for name, _ in loop.stores}
    for name, node in step.slice_stores:
        if name not in written:
            writer.store_state(name, node)
    return writer.body.text()


@dataclass(frozen=True)
class Memory:
    """Where the values of a loop's elements lie: addresses by node, of states by name.

    Args:
        read: slice values that are known before.
        kept: values that are written in float64.
        rounded: values that are written in the work type, for coordinates.
        states: of this kind of slice, read or written.
    """

    read: dict[Node, str]
    kept: dict[Node, str]
    rounded: dict[Node, str]
    states: dict[str, str]


@dataclass
class BeginningWriter:
    """Writes the instructions.

    Args:
        program: the step.
        step: the pass.
        work: the type in which coordinates are computed.
        layout: where slice values lie.
    """

    program: Program
    step: Pass
    work: str
    layout: SliceLayout
    body: Body = field(default_factory=lambda: Body("double"))
    sizes: list[str] = field(default_factory=list)
    loops: int = 0

    def read_entry(self, column: int, kind: str = "ptr") -> str:
        """Append the reading of this tensor's entry in a column of the address table."""
        name = self.body.name()
        self.body.lines.append(read_entry(name.removeprefix("%"), column, kind).rstrip())
        return name

    def state_column(self, name: str) -> int:
        """The column of a tensor's or slice's state."""
        slow = self.program.tensor_states + self.program.slice_states
        return self.layout.first - len(slow) + slow.index(name)

    def read_known(self) -> None:
        """Append the reading of sizes and of what the uniform table and the slots hold already."""
        for axis in range(len(self.layout.axes)):
            self.sizes.append(self.read_entry(self.layout.size_column(axis), "i64"))
        phases = plan_beginning(self.program, self.step)
        # in a fixed order: nodes hash by address, and the kernel store finds a kernel by its text
        computed = dict.fromkeys(n for phase in phases for n in phase.list_nodes())
        used = [a for n in computed for a in n.args]
        used += [n for _, n in (*self.step.tensor_stores, *self.step.slice_stores)]
        for node in dict.fromkeys(n for n in used if n not in computed and n.op != "const"):
            if node in self.program.columns:
                self.body.read_scalar(node, "%u", self.program.columns[node])
            elif node in self.program.slots:
                self.body.read_scalar(node, "%s", self.program.slots[node])
        for node in (n for phase in phases for loop in phase.loops for n in loop.sums if n.rate is Rate.TENSOR):
            self.body.operands[node] = home = self.body.name()
            self.body.emit(f"{home} = alloca double")

    def compute_scalar(self, node: Node) -> None:
        """Append the computing of one tensor value."""
        if node.op == "reduce":
            name = self.body.name()
            self.body.emit(f"{name} = load double, ptr {self.body.operands[node]}")
            self.body.operands[node] = name
        elif node.name == "size":
            self.body.operands[node] = self._count(node.axes)
        elif node.op == "input":
            address = self.read_entry(self.state_column(node.name))
            if node.name in self.program.slice_states:  # of axes of length 1
                self.body.operands[node] = self._read_state(address, "0")
                return
            self.body.operands[node] = name = self.body.name()
            self.body.emit(f"{name} = load double, ptr {address}")
        else:
            self.body.compute(node)

    def _count(self, axes: frozenset[int]) -> str:
        count = self._length(axes) if axes else "%size"
        name = self.body.name()
        self.body.emit(f"{name} = sitofp i64 {count} to double")
        return name

    def _length(self, axes: frozenset[int]) -> str:
        """Append the number of elements along some axes."""
        product = "1"
        for axis in self.layout.along(axes):
            name = self.body.name()
            self.body.emit(f"{name} = mul i64 {product}, {self.sizes[axis]}")
            product = name
        return product

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
            value = self.take_share(node)
            if node in totals:
                self._join(node, totals[node][0], value, f"{totals[node][0]}.next")
            else:
                self._add(node, homes[node], at[node.axes], value)
        nest.close_inner()
        for node, (total, *_) in totals.items():
            self._add(node, homes[node], at[node.axes], total)
        nest.close_outer()
        self.body.operands = outside

    def find_memory(self, loop: Loop) -> Memory:
        """Append the reading of the addresses that a loop needs."""
        summed = [n for n in loop.nodes if n.op == "reduce"]  # these stand in their buffers already
        computed = [n for n in loop.nodes if n.op != "reduce"]
        used = [*(a for n in computed for a in n.args), *(n.args[0] for n in loop.sums)]
        read = [a for a in used if a.rate is Rate.SLICE and a not in loop.nodes] + summed
        states = [*(n.name for n in loop.nodes if n.op == "input"), *(name for name, _ in loop.stores)]
        return Memory(
            {a: self.find_buffer(a) for a in dict.fromkeys(read)},
            {n: self.find_buffer(n) for n in computed if n in self.layout.buffers},
            {n: self.find_narrow(n) for n in loop.nodes if n in self.layout.narrow},
            {s: self.find_state(s) for s in dict.fromkeys(states)},
        )

    def find_buffer(self, node: Node) -> str:
        """Append the reading of where a slice value lies in float64."""
        return self.read_entry(self.layout.buffer_column(node))

    def find_narrow(self, node: Node) -> str:
        """Append the reading of where a slice value lies in the work type."""
        return self.read_entry(self.layout.narrow_column(node))

    def find_state(self, name: str) -> str:
        """Append the reading of where a state lies."""
        return self.read_entry(self.state_column(name))

    def compute_element(self, loop: Loop, memory: Memory, at: Mapping[frozenset[int], str]) -> None:
        """Append the computing of one element's values.

        Args:
            loop: which.
            memory: where values lie.
            at: which element of each kind of slice, by its axes.
        """
        index = at[loop.axes]
        for node, base in memory.read.items():
            self.body.operands[node] = self._load(node, base, at[node.axes])
        for node in loop.nodes:
            if node.op == "input":
                self.body.operands[node] = self._read_state(memory.states[node.name], index)
            elif node not in memory.read:
                self.body.compute(node)
            if node in memory.kept:
                self._store(node, memory.kept[node], index)
            if node in memory.rounded:
                self._write_work(self._as_double(node), memory.rounded[node], index)
        for name, node in loop.stores:
            self._write_work(self._as_double(node), memory.states[name], index)

    def _locate(self, node: Node) -> str:
        """Where a sum of slice values is added up."""
        return (
            self.body.operands[node] if node.rate is Rate.TENSOR else self.read_entry(self.layout.buffer_column(node))
        )

    def _set_all(self, home: str, node: Node) -> None:
        nothing = NOTHING[name_join(node)]
        if node.rate is Rate.TENSOR:
            self.body.emit(f"store double {nothing}, ptr {home}")
        else:
            self.body.emit(f"call void @fill(ptr {home}, double {nothing}, i64 {self._length(node.axes)})")

    def _open_nest(self, axes: frozenset[int], kinds: set[frozenset[int]]) -> tuple[Nest, dict[frozenset[int], Place]]:
        """Append the beginning of loops over the elements along some axes; the innermost is not open yet.

        Returns:
            The loops, and where elements along each kind of axes lie.
        """
        self.loops += 1
        label, along = f"loop{self.loops}", self.layout.along(axes)
        if kinds <= {axes, frozenset()}:  # elements one after the other
            nest = Nest(self.body, label, (0,), 0, [self._length(axes)])
            nest.open_outer()
            return nest, {kind: ("0", "1" if kind == axes else "0") for kind in kinds}
        inner = self.layout.inner if self.layout.inner in along else along[-1]
        nest = Nest(self.body, label, along, inner, self.sizes)
        nest.open_outer()
        return nest, {kind: nest.locate(self.layout.along(kind)) for kind in kinds}

    def _load(self, node: Node, base: str, place: str) -> str:
        name = self.body.name()
        self.body.emit(f"{name}.a = getelementptr double, ptr {base}, i64 {place}")
        self.body.emit(f"{name} = load double, ptr {name}.a")
        if node.boolean:
            self.body.emit(f"{name}.b = fcmp une double {name}, 0.0")
            return f"{name}.b"
        return name

    def _store(self, node: Node, base: str, place: str) -> None:
        name = self.body.name()
        self.body.emit(f"{name}.a = getelementptr double, ptr {base}, i64 {place}")
        self.body.emit(f"store double {self._as_double(node)}, ptr {name}.a")

    def _as_double(self, node: Node) -> str:
        if not node.boolean:
            return self.body.operand(node)
        name = self.body.name()
        self.body.emit(f"{name} = uitofp i1 {self.body.operand(node)} to double")
        return name

    def _write_work(self, value: str, base: str, place: str) -> None:
        """Append the writing of a float64 in the work type."""
        name = self.body.name()
        if self.work != "double":
            self.body.emit(f"{name} = fptrunc double {value} to {self.work}")
            value = name
        self.body.emit(f"{name}.a = getelementptr {self.work}, ptr {base}, i64 {place}")
        self.body.emit(STORE[NAMES[self.work], self.work].format(x=value, a=f"{name}.a"))

    def _read_state(self, base: str, place: str) -> str:
        name = self.body.name()
        self.body.emit(f"{name}.a = getelementptr {self.work}, ptr {base}, i64 {place}")
        self.body.emit(LOAD[NAMES[self.work], self.work].format(r=name, a=f"{name}.a"))
        if self.work == "double":
            return name
        self.body.emit(f"{name}.d = fpext {self.work} {name} to double")
        return f"{name}.d"

    def take_share(self, node: Node) -> str:
        """Append what one element adds to a sum."""
        value = self.body.operand(node.args[0])
        if node.name != "sumsq":
            return value
        name = self.body.name()
        self.body.emit(f"{name}.q = fmul double {value}, {value}")
        return f"{name}.q"

    def _join(self, node: Node, sofar: str, value: str, name: str) -> None:
        self.body.emit(f"{name} = {join(name_join(node), sofar, value)}")

    def _add(self, node: Node, home: str, place: str, value: str) -> None:
        """Append the joining of a value to what lies in memory."""
        name = self.body.name()
        self.body.emit(f"{name}.a = getelementptr double, ptr {home}, i64 {place}")
        self.body.emit(f"{name}.o = load double, ptr {name}.a")
        self._join(node, f"{name}.o", value, name)
        self.body.emit(f"store double {name}, ptr {name}.a")

    def store_state(self, name: str, node: Node) -> None:
        """Append the writing of a slice's new state."""
        axes = self.program.step.slice_states[name]
        address = self.read_entry(self.state_column(name))
        base = self.read_entry(self.layout.buffer_column(node)) if node.rate is Rate.SLICE else ""
        nest, places = self._open_nest(axes, {axes, node.axes})
        step = nest.open_inner()
        value = self._load(node, base, nest.step_to(step, places[node.axes])) if base else self._as_double(node)
        self._write_work(value, address, nest.step_to(step, places[axes]))
        nest.close_inner()
        nest.close_outer()
