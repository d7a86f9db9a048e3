"""Instructions of one function of a kernel, as they are put together from the nodes of a graph."""

from dataclasses import dataclass, field

from descend.backends.cpu.words import IR, SUFFIX, literal
from descend.lang.graph import Node


@dataclass(frozen=True)
class Storage:
    """How each stream lies in memory, and in which type a coordinate is computed.

    Args:
        work: ``"float"`` or ``"double"``, LLVM's names.
        streams: dtype name of each stream, in the program's order.
    """

    work: str
    streams: tuple[str, ...]


@dataclass
class Body:
    """Instructions of one function, and the operand that stands for each node."""

    kind: str
    prefix: str = "%v"
    lines: list[str] = field(default_factory=list)
    operands: dict[Node, str] = field(default_factory=dict)

    def emit(self, text: str) -> None:
        """Append instructions."""
        self.lines.append("  " + text)

    def name(self) -> str:
        """A name that no value of this function has yet."""
        return f"{self.prefix}{len(self.lines)}"

    def operand(self, node: Node) -> str:
        """What stands for a node: a literal, or the value computed before."""
        if node.op == "const":
            return literal(node.value, self.kind)
        return self.operands[node]

    def compute(self, node: Node) -> None:
        """Append a word's instructions."""
        name = self.name()
        suffix, libm = SUFFIX[self.kind]
        arguments = [self.operand(a) for a in node.args]
        self.emit(IR[node.op].format(*arguments, r=name, T=self.kind, S=suffix, f=libm))
        self.operands[node] = name

    def read_scalar(self, node: Node, base: str, index: int) -> None:
        """Append the reading of a float64 from a table, as a boolean or in this body's type."""
        name = self.name()
        self.emit(f"{name}.a = getelementptr double, ptr {base}, i64 {index}")
        self.emit(f"{name}.d = load double, ptr {name}.a")
        if node.boolean:
            self.emit(f"{name} = fcmp une double {name}.d, 0.0")
        elif self.kind == "double":
            name = f"{name}.d"
        else:
            self.emit(f"{name} = fptrunc double {name}.d to {self.kind}")
        self.operands[node] = name

    def write_scalar(self, node: Node, base: str, index: int) -> None:
        """Append the writing of a float64 to a table."""
        name, value = self.name(), self.operand(node)
        if node.boolean:
            self.emit(f"{name}.d = uitofp i1 {value} to double")
            value = f"{name}.d"
        self.emit(f"{name} = getelementptr double, ptr {base}, i64 {index}")
        self.emit(f"store double {value}, ptr {name}")

    def text(self) -> str:
        """The instructions."""
        return "\n".join(self.lines)
