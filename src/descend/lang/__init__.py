"""The language of formulas: write a method once, on one coordinate, in the paper's letters.

    from descend.lang import rule, sign

    @rule(state={"m": "momentum_buffer"})
    def signed(p, g, m, lr=0.1, beta=0.9):
        m = beta * m + (1 - beta) * g
        return -lr * sign(m), m

This package imports neither torch nor a compiler.
"""

from descend.lang.functions import (
    clamp,
    cos,
    dtype_eps,
    exp,
    floor,
    fresh,
    largest,
    log,
    maximum,
    mean,
    minimum,
    norm,
    rms,
    rsqrt,
    sign,
    sqrt,
    sum,
    tanh,
    where,
)
from descend.lang.ranges import (
    DecoupledDecay,
    Fraction,
    Keep,
    L2Decay,
    NonNegative,
    OwnDecay,
    Positive,
    Range,
    Real,
    Value,
    Within,
)
from descend.lang.rule import ALWAYS_DESCENDS, Rule, State, rule

__all__ = [
    "ALWAYS_DESCENDS", "DecoupledDecay", "Fraction", "Keep", "L2Decay", "NonNegative", "OwnDecay",
    "Positive", "Range", "Real", "Rule", "State", "Value", "Within", "clamp", "cos", "dtype_eps", "exp", "floor",
    "fresh", "largest", "log", "maximum", "mean", "minimum", "norm", "rms", "rsqrt", "rule", "sign", "sqrt", "sum",
    "tanh", "where",
]  # fmt: skip
