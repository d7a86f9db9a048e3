"""Formulas that store each word's value in a state, so that tests can read it. They leave p where it is."""

from descend.lang import (
    Real,
    State,
    Value,
    clamp,
    cos,
    exp,
    floor,
    log,
    maximum,
    mean,
    minimum,
    norm,
    rsqrt,
    rule,
    sign,
    sqrt,
    sum,
    tanh,
    where,
)


@rule(state=["add", "sub", "mul", "div", "neg", "square", "cube", "half"])
def arithmetic(
    p: Value,
    g: Value,
    add: Value,
    sub: Value,
    mul: Value,
    div: Value,
    neg: Value,
    square: Value,
    cube: Value,
    half: Value,
) -> tuple[Value, ...]:
    return 0.0 * g, p + g, p - g, p * g, p / g, -p, p**2, p**3, p**0.5


@rule(state=["root", "rroot", "size", "sgn", "low", "high", "clamped"])
def rounding_free(
    p: Value, g: Value, root: Value, rroot: Value, size: Value, sgn: Value, low: Value, high: Value, clamped: Value
) -> tuple[Value, ...]:
    return 0.0 * g, sqrt(p), rsqrt(p), abs(p), sign(p), minimum(p, g), maximum(p, g), clamp(p, -2.0, 3.0)


@rule(state=["lt", "le", "gt", "ge", "eq", "ne", "both", "either", "neither", "chosen"])
def conditions(
    p: Value,
    g: Value,
    lt: Value,
    le: Value,
    gt: Value,
    ge: Value,
    eq: Value,
    ne: Value,
    both: Value,
    either: Value,
    neither: Value,
    chosen: Value,
) -> tuple[Value, ...]:
    return (
        0.0 * g,
        where(p < g, 1.0, 0.0),
        where(p <= g, 1.0, 0.0),
        where(p > g, 1.0, 0.0),
        where(p >= g, 1.0, 0.0),
        where(p == g, 1.0, 0.0),
        where(p != g, 1.0, 0.0),
        where((p < g) & (g > 0), 1.0, 0.0),
        where((p < g) | (g > 0), 1.0, 0.0),
        where(~((p < g) | (g > 0)), 1.0, 0.0),
        where(p < g, p, g),
    )


@rule(state=["e", "ln", "th"])
def transcendental(p: Value, g: Value, e: Value, ln: Value, th: Value) -> tuple[Value, ...]:
    return 0.0 * g, exp(p), log(p), tanh(p)


@rule(state=["power"])
def powers(p: Value, g: Value, power: Value, k: Real = 1.7) -> tuple[Value, ...]:
    return 0.0 * g, p**k


HOST = ("add", "sub", "mul", "div", "neg", "pow", "sqrt", "rsqrt", "abs", "sign", "exp", "log", "tanh", "cos",
        "floor", "minimum", "maximum", "lt", "ge", "where")  # fmt: skip


@rule(state=[f"h_{name}" for name in HOST])
def host_words(
    p: Value,
    g: Value,
    h_add: Value,
    h_sub: Value,
    h_mul: Value,
    h_div: Value,
    h_neg: Value,
    h_pow: Value,
    h_sqrt: Value,
    h_rsqrt: Value,
    h_abs: Value,
    h_sign: Value,
    h_exp: Value,
    h_log: Value,
    h_tanh: Value,
    h_cos: Value,
    h_floor: Value,
    h_minimum: Value,
    h_maximum: Value,
    h_lt: Value,
    h_ge: Value,
    h_where: Value,
    a: Real = 0.3,
    b: Real = 2.0,
) -> tuple[Value, ...]:
    return (
        0.0 * g,
        a + b,
        a - b,
        a * b,
        a / b,
        -a,
        a**b,
        sqrt(a),
        rsqrt(a),
        abs(a),
        sign(a),
        exp(a),
        log(a),
        tanh(a),
        cos(a),
        floor(a),
        minimum(a, b),
        maximum(a, b),
        where(a < b, 1.0, 0.0),
        where(a >= b, 1.0, 0.0),
        where(a < b, a, b),
    )


@rule(state={letter: State(letter, rate="tensor") for letter in ("total", "length", "average", "everything")})
def reductions(p: Value, g: Value, total: Value, length: Value, average: Value, everything: Value) -> tuple[Value, ...]:
    return 0.0 * p, sum(g), norm(g), mean(g), norm(g, over="all") + sum(p, over="all") + 0.0 * total


@rule(state=["x"])
def assign(p: Value, g: Value, x: Value) -> tuple[Value, ...]:
    """Rounds the state into the parameter: with p = -0, p + x is x to the bit."""
    return x, x


@rule(state=["seen"])
def look(p: Value, g: Value, seen: Value) -> tuple[Value, ...]:
    """Keeps the gradient as the arithmetic sees it."""
    return 0.0 * p, g


@rule(state={"old": "old"})
def remember(p: Value, g: Value, old: Value, lr: Real = 0.1) -> tuple[Value, ...]:
    """The state becomes the parameter as it was."""
    return -lr * g * (old + 1), p


@rule(state=["a", "b"])
def exchange(p: Value, g: Value, a: Value, b: Value, lr: Real = 0.1) -> tuple[Value, ...]:
    """Each state becomes the other one."""
    return -lr * (a + 2 * b + g), b * 1, a * 1
