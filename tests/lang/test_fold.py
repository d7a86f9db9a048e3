"""Which zeros fold away: those that save a state, a stream or a pass, and no others."""

import numpy as np
import pytest
import torch

import descend
from descend.lang import L2Decay, OwnDecay, State, norm, rule
from descend.lang.fold import build_program, fold_zeros, split_options
from descend.lang.weave import default_structure
from lang.trial import BACKENDS, run


def folded(made, *zeros, **options):
    return fold_zeros(made, default_structure(made, **options), frozenset(zeros)).zeros


@pytest.mark.parametrize(
    "name,zeros,expected",
    [
        ("SGD", {"momentum"}, {"momentum"}),
        ("SGD", {"dampening"}, set()),
        ("RMSprop", {"momentum", "eps"}, {"momentum"}),
        ("Adam", {"betas[0]", "betas[1]"}, set()),  # torch keeps both moments, and so a later beta finds them
        ("Adam", {"eps"}, set()),
        ("Adagrad", {"lr_decay", "eps"}, set()),
        ("Lion", {"betas[0]", "betas[1]"}, set()),
        ("LARS", {"momentum"}, {"momentum"}),
        ("NAdam", {"momentum_decay"}, set()),
    ],
)
def test_methods(name, zeros, expected):
    assert folded(getattr(descend, name).rule, *zeros) == expected


@pytest.mark.parametrize(
    "name,options,streams",
    [
        ("SGD", {"momentum"}, ("p", "g")),
        ("SGD", set(), ("p", "g", "v")),
        ("Adam", set(), ("p", "g", "m", "v")),
        ("Adam", {"betas[0]", "betas[1]", "eps"}, ("p", "g", "m", "v")),
        ("LARS", {"momentum"}, ("p", "g")),
    ],
)
def test_streams_that_are_left(name, options, streams):
    made = getattr(descend, name).rule
    structure = fold_zeros(made, default_structure(made), frozenset(options))
    assert build_program(made, structure).streams == streams


def test_a_zero_that_saves_a_pass_folds():
    @rule
    def f(p, g, lr=0.1, trust=0.0):
        return -lr * g * (1.0 + trust * norm(p))

    assert folded(f, "trust") == {"trust"}
    assert len(build_program(f, default_structure(f)).passes) == 2
    assert len(build_program(f, fold_zeros(f, default_structure(f), frozenset(["trust"]))).passes) == 1


def test_a_zero_that_saves_a_stream_folds_and_one_that_saves_only_arithmetic_does_not():
    @rule
    def f(p, g, lr=0.1, pull=0.0, push=0.0):
        return -lr * (g + push + pull * p * p)

    assert folded(f, "pull", "push") == set()  # p is read anyway


def test_one_program_for_one_structure():
    adam = descend.Adam.rule
    assert build_program(adam, default_structure(adam)) is build_program(adam, default_structure(adam))


def test_options_are_split_by_what_they_decide():
    made = descend.LAMB.rule
    fixed, numbers = split_options(made, {**made.defaults, "clamp": (0.0, 5.0)})
    assert dict(fixed) == {"bias_correction": True, "exclude_undecayed": False}
    assert numbers == {
        "lr": 1e-3, "betas[0]": 0.9, "betas[1]": 0.999, "eps": 1e-6, "weight_decay": 0.0, "clamp[0]": 0.0,
        "clamp[1]": 5.0,
    }  # fmt: skip
    assert dict(split_options(made, made.defaults)[0])["clamp"] is None


@pytest.mark.parametrize("backend", BACKENDS)
def test_folding_never_changes_a_value(backend):
    """Every option of a rule with seven of them at zero, one at a time and together, against NumPy."""

    @rule(state={"m": State("m", optional=True), "n": State("n", optional=True)})
    def f(p, g, m, n, lr=0.1, a=0.5, b=0.25, c=2.0, weight_decay: OwnDecay = 0.5):
        m = a * m + g
        n = b * n + m * m
        return -lr * (m + c * n + weight_decay * p / (1 + c * norm(p))), m, n

    start, rows = [[0.7, -1.3]], [[[0.5, -2.0]], [[1.5, 0.25]], [[-0.5, 1.0]]]
    for zeros in (
        (),
        ("a",),
        ("b",),
        ("c",),
        ("weight_decay",),
        ("a", "b"),
        ("c", "weight_decay"),
        ("a", "c"),
        ("lr",),
    ):
        o = {"lr": 0.1, "a": 0.5, "b": 0.25, "c": 2.0, "weight_decay": 0.5, **dict.fromkeys(zeros, 0.0)}
        p, m, n = np.array(start[0]), 0.0, 0.0
        for row in rows:
            m = o["a"] * m + np.array(row[0])
            n = o["b"] * n + m * m
            decay = o["weight_decay"] * p / (1 + o["c"] * np.linalg.norm(p))
            p = p - o["lr"] * (m + o["c"] * n + decay)
        (got,), _ = run(f, start, rows, backend, **o)
        np.testing.assert_allclose(got, p, rtol=1e-13, err_msg=str(zeros))


def test_the_l2_decay_of_zero_reads_no_parameter_in_the_first_pass():
    @rule
    def f(p, g, lr=0.1, weight_decay: L2Decay = 0.0):
        return -lr * g / norm(g)

    plain = fold_zeros(f, default_structure(f), frozenset(["weight_decay"]))
    first, second = build_program(f, default_structure(f)).passes
    assert "p" in first.loads and set(second.loads) == {"p", "g"}
    assert plain.zeros <= {"weight_decay"}


@pytest.mark.parametrize("optional", [True, False])
def test_only_an_optional_state_is_dropped(optional):
    @rule(state={"m": State("m", optional=optional)})
    def f(p, g, m, lr=0.1, momentum=0.9):
        m = momentum * m + g
        return -lr * m, m

    assert folded(f, "momentum") == ({"momentum"} if optional else set())
    assert build_program(f, default_structure(f)).streams == ("p", "g", "m")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_folded_state_is_made_when_its_option_is_switched_on(backend):
    @rule(state={"m": State("m", optional=True)})
    def f(p, g, m, lr=0.1, momentum=0.0):
        m = momentum * m + g
        return -lr * m, m

    p = torch.nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    optimizer = descend.optimizer(f)([p], backend=backend)
    for momentum in (0.0, 0.0, 0.5, 0.5):
        optimizer.param_groups[0]["momentum"] = momentum
        p.grad = torch.ones_like(p)
        optimizer.step()
        assert ("m" in optimizer.state[p]) == (momentum > 0)
    # lr times 1, 1, then of a buffer that begins at 0: 1, 1.5
    assert p.item() == pytest.approx(1 - 0.1 * (1 + 1 + 1 + 1.5), rel=1e-15)
