"""``@rule``: what it reads from a signature, and signatures that are none of a formula."""

import functools

import pytest
import torch

import descend
from descend.errors import RuleError
from descend.lang import DecoupledDecay, L2Decay, NonNegative, OwnDecay, State, rule
from descend.lang.rule import WOVEN, Rule
from descend.optim.options import FLAGS, GROUP_ONLY, WIDE


@rule(state={"m": "exp_avg", "s": State("scale", rate="tensor", start=1.0)}, cite="me1", derives_from=("sgd", "adam"))
def made(p, g, t, m, s, lr: NonNegative = 0.5, beta=0.9, weight_decay: L2Decay = 0.25):
    """A first line.

    A second one.
    """
    m = beta * m + g
    return -lr * m / t, m, s


def test_what_a_signature_says():
    assert isinstance(made, Rule)
    assert made.name == "made"
    assert made.defaults == {"lr": 0.5, "beta": 0.9, "weight_decay": 0.25}
    assert list(made.states) == ["m", "s"]
    assert made.states["m"] == State("exp_avg")
    assert (made.cite, made.derives_from, made.decay) == (("me1",), ("sgd", "adam"), "l2")
    assert made.doc == "A first line.\n\nA second one."
    assert made.place == f"rule 'made' ({__file__}, line {made.formula.__code__.co_firstlineno})"


@pytest.mark.parametrize("mark,kind", [(L2Decay, "l2"), (DecoupledDecay, "decoupled"), (OwnDecay, "own")])
def test_the_kind_of_decay_comes_from_the_annotation(mark, kind):
    def f(p, g, weight_decay=0.0):
        return -g

    f.__annotations__["weight_decay"] = mark
    assert rule(f).decay == kind


@pytest.mark.parametrize("state", [["m"], {"m": "m"}, "m", ("m",)], ids=str)
def test_ways_to_name_a_state(state):
    @rule(state=state)
    def f(p, g, m):
        return -g, m

    assert f.states == {"m": State("m")}


def test_states_stand_in_the_order_of_the_parameters():
    @rule(state={"v": "second", "m": "first"})
    def f(p, g, m, v):
        return -g, m, v

    assert list(f.states) == ["m", "v"]
    descend.optimizer(f)  # and so must the results


def test_swapped_results_are_noticed():
    @rule(state=["m", "v"])
    def f(p, g, m, v, lr=0.1):
        m = 0.9 * m + g
        v = 0.9 * v + g * g
        return -lr * m, v, m

    with pytest.raises(RuleError, match=r"rule 'f' .*returns 'v' where the new 'm' belongs; allowed: the order"):
        descend.optimizer(f)


def test_a_state_that_is_never_returned_is_named():
    @rule(state=["m", "v"])
    def f(p, g, m, v, lr=0.1):
        m = 0.9 * m + g
        v = 0.9 * v + g * g
        return -lr * m, m

    with pytest.raises(RuleError, match=r"returns 2 value\(s\); allowed: 3: .*new m, new v. The state 'v' is never"):
        descend.optimizer(f)


def test_a_tensor_state_cannot_take_a_value_for_each_coordinate():
    @rule(state={"s": State("s", rate="tensor")})
    def f(p, g, s):
        return -g, s + g

    with pytest.raises(RuleError, match=r"rule 'f' .*state 's' is one value a tensor.*reduce the value"):
        descend.optimizer(f)


def define(signature, state=()):
    scope = {"rule": rule, "state": state, "NonNegative": NonNegative, "State": State}
    exec(compile(f"@rule(state=state)\ndef f({signature}):\n    return -g\n", "notes.py", "exec"), scope)
    return scope["f"]


@pytest.mark.parametrize(
    "signature,state,expected",
    [
        ("p, lr=0.1", (), "has no argument 'g'. A formula starts like"),
        ("g, lr=0.1", (), "has no argument 'p'"),
        ("p, g, lr", (), "argument 'lr' is neither a letter nor a state.*allowed: p, g, t.*or give it a default"),
        ("self, p, g", (), "argument 'self' is neither"),
        ("p, g, *args", (), "argument 'args' is neither"),
        ("p, g, **options", (), "argument 'options' is neither"),
        ("p, g, m", ["n"], r"state= names 'n'. Known: g, m, p."),
        ("p, g, momentum", ["momentun"], "state= names 'momentun'. Did you mean 'momentum'?"),
        ("p, g, lr: 'NonNegatve' = 1.0", (), "annotation cannot be read.*NonNegatve.*Import the names"),
        ("p, g, lr: 'not (' = 1.0", (), "annotation cannot be read .SyntaxError"),
        ("p, g, lr: 'State.nothing' = 1.0", (), "annotation cannot be read .AttributeError"),
        ("p, g, lr=[1.0]", (), r"hyper-parameter 'lr': got \[1.0\]; allowed: a number, a tuple of numbers"),
        ("p, g, weight_decay=0.1", (), "'weight_decay' has the name of an option.*allowed: the annotations L2Decay"),
        ("p, g", ["p"], "state 'p' has the letter of p, g or t"),
        ("p, g, t", ["t"], "state 't' has the letter of p, g or t"),
        ("p, g, m", {"m": State("m", rate="rows")}, r"state 'm' has rate=: got 'rows'; allowed: .*'row'.*or an axis"),
        ("p, g, m", {"m": "step"}, "state 'm' has the key 'step' of every optimizer's step count"),
        ("p, g, m, v", {"m": "k", "v": "k"}, "state 'v' has the key 'k' of the state 'm'"),
        ("p, g, m, init=1.0", {"m": State("m", start="initial")}, "start=: got 'initial'; allowed: a number, p, init"),
        ("p, g, m, form='a'", {"m": State("m", meaning="from")}, "has meaning=: got 'from'; allowed: None, form"),
        ("p, g, m, lr=1.0", {"m": State("lr", rate="group")}, "the key 'lr', an option's name in the groups"),
        ("p, g, m", {"m": State("decay", rate="all")}, "the key 'decay', an option's name in the groups"),
        ("p, g, m", {"m": State("m", rate="tensor", start="p")}, "start=: got 'p'; allowed: a number"),
    ],
)  # fmt: skip
def test_a_signature_that_is_none_of_a_formula(signature, state, expected):
    with pytest.raises(RuleError, match=r"rule 'f' \(notes.py, line 1\)(?s:.*)" + expected):
        define(signature, state)


@pytest.mark.parametrize("name", sorted({*WOVEN, *WIDE, *FLAGS, *GROUP_ONLY, "decay", "start"}))
def test_every_name_that_an_optimizer_needs_is_taken(name):
    with pytest.raises(RuleError, match=rf"parameter '{name}' has the name of an option.*Rename it"):
        define(f"p, g, {name}=1.0")


def test_only_plain_functions_are_formulas():
    for thing in (5, functools.partial(lambda p, g, lr: -lr * g, lr=1.0), int):
        with pytest.raises(RuleError, match="@rule decorates a plain function: got"):
            rule(thing)


@pytest.mark.parametrize(
    "thing", [lambda p, g: -g, descend.Adam, "adam", None], ids=["function", "class", "str", "None"]
)
def test_only_rules_become_optimizers(thing):
    with pytest.raises(RuleError, match=r"descend.optimizer\(\).*allowed: a formula decorated with descend.lang.rule"):
        descend.optimizer(thing)


def test_letters_may_be_keywords_only_or_missing():
    @rule
    def f(p, g, *, t, lr=1.0):
        return -lr * g / t

    @rule
    def constant(p, g):
        return -0.5

    for formula, expected in ((f, [-1.0, -1.5]), (constant, [-0.5, -1.0])):
        p = torch.nn.Parameter(torch.zeros(1))
        optimizer = descend.optimizer(formula)([p])
        for value in expected:
            p.grad = torch.ones(1)
            optimizer.step()
            assert p.item() == value


def test_a_variant_has_other_defaults_and_the_same_formula():
    other = made.variant("other", decay="decoupled", cite=["you"], lr=2.0)
    assert (other.name, other.decay, other.cite, other.derives_from) == (
        "other",
        "decoupled",
        ("me1", "you"),
        ("made",),
    )
    assert other.defaults == {**made.defaults, "lr": 2.0}
    assert other.formula is made.formula
    assert made.defaults["lr"] == 0.5


def test_a_variant_of_no_hyper_parameter_is_refused():
    with pytest.raises(RuleError, match="rule 'made' .*has no hyper-parameter 'betta'. Did you mean 'beta'?"):
        made.variant("other", betta=1.0)


def test_a_rule_prints_as_its_name_and_options():
    @rule
    def came(p, g, lr=0.1, beta=0.9):
        return -lr * beta * g

    assert repr(came) == "<rule came: lr, beta>"
