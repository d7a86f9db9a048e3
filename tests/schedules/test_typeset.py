"""Formulas in type: what stands there is what is computed."""

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from descend.lang.words import WORDS as WORD_TABLE
from descend.schedules import (
    Schedule,
    cosine,
    cosine_restarts,
    exponential,
    inverse_sqrt,
    linear,
    milestones,
    step_decay,
    triangular,
    triangular2,
    warmup,
)
from schedules.built import built

# The language's own words, which take 0, infinity and NaN: a line stands also where its value is not taken.
SPELLED = {
    "min": "minimum",
    "max": "maximum",
    "exp": "exp",
    "cos": "cos",
    "log": "log",
    "sqrt": "sqrt",
    "floor": "floor",
}
WORDS = {"π": math.pi, **{printed: WORD_TABLE[word].evaluate for printed, word in SPELLED.items()}}
SIGNS = str.maketrans({"·": "*", "−": "-", "⌊": "floor(", "⌋": ")", "√": "sqrt", "^": "**", "≤": "<="})
SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")


def read(text: str, k: int) -> float:
    """The value of a formula in Unicode, computed line by line from what is printed."""
    names: dict[str, float] = {"k": k}
    for line in text.splitlines():
        name, formula = line.translate(SIGNS).translate(SUBSCRIPTS).split(" = ", 1)
        # "(a if c, b if d, else e)": a comma ends each condition, and no condition has a comma inside.
        formula = re.sub(r"if ([^,]*), (?:else )?", r"if \1 else ", formula)
        try:
            names[name] = eval(formula, dict(WORDS), names)
        except ArithmeticError:  # a line stands also where its value is not taken; NaN tells if it is
            names[name] = math.nan
    return names["s(k)"]


@settings(max_examples=60, deadline=None)
@given(built, st.integers(0, 150))
def test_the_text_computes_the_value(schedule: Schedule, k: int):
    # Numbers are printed with six digits, which an exponent of 150 multiplies.
    assert read(schedule.text(), k) == pytest.approx(schedule.at(k), rel=3e-3, abs=1e-3)


@settings(max_examples=30, deadline=None)
@given(built)
def test_latex_is_well_formed(schedule: Schedule):
    text = schedule.latex()
    assert text.count("{") == text.count("}")
    assert text.count(r"\left(") == text.count(r"\right)")
    assert text.count(r"\begin{") == text.count(r"\end{")
    assert text.startswith("\\begin{aligned}\n") and "s(k) &= " in text
    assert text.isascii()


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        (warmup(100), "s(k) = min(1, (k + 1)/100)"),
        (cosine(1000), "s(k) = 0.5·(1 + cos(π·min(k, 1000)/1000))"),
        (step_decay(30), "s(k) = 0.1^⌊k/30⌋"),
        (milestones((30, 60), 0.5), "s(k) = (1 if k < 30, 0.5 if k < 60, else 0.25)"),
        (linear(1000000, 0.5), "progress = min(k, 1000000)/1000000\ns(k) = 1 − progress + 0.5·progress"),
        (exponential(gamma=0.99) * 1e-5, "s(k) = 0.99^k·1e-05"),
        (triangular(2, 0.2) * 3, "x = min((k − 4·⌊k/4⌋)/2, (4 − (k − 4·⌊k/4⌋))/2)\ns(k) = (0.2 + 0.8·x)·3"),
        (cosine_restarts(7), "cycle = ⌊k/7⌋\nprogress = (k − 7·cycle)/7\ns(k) = 0.5·(1 + cos(π·progress))"),
        (warmup(5).then(inverse_sqrt(3), at=5).clamp(0, 0.5), (
            "t = k − 5 + 1\ns(k) = min(max((min(1, (k + 1)/5) if k < 5, else min(t/3, √(3/t))), 0), 0.5)")),
        (inverse_sqrt(3) * inverse_sqrt(4).then(inverse_sqrt(5), at=6), (
            "t₁ = k + 1\nt₂ = k − 6 + 1\n"
            "s(k) = min(t₁/3, √(3/t₁))·(min(t₁/4, √(4/t₁)) if k < 6, else min(t₂/5, √(5/t₂)))")),
    ],
    ids=repr,
)  # fmt: skip
def test_text(schedule: Schedule, text: str):
    assert schedule.text() == text


def test_latex():
    schedule = milestones((30, 60)) * triangular2(2, 0.5) * 2.5e-7
    assert schedule.latex() == (
        "\\begin{aligned}\n"
        "\\mathrm{stairs} &= \\begin{cases}1 & k < 30\\\\ 0.1 & k < 60\\\\ 0.01 & \\text{otherwise}\\end{cases} \\\\\n"
        "\\mathrm{cycle} &= \\lfloor \\frac{k}{4} \\rfloor \\\\\n"
        "x &= \\min(\\frac{k - 4 \\, \\mathrm{cycle}}{2}, "
        "\\frac{4 - \\left(k - 4 \\, \\mathrm{cycle}\\right)}{2}) \\\\\n"
        "s(k) &= \\mathrm{stairs} \\, \\left(0.5 + 0.5 \\, x \\, 0.5^{\\mathrm{cycle}}\\right) \\, 2.5 \\cdot 10^{-7}\n"
        "\\end{aligned}"
    )
