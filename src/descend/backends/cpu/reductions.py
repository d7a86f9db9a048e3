"""How sums and largest values are taken: coordinate by coordinate, then from the partial results of chunks or tiles."""

from descend.backends.cpu.body import Body
from descend.backends.cpu.words import NAN, NON_FINITE, SUFFIX, choose
from descend.lang.graph import Node

NOTHING = {"sum": "0.0", "largest": "0xFFF0000000000000"}
"""What a partial result begins with: the sum of nothing, and the largest of nothing, minus infinity."""


def name_join(node: Node) -> str:
    """How a reduction's partial results are put together: ``"sum"`` (squares and counts too) or ``"largest"``."""
    return "largest" if node.name == "largest" else "sum"


def partial_kind(node: Node, work: str) -> str:
    """The type of partial results within a tile or chunk: sums grow, but the largest number is one of those given."""
    return work if node.name == "largest" else "double"


def name_partial(name: str, kind: str) -> str:
    """What the names of functions over partial results of a type end with."""
    return name if kind == "double" else f"{name}_{kind}"


def join(name: str, result: str, one: str, other: str, kind: str = "double", lanes: int = 0) -> str:
    """Instructions that put two partial results together, or vectors of them; both ways hand NaN on."""
    number, truth, nan = kind, "i1", NAN
    if lanes:
        number, truth = f"<{lanes} x {kind}>", f"<{lanes} x i1>"
        nan = f"<{', '.join([f'{kind} {NAN}'] * lanes)}>"
    text = choose("ogt", truth, nan) if name == "largest" else "{r} = fadd {T} {0}, {1}"
    return text.format(one, other, r=result, T=number)


def accumulator(node: Node, work: str) -> tuple[str, str]:
    """The type in which coordinates add up to a reduction in a register, and what it begins with."""
    if node.name == "nonfinite":
        return "i32", "0"
    return partial_kind(node, work), NOTHING[name_join(node)]


def add_up(body: Body, node: Node, i: int) -> None:
    """Append the adding of a coordinate to accumulator ``%sum{i}``: what comes out is ``%sum{i}.next``."""
    if node.name == "nonfinite":
        bits, exponent = NON_FINITE[body.kind]
        body.emit(f"%sum{i}.b = bitcast {body.kind} {body.operand(node.args[0])} to {bits}")
        body.emit(f"%sum{i}.e = and {bits} %sum{i}.b, {exponent}")
        body.emit(f"%sum{i}.n = icmp eq {bits} %sum{i}.e, {exponent}")
        body.emit(f"%sum{i}.w = zext i1 %sum{i}.n to i32")
        body.emit(f"%sum{i}.next = add i32 %sum{i}, %sum{i}.w")
    elif node.name == "largest":
        # LLVM's own, of which it makes a vector of accumulators
        word, value = f"@llvm.maximum.{SUFFIX[body.kind][0]}", body.operand(node.args[0])
        body.emit(f"%sum{i}.next = call {body.kind} {word}({body.kind} %sum{i}, {body.kind} {value})")
    else:
        # the one place where order is free, so that the sum vectorises; chunks fix it again
        body.emit(f"%sum{i}.next = fadd reassoc nsz double %sum{i}, {take_share(body, node)}")


def take_share(body: Body, node: Node) -> str:
    """Append what a coordinate adds to a reduction, in float64: its value, or the square of it."""
    value = body.widen(body.kind, body.operand(node.args[0]))
    if node.name != "sumsq":
        return value
    name = body.name()
    body.emit(f"{name} = fmul double {value}, {value}")
    return name


def hand_over(body: Body, node: Node, value: str, slot: int) -> None:
    """Append the writing of a finished accumulator to its slot of ``%out``; ``body`` has the work type."""
    kind, _ = accumulator(node, body.kind)
    body.store("double", body.widen(kind, value), "%out", slot)
