"""How each word of the language is written in LLVM IR: the CPU backend's table.

``{r}`` is the result, ``{0}`` the first argument, ``{T}`` the float type, ``{S}`` its suffix in intrinsics,
``{f}`` its suffix in the C library. No fast-math flag anywhere: values must not depend on who else reads them.
"""

import ctypes
import struct

NAN = "0x7FF8000000000000"


def choose(comparison: str, truth: str = "i1", nan: str = NAN) -> str:
    """The first of two numbers if a comparison holds, else the second; NaN if one of them is.

    Processors choose so in one instruction, NaN aside. LLVM's own minimum and maximum order zeros by sign besides,
    which takes twice as many, and eager leaves that open: under it SM3 on ResNet-50 took 17.6 ms instead of 13.7.

    Args:
        comparison: ``"olt"`` or ``"ogt"``.
        truth: the type of what a comparison gives; of vectors another.
        nan: NaN in the type of the numbers. A constant: LLVM would make one choice of two that give the same value.
    """
    return (
        f"{{r}}.c = fcmp {comparison} {{T}} {{0}}, {{1}}\n"
        f"  {{r}}.m = select {truth} {{r}}.c, {{T}} {{0}}, {{T}} {{1}}\n"
        f"  {{r}}.n = fcmp uno {{T}} {{0}}, {{0}}\n"
        f"  {{r}} = select {truth} {{r}}.n, {{T}} {nan}, {{T}} {{r}}.m"
    )


IR: dict[str, str] = {
    "add": "{r} = fadd {T} {0}, {1}",
    "sub": "{r} = fsub {T} {0}, {1}",
    "mul": "{r} = fmul {T} {0}, {1}",
    "div": "{r} = fdiv {T} {0}, {1}",
    "neg": "{r} = fneg {T} {0}",
    "pow": "{r} = call {T} @pow{f}({T} {0}, {T} {1})",
    "lt": "{r} = fcmp olt {T} {0}, {1}",
    "le": "{r} = fcmp ole {T} {0}, {1}",
    "gt": "{r} = fcmp ogt {T} {0}, {1}",
    "ge": "{r} = fcmp oge {T} {0}, {1}",
    "eq": "{r} = fcmp oeq {T} {0}, {1}",
    "ne": "{r} = fcmp une {T} {0}, {1}",
    "and": "{r} = and i1 {0}, {1}",
    "or": "{r} = or i1 {0}, {1}",
    "not": "{r} = xor i1 {0}, true",
    "where": "{r} = select i1 {0}, {T} {1}, {T} {2}",
    "sqrt": "{r} = call {T} @llvm.sqrt.{S}({T} {0})",
    "rsqrt": "{r}.root = call {T} @llvm.sqrt.{S}({T} {0})\n  {r} = fdiv {T} 1.0, {r}.root",
    "abs": "{r} = call {T} @llvm.fabs.{S}({T} {0})",
    # -1, 0, 1; the last select hands NaN and both zeros through
    "sign": (
        "{r}.up = fcmp ogt {T} {0}, 0.0\n  {r}.down = fcmp olt {T} {0}, 0.0\n"
        "  {r}.minus = select i1 {r}.down, {T} -1.0, {T} {0}\n  {r} = select i1 {r}.up, {T} 1.0, {T} {r}.minus"
    ),
    "minimum": choose("olt"),
    "maximum": choose("ogt"),
    "exp": "{r} = call {T} @exp{f}({T} {0})",
    "log": "{r} = call {T} @log{f}({T} {0})",
    "tanh": "{r} = call {T} @tanh{f}({T} {0})",
    "cos": "{r} = call {T} @cos{f}({T} {0})",
    "floor": "{r} = call {T} @llvm.floor.{S}({T} {0})",
}

SUFFIX = {"float": ("f32", "f"), "double": ("f64", "")}


def literal(value: float, kind: str) -> str:
    """A float constant as LLVM writes it: the bits of the double that equals it."""
    if kind == "float":
        value = ctypes.c_float(value).value  # rounds, and becomes infinite where C's conversion does
    return "0x" + struct.pack(">d", value).hex().upper()


def declare() -> str:
    """Declarations of every function that the table calls.

    The C library's are ``nobuiltin``, or LLVM would replace ``pow(2, x)`` by ``exp2(x)`` and change bits.
    """
    lines = ["attributes #0 = { nounwind willreturn memory(none) nobuiltin }"]
    for kind, (suffix, libm) in SUFFIX.items():
        lines += [f"declare {kind} @llvm.{w}.{suffix}({kind})" for w in ("sqrt", "fabs", "floor")]
        lines += [f"declare {kind} @llvm.{w}.{suffix}({kind}, {kind})" for w in ("maximum", "copysign")]
        lines += [f"declare {kind} @{w}{libm}({kind}) #0" for w in ("exp", "log", "tanh", "cos")]
        lines.append(f"declare {kind} @pow{libm}({kind}, {kind}) #0")
    return "\n".join(lines)


# How 16-bit floats are made from a value in the work type, and how they are read again: {h} is what lies in memory.
# bfloat16 rounds to nearest even by integer arithmetic, NaN becoming torch's 0x7FC0.
PACK = {
    "float16": "{h} = fptrunc float {x} to half",
    "bfloat16": (
        "{h}.b = bitcast float {x} to i32\n  {h}.o = lshr i32 {h}.b, 16\n  {h}.l = and i32 {h}.o, 1\n"
        "  {h}.k = add i32 {h}.l, 32767\n  {h}.c = add i32 {h}.b, {h}.k\n  {h}.u = lshr i32 {h}.c, 16\n"
        "  {h}.t = trunc i32 {h}.u to i16\n  {h}.n = fcmp uno float {x}, {x}\n"
        "  {h} = select i1 {h}.n, i16 32704, i16 {h}.t"
    ),
}
UNPACK = {
    "float16": "{r} = fpext half {h} to float",
    "bfloat16": ("{r}.w = zext i16 {h} to i32\n  {r}.s = shl i32 {r}.w, 16\n  {r} = bitcast i32 {r}.s to float"),
}
# How a coordinate is read from and written to memory: {a} is the address, {r} or {x} the value in the work type.
LOAD: dict[tuple[str, str], str] = {
    ("float32", "float"): "{r} = load float, ptr {a}",
    ("float64", "double"): "{r} = load double, ptr {a}",
    ("float16", "float"): "{r}.h = load half, ptr {a}\n  " + UNPACK["float16"].replace("{h}", "{r}.h"),
    ("bfloat16", "float"): "{r}.h = load i16, ptr {a}\n  " + UNPACK["bfloat16"].replace("{h}", "{r}.h"),
}
STORE: dict[tuple[str, str], str] = {
    ("float32", "float"): "store float {x}, ptr {a}",
    ("float64", "double"): "store double {x}, ptr {a}",
    ("float16", "float"): PACK["float16"].replace("{h}", "{a}.h") + "\n  store half {a}.h, ptr {a}",
    ("bfloat16", "float"): PACK["bfloat16"].replace("{h}", "{a}.h") + "\n  store i16 {a}.h, ptr {a}",
}
CELL = {"float32": "float", "float64": "double", "float16": "half", "bfloat16": "i16"}
NON_FINITE = {  # all bits of the exponent set
    "float": ("i32", 0x7F800000),
    "double": ("i64", 0x7FF0000000000000),
}
