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
    names: int = 0

    def emit(self, text: str) -> None:
        """Append instructions."""
        self.lines.append("  " + text)

    def name(self) -> str:
        """A name that no value of this function has yet."""
        self.names += 1
        return f"{self.prefix}{self.names}"

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

    def load(self, kind: str, base: str, place: str | int) -> str:
        """Append the reading of one number of an array."""
        name = self.name()
        self.emit(f"{name}.a = getelementptr inbounds {kind}, ptr {base}, i64 {place}")
        self.emit(f"{name} = load {kind}, ptr {name}.a")
        return name

    def store(self, kind: str, value: str, base: str, place: str | int) -> None:
        """Append the writing of one number of an array."""
        name = self.name()
        self.emit(f"{name} = getelementptr inbounds {kind}, ptr {base}, i64 {place}")
        self.emit(f"store {kind} {value}, ptr {name}")

    def widen(self, kind: str, value: str) -> str:
        """Append the making of a float64 from a float, a count (``"i32"``) or a boolean (``"i1"``)."""
        if kind == "double":
            return value
        name = self.name()
        self.emit(f"{name} = {'fpext' if kind == 'float' else 'uitofp'} {kind} {value} to double")
        return name

    def narrow(self, kind: str, value: str) -> str:
        """Append the rounding of a float64 to a float type."""
        if kind == "double":
            return value
        name = self.name()
        self.emit(f"{name} = fptrunc double {value} to {kind}")
        return name

    def read(self, node: Node, base: str, place: str | int, kind: str = "double") -> None:
        """Append the reading of a node's value from an array, as a boolean or in this body's type."""
        value = self.load(kind, base, place)
        if node.boolean:
            self.operands[node] = name = self.name()
            self.emit(f"{name} = fcmp une {kind} {value}, 0.0")
        else:
            self.operands[node] = value if kind == self.kind else self.narrow(self.kind, value)

    def write(self, node: Node, base: str, place: str | int) -> None:
        """Append the writing of a node's value to an array of float64; this body's type is float64."""
        self.store("double", self.as_double(node), base, place)

    def as_double(self, node: Node) -> str:
        """What stands for a node, a boolean as 0 or 1; this body's type is float64."""
        return self.widen("i1" if node.boolean else "double", self.operand(node))

    def text(self) -> str:
        """The instructions."""
        return "\n".join(self.lines)
