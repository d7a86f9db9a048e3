"""How sums and largest values are taken: coordinate by coordinate, then from the partial results of chunks or tiles."""

from descend.backends.cpu.body import Body
from descend.backends.cpu.words import NON_FINITE
from descend.lang.graph import Node

NOTHING = {"sum": "0.0", "largest": "0xFFF0000000000000"}
"""What a partial result begins with: the sum of nothing, and the largest of nothing, minus infinity."""
JOIN = {"sum": "fadd double {0}, {1}", "largest": "call double @llvm.maximum.f64(double {0}, double {1})"}
"""Two partial results put together; a NaN is handed on by both."""


def name_join(node: Node) -> str:
    """How a reduction's partial results are put together: ``"sum"`` (squares and counts too) or ``"largest"``."""
    return "largest" if node.name == "largest" else "sum"


def join_vectors(name: str, one: str, other: str, lanes: int) -> str:
    """Two vectors of partial results put together, number by number."""
    text = JOIN[name].format(one, other).replace("double", f"<{lanes} x double>")
    return text.replace(".f64", f".v{lanes}f64")


def add_up(body: Body, node: Node, i: int) -> tuple[str, str]:
    """One coordinate's share of a reduction; returns the accumulator's type and its zero."""
    value = body.operand(node.args[0])
    if node.name == "nonfinite":
        bits, exponent = NON_FINITE[body.kind]
        body.emit(f"%sum{i}.b = bitcast {body.kind} {value} to {bits}")
        body.emit(f"%sum{i}.e = and {bits} %sum{i}.b, {exponent}")
        body.emit(f"%sum{i}.n = icmp eq {bits} %sum{i}.e, {exponent}")
        body.emit(f"%sum{i}.w = zext i1 %sum{i}.n to i32")
        body.emit(f"%sum{i}.next = add i32 %sum{i}, %sum{i}.w")
        return "i32", "0"
    value = widen(body, node.args[0], f"%sum{i}", squared=node.name == "sumsq")
    if node.name == "largest":
        body.emit(f"%sum{i}.next = {JOIN['largest'].format(f'%sum{i}', value)}")
        return "double", NOTHING["largest"]
    # the one place where order is free, so that the sum vectorises; chunks fix it again
    body.emit(f"%sum{i}.next = fadd reassoc nsz double %sum{i}, {value}")
    return "double", NOTHING["sum"]


def widen(body: Body, node: Node, name: str, *, squared: bool) -> str:
    """A coordinate's value, or its square, in float64."""
    value = body.operand(node)
    if body.kind == "float":
        body.emit(f"{name}.w = fpext float {value} to double")
        value = f"{name}.w"
    if squared:
        body.emit(f"{name}.q = fmul double {value}, {value}")
        value = f"{name}.q"
    return value
