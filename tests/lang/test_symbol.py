"""Arithmetic on symbols, and everything that a symbol refuses, with the rule and the line."""

import copy
import math

import numpy as np
import pytest
import torch

import descend
from descend.errors import RuleError
from descend.lang import rule, where
from descend.lang.graph import Graph, Rate
from descend.lang.symbol import Symbol, describe
from lang.trial import compute


@pytest.fixture
def graph():
    return Graph()


def make(graph, name, rate=Rate.COORDINATE):
    return Symbol(graph.input(name, rate), graph)


def value(symbol, **inputs):
    return compute(symbol.node, inputs)


def test_arithmetic_is_pythons(graph):
    a, b = make(graph, "a"), make(graph, "b")
    numbers = {"a": 3.5, "b": -1.25}
    for f in (
        lambda a, b: a + b,
        lambda a, b: 2 + a - 3 - b,
        lambda a, b: 2 - a * 3 * b,
        lambda a, b: a / b + 2 / a - b / 4,
        lambda a, b: a**3 + a**b - 2**b,
        lambda a, b: -a + +b + abs(b),
    ):
        assert value(f(a, b), **numbers) == f(**numbers)


def test_comparisons_are_pythons(graph):
    a = make(graph, "a")
    for number in (1.0, 2.0, 3.0):
        for f in (
            lambda a: a < 2, lambda a: a <= 2, lambda a: a > 2, lambda a: a >= 2, lambda a: a == 2, lambda a: a != 2,
            lambda a: 2 < a, lambda a: 2 >= a, lambda a: (a > 1) & (a < 3), lambda a: (a < 2) | (a > 2),
        ):  # fmt: skip
            assert value(f(a), a=number) == f(number)
        assert value(~(a > 2), a=number) == (not number > 2)


def test_a_condition_counts_as_one_or_zero(graph):
    a = make(graph, "a")
    assert value(3 * (a > 2) + (a > 0), a=1.0) == 1.0
    assert value(3 * (a > 2) + (a > 0), a=5.0) == 4.0
    assert value(where(a > 2, a > 9, a > 0), a=5.0) == 0.0


@pytest.mark.parametrize("number", [np.float64(2.0), True, 2, 2.0])
def test_numbers_that_are_pythons_may_enter(graph, number):
    assert value(number * make(graph, "a"), a=3.0) == 3.0 * float(number)


@pytest.mark.parametrize(
    "number", [np.float32(2.0), np.array([1.0, 2.0]), torch.tensor(2.0), "2", None, [1.0], 1j], ids=str
)
def test_other_numbers_are_refused(graph, number):
    with pytest.raises(RuleError, match="its arguments and plain numbers"):
        _ = make(graph, "a") * number
    if not isinstance(number, str | list | None | torch.Tensor):
        with pytest.raises(RuleError, match="its arguments and plain numbers"):
            _ = number * make(graph, "a")


def test_symbols_of_two_formulas_do_not_mix(graph):
    with pytest.raises(RuleError, match="symbol b belongs to another formula"):
        _ = make(graph, "a") + make(Graph(), "b")


def test_description(graph):
    a, b = make(graph, "a"), make(graph, "b")
    assert describe((a + b * 2).node) == "a + (b·2)"
    assert repr(abs(a) / b) == "(|a|)/b"


def test_copy_of_a_symbol_means_the_same_node(graph):
    a = make(graph, "a")
    assert copy.copy(a).node is a.node


USES = {
    "if": ("if g > 0:\n        pass", r"value of g > 0 is not known.*Use where\("),
    "and": ("x = g > 0 and p > 0", r"value of g > 0 is not known.*& \| ~"),
    "not": ("x = not g", "value of g is not known"),
    "chain": ("x = 0 < g < 1", "value of g > 0 is not known"),
    "min": ("x = min(g, p)", "value of p < g is not known"),
    "assert": ("assert lr == 0", "value of lr = 0 is not known"),
    "in": ("x = g in (p, g)", "value of .* is not known"),
    "numpy": ("x = np.sqrt(g)", "does not support ufuncs.*A formula may use"),
    "numpy two": ("x = np.maximum(g, 0)", "does not support ufuncs"),
    "numpy array": ("x = np.asarray(g)", "A NumPy function cannot take the symbol g; allowed: the words .*sqrt"),
    "numpy mean": ("x = np.linalg.norm(g)", "A NumPy function cannot take the symbol g"),
    "torch": ("x = torch.sqrt(g)", "torch function 'sqrt' cannot take the symbol g; allowed: the words .*sqrt"),
    "torch two": ("x = torch.maximum(p, g)", "torch function 'maximum' cannot take the symbol p"),
    "torch tensor": ("x = torch.ones(1) * g", "plain numbers: got tensor"),
    "math": ("x = math.sqrt(g)", r"a function of the math module cannot take the symbol g; allowed: .*sqrt"),
    "float": ("x = float(g)", r"float\(\) or a function of the math module"),
    "int": ("x = int(g)", r"int\(\) cannot take the symbol g"),
    "range": ("x = range(t)", r"An index or range\(\) cannot take the symbol t"),
    "loop": ("for x in g: pass", "Unpacking or a loop cannot take the symbol g"),
    "unpack": ("x, y = g", "Unpacking or a loop"),
    "method": ("x = g.sqrt()", "a formula's symbol has no attribute 'sqrt'"),
    "index": ("x = g[0]", "not subscriptable.*A formula may use"),
    "floor division": ("x = g // 2", "unsupported operand.*A formula may use"),
    "matrix product": ("x = g @ p", "unsupported operand"),
    "remainder": ("x = g % 2", "unsupported operand"),
    "key": ("x = {g: 1}", "unhashable"),
    "unknown word": ("x = sqroot(g)", "no word 'sqroot'. Did you mean 'sqrt'?"),
    "far word": ("x = convolve(g)", "no word 'convolve'. Known: abs, .*where"),
    "host word": ("x = cos(g)", r"cos\(\) works on hyper-parameters.*not on g; allowed: on coordinates: abs"),
    "host floor": ("x = floor(g * lr)", r"floor\(\) works on hyper-parameters"),
    "and of numbers": ("x = g & p", "& needs a condition, and g is a number. Compare it, for example g != 0"),
    "not of a number": ("x = ~g", "~ needs a condition"),
    "where of a number": ("x = where(lr, g, p)", r"where\(\) needs a condition, and lr is a number"),
    "norm of lr": ("x = norm(lr)", r"norm\(\) adds up coordinates: got lr; allowed: an expression of p, g"),
    "mean of a number": ("x = mean(2.0)", r"mean\(\) adds up coordinates: got 2.0"),
    "sum over": ("x = sum(g, over='al')", r"over= of sum\(\): got 'al'. Did you mean 'all'?"),
    "fresh": ("x = fresh(g)", r"fresh\(\) asks about a state: got g. Pass the state as it came in"),
    "arguments": ("x = clamp(g, 1)", "missing 1 required positional argument: 'high'"),
    "text": ("x = g + 'a'", "plain numbers: got 'a'"),
}


@pytest.mark.parametrize("name", USES)
def test_a_refusal_names_the_rule_and_the_line(name):
    line, expected = USES[name]
    source = f"@rule\ndef crooked(p, g, t, lr=0.1):\n    p = p\n    {line}\n    return -lr * g\n"
    words = {w: getattr(descend.lang, w) for w in descend.lang.__all__}
    scope = {**words, "rule": rule, "np": np, "torch": torch, "math": math}
    exec(compile(source, "notes.py", "exec"), scope)
    with pytest.raises(RuleError, match=r"rule 'crooked', notes.py, line 4: (?s:.*)" + expected):
        descend.optimizer(scope["crooked"])


@pytest.mark.parametrize(
    "result,expected",
    [
        ("return", "returns nothing; allowed: what is added to p, new m. End the formula with `return`"),
        ("return -g", r"returns 1 value\(s\); allowed: 2: what is added to p, new m"),
        ("return -g, m, m", r"returns 3 value\(s\); allowed: 2: what is added to p, new m"),
        ("return -g, None", "returns None, which is no value; allowed: expressions"),
        ("return 'down', m", "returns 'down', which is no value"),
        ("return np.ones(2), m", r"returns array\(\[1., 1.\]\), which is no value"),
    ],
)
def test_a_wrong_result_names_the_rule_and_the_line(result, expected):
    source = f"@rule(state=['m'])\ndef crooked(p, g, m, lr=0.1):\n    {result}\n"
    scope = {"rule": rule, "np": np}
    exec(compile(source, "notes.py", "exec"), scope)
    with pytest.raises(RuleError, match=r"rule 'crooked' \(notes.py, line 1\) " + expected):
        descend.optimizer(scope["crooked"])


def test_a_mistake_in_a_function_that_the_formula_calls_is_found_on_its_line():
    def helper(x):
        return x if x > 0 else -x

    @rule
    def crooked(p, g, lr=0.1):
        return -lr * helper(g)

    line = helper.__code__.co_firstlineno + 1
    with pytest.raises(RuleError, match=rf"rule 'crooked', .*test_symbol.py, line {line}: The value of g > 0"):
        descend.optimizer(crooked)
