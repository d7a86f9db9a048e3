"""The words that a formula may use: one table, with a rendering per backend elsewhere.

``evaluate`` gives each word its meaning on plain numbers: IEEE, without exceptions, so that the branch of a
``where`` that is not taken may divide by zero. Constant folding, schedules and the eager backend's host part
use it; the C library's functions stand behind both it and the compiled host part, so their bits agree.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass


def _divide(a: float, b: float) -> float:
    if b != 0.0:
        return a / b
    return math.nan if a == 0.0 or a != a else math.copysign(math.inf, a) * math.copysign(1.0, b)


def _power(a: float, b: float) -> float:
    try:
        return math.pow(a, b)
    except OverflowError:
        return -math.inf if a < 0 and b % 2 == 1 else math.inf
    except ValueError:
        if a != 0.0:
            return math.nan
        return math.copysign(math.inf, a) if b % 2 == 1 else math.inf


def _root(a: float) -> float:
    return math.sqrt(a) if a >= 0.0 else math.nan


def _log(a: float) -> float:
    return math.log(a) if a > 0.0 else (-math.inf if a == 0.0 else math.nan)


def _exp(a: float) -> float:
    try:
        return math.exp(a)
    except OverflowError:
        return math.inf


def _cos(a: float) -> float:
    return math.cos(a) if math.isfinite(a) else math.nan


def _floor(a: float) -> float:
    return math.copysign(math.floor(a), a) if math.isfinite(a) else a  # floor(-0.0) is -0.0


def _minimum(a: float, b: float) -> float:
    return a if a != a else (b if b != b or b < a else a)


def _maximum(a: float, b: float) -> float:
    return a if a != a else (b if b != b or b > a else a)


def _sign(a: float) -> float:
    return 1.0 if a > 0 else (-1.0 if a < 0 else a)


@dataclass(frozen=True)
class Word:
    """One word.

    Args:
        evaluate: its meaning on plain numbers.
        latex: how it is set, with ``{0}`` for its first argument.
        text: the same in plain Unicode.
        level: binding strength of the result when set, from 1 (sums) to 5 (atoms).
        host_only: whether it may only be used on hyper-parameters, schedules and step counts.
        cost: arithmetic operations.
    """

    evaluate: Callable[..., float | bool]
    latex: str
    text: str
    level: int = 5
    host_only: bool = False
    cost: int = 1


WORDS: dict[str, Word] = {
    "add": Word(lambda a, b: a + b, "{0} + {1}", "{0} + {1}", 1),
    "sub": Word(lambda a, b: a - b, "{0} - {1}", "{0} − {1}", 1),
    "mul": Word(lambda a, b: a * b, r"{0} \, {1}", "{0}·{1}", 2),
    "div": Word(_divide, r"\frac{{{0}}}{{{1}}}", "{0}/{1}", 2),
    "neg": Word(lambda a: -a, "-{0}", "−{0}", 2),
    "pow": Word(_power, "{0}^{{{1}}}", "{0}^{1}", 4, cost=2),
    "lt": Word(lambda a, b: a < b, "{0} < {1}", "{0} < {1}", 0),
    "le": Word(lambda a, b: a <= b, r"{0} \le {1}", "{0} ≤ {1}", 0),
    "gt": Word(lambda a, b: a > b, "{0} > {1}", "{0} > {1}", 0),
    "ge": Word(lambda a, b: a >= b, r"{0} \ge {1}", "{0} ≥ {1}", 0),
    "eq": Word(lambda a, b: a == b, "{0} = {1}", "{0} = {1}", 0),
    "ne": Word(lambda a, b: a != b, r"{0} \ne {1}", "{0} ≠ {1}", 0),
    "and": Word(lambda a, b: bool(a) and bool(b), r"{0} \wedge {1}", "{0} and {1}", 0),
    "or": Word(lambda a, b: bool(a) or bool(b), r"{0} \vee {1}", "{0} or {1}", 0),
    "not": Word(lambda a: not a, r"\neg {0}", "not {0}", 0),
    "sqrt": Word(_root, r"\sqrt{{{0}}}", "√({0})"),
    "rsqrt": Word(lambda a: _divide(1.0, _root(a)), r"\frac{{1}}{{\sqrt{{{0}}}}}", "1/√({0})", 2, cost=2),
    "abs": Word(math.fabs, r"\left|{0}\right|", "|{0}|"),
    "sign": Word(_sign, r"\operatorname{{sign}}({0})", "sign({0})"),
    "exp": Word(_exp, r"e^{{{0}}}", "exp({0})"),
    "log": Word(_log, r"\log({0})", "log({0})"),
    "tanh": Word(math.tanh, r"\tanh({0})", "tanh({0})"),
    "minimum": Word(_minimum, r"\min({0}, {1})", "min({0}, {1})"),
    "maximum": Word(_maximum, r"\max({0}, {1})", "max({0}, {1})"),
    "where": Word(
        lambda c, a, b: a if c else b,
        r"\begin{{cases}}{1} & {0}\\ {2} & \text{{otherwise}}\end{{cases}}",
        "({1} if {0}, else {2})",
    ),
    "cos": Word(_cos, r"\cos({0})", "cos({0})", host_only=True),
    "floor": Word(_floor, r"\lfloor {0} \rfloor", "⌊{0}⌋", host_only=True),
}


def evaluate(op: str, *args: float) -> float:
    """A word's value on plain numbers.

    Raises:
        KeyError: if there is no such word.
    """
    return WORDS[op].evaluate(*args)
