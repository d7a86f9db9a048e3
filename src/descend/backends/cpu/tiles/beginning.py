"""What is computed before a pass, of a tensor or of a tile: its own values, and one element of a loop over slices."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from descend.backends.cpu.body import Body
from descend.backends.cpu.context import read_entry
from descend.backends.cpu.tiles.layout import SliceLayout
from descend.backends.cpu.tiles.phases import Loop, plan_phases
from descend.lang.graph import Node, Rate
from descend.lang.program import Pass, Program


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
class Beginning:
    """Writes the instructions; how loops go over slices is said by those who derive from it.

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

    def read_entry(self, column: int, kind: str = "ptr") -> str:
        """Append the reading of this tensor's entry in a column of the address table."""
        name = self.body.name()
        self.body.lines.append(read_entry(name.removeprefix("%"), column, kind).rstrip())
        return name

    def read_known(self) -> None:
        """Append the reading of sizes and of what the uniform table and the slots hold already."""
        for axis in range(len(self.layout.axes)):
            self.sizes.append(self.read_entry(self.layout.size_column(axis), "i64"))
        phases = plan_phases(self.program, self.step)
        # in a fixed order: nodes hash by address, and the kernel store finds a kernel by its text
        computed = dict.fromkeys(n for phase in phases for n in phase.list_nodes())
        used = [a for n in computed for a in n.args]
        used += [n for _, n in (*self.step.tensor_stores, *self.step.slice_stores)]
        for node in dict.fromkeys(n for n in used if n not in computed and n.op != "const"):
            if node in self.program.columns:
                self.body.read(node, "%u", self.program.columns[node])
            elif node in self.program.slots:
                self.body.read(node, "%s", self.program.slots[node])
        for node in (n for phase in phases for loop in phase.loops for n in loop.sums if n.rate is Rate.TENSOR):
            self.body.operands[node] = home = self.body.name()
            self.body.emit(f"{home} = alloca double")

    def compute_scalar(self, node: Node) -> None:
        """Append the computing of one tensor value."""
        if node.op == "reduce":
            self.body.operands[node] = self.body.load("double", self.body.operands[node], 0)  # added up on the stack
        elif node.name == "size":
            self.body.operands[node] = name = self.body.name()
            self.body.emit(f"{name} = sitofp i64 {self.multiply(node.axes) if node.axes else '%size'} to double")
        elif node.op == "input":
            address = self.read_entry(self.state_column(node.name))
            # tensor states are float64; those of axes of length 1 are slice states
            kind = self.work if node.name in self.program.slice_states else "double"
            self.body.operands[node] = self.body.widen(kind, self.body.load(kind, address, 0))
        else:
            self.body.compute(node)

    def multiply(self, axes: frozenset[int]) -> str:
        """Append the number of elements along some axes."""
        product = "1"
        for axis in self.layout.along(axes):
            name = self.body.name()
            self.body.emit(f"{name} = mul i64 {product}, {self.sizes[axis]}")
            product = name
        return product

    def state_column(self, name: str) -> int:
        """The column of a tensor's or slice's state."""
        slow = self.program.tensor_states + self.program.slice_states
        return self.layout.first - len(slow) + slow.index(name)

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
        body, index = self.body, at[loop.axes]
        for node, base in memory.read.items():
            body.read(node, base, at[node.axes])
        for node in loop.nodes:
            if node.op == "input":
                body.operands[node] = body.widen(self.work, body.load(self.work, memory.states[node.name], index))
            elif node not in memory.read:
                body.compute(node)
            if node in memory.kept:
                body.write(node, memory.kept[node], index)
            if node in memory.rounded:
                self.write_work(body.as_double(node), memory.rounded[node], index)
        for name, node in loop.stores:
            self.write_work(body.as_double(node), memory.states[name], index)

    def write_work(self, value: str, base: str, place: str) -> None:
        """Append the writing of a float64 in the work type."""
        self.body.store(self.work, self.body.narrow(self.work, value), base, place)
