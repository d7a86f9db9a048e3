"""Formulas of optimizers as MathML, which browsers set without a script or a font from the network."""

import ast
import re
from dataclasses import dataclass
from typing import Any

from descend.errors import DescendError, missing_extra
from descend.optim.catalogue import get


@dataclass(frozen=True)
class Formula:
    """What a page tells of a method: class, MathML, the same as text, and where it was published."""

    cls: str
    math: str
    text: str
    sources: list[str]


def find_formula(settings: str) -> Formula | None:
    """The formula behind a line of settings; None for a class that is not descend's.

    Args:
        settings: such as ``descend.SGD(model.parameters(), lr=0.1, momentum=0.9)``.

    Raises:
        MissingExtraError: latex2mathml is not installed.
    """
    match = re.match(r"descend\.(\w+)\(", settings)
    if match is None:
        return None
    try:
        rule = get(match[1]).rule
        options = {key: value for key, value in _read_options(settings).items() if key in rule.hypers}
        return Formula(match[1], set_math(rule.latex(**options)), rule.text(**options), list(rule.sources))
    except DescendError as error:
        if isinstance(error, ImportError):
            raise
        return None  # written by another version of descend, which had this method or option


def _read_options(settings: str) -> dict[str, Any]:
    """The keywords of the call whose values are literals; a schedule is none."""
    call = ast.parse(settings, mode="eval").body
    assert isinstance(call, ast.Call)
    found: dict[str, Any] = {}
    for keyword in call.keywords:
        try:
            found[str(keyword.arg)] = ast.literal_eval(keyword.value)
        except ValueError:
            continue
    return found


def set_math(latex: str) -> str:
    """LaTeX of ``rule.latex()`` as an element ``<math>``.

    Raises:
        MissingExtraError: latex2mathml is not installed.
    """
    try:
        from latex2mathml.converter import convert
    except ImportError as error:
        raise missing_extra("latex2mathml", "bench", "The report") from error
    # The package knows align*, not aligned, and sets \mathrm letter by letter where \text is one word.
    plain = latex.replace("{aligned}", "{align*}").replace(r"\mathrm{", r"\text{").replace(r"\_", "_")
    return convert(plain)
