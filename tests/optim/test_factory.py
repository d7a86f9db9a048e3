"""``descend.optimizer(rule)``: from a script, a module and a notebook; pickled by name; the whole surface for free."""

import copy
import inspect
import pickle
import subprocess
import sys
import textwrap

import pytest
import torch

import descend
from descend.errors import OptionError, RuleError
from descend.lang import NonNegative, rule, sign
from optim import rules_of_a_module as module
from optim.models import assert_equal, copies, parameters, train


def follow(optimizer, p):
    p.grad = torch.tensor([0.75, -0.5], dtype=torch.float64)
    optimizer.step()
    return p.detach().clone()


def same_next_step(a, b):
    (p,), (q,) = (o.param_groups[0]["params"] for o in (a, b))
    assert p is not q
    assert torch.equal(follow(a, p), follow(b, q))


@pytest.mark.parametrize(
    "cls,options",
    [
        *((cls, {}) for cls in descend.optimizers().values()),
        (descend.SGD, {"lr": 0.1, "momentum": 0.9, "clip_norm": 1.0}),
        (descend.Adam, {"lr": descend.schedules.warmup(5) * 0.1, "amsgrad": True, "on_nonfinite": "skip"}),
        (module.Signed, {"lr": 0.2}),
        (descend.optimizer(module.plain), {}),
        (module.Patient, {"lr": 0.1}),
        (module.PatientW, {"lr": 0.1}),
    ],
    ids=lambda x: x.__name__ if isinstance(x, type) else "",
)
@pytest.mark.parametrize("way", [lambda o: pickle.loads(pickle.dumps(o)), copy.deepcopy], ids=["pickle", "deepcopy"])
def test_copies_go_on_alike(cls, options, way):
    optimizer, _ = module.make(cls, **options)
    other = way(optimizer)
    assert type(other) is cls
    assert other.wide == optimizer.wide
    same_next_step(optimizer, other)
    assert other.state_dict()["param_groups"] == optimizer.state_dict()["param_groups"]


def test_a_local_rule_is_refused_by_name_but_copies_and_saves():
    @rule
    def secret(p, g, lr: NonNegative = 0.1):
        return -lr * g

    optimizer, _p = module.make(descend.optimizer(secret))
    with pytest.raises(
        RuleError, match=r"Secret cannot be pickled: its rule '.*secret' is not found in module .*top level"
    ):
        pickle.dumps(optimizer)
    same_next_step(optimizer, copy.deepcopy(optimizer))
    optimizer.load_state_dict(optimizer.state_dict())


def test_a_rule_that_another_has_taken_the_name_of_is_refused():
    @rule
    def signed(p, g, lr: NonNegative = 0.1):
        return -lr * g

    signed.formula.__module__, signed.formula.__qualname__ = module.__name__, "signed"
    optimizer, _ = module.make(descend.optimizer(signed))
    with pytest.raises(RuleError, match="'signed' is not found in module"):
        pickle.dumps(optimizer)


def test_a_rule_that_is_gone_at_unpickling_is_named(monkeypatch):
    data = pickle.dumps(module.make(module.Signed)[0])
    monkeypatch.delattr(module, "signed")
    monkeypatch.delattr(module, "Signed")
    with pytest.raises(RuleError, match=r"The rule 'signed' is no longer in module '.*rules_of_a_module'. Keep it"):
        pickle.loads(data)


SCRIPT = """
import copy, pickle, torch, descend
from descend.lang import rule, sqrt

@rule(state=["s"])
def rooted(p, g, s, lr=0.5):
    s = s + g * g
    return -lr * g / (1 + sqrt(s)), s

Rooted = descend.optimizer(rooted)
p = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))
optimizer = Rooted([p], lr=0.25, weight_decay=0.01, decay="decoupled", clip_norm=10.0)
p.grad = torch.tensor([3.0, 4.0], dtype=torch.float64)
optimizer.step()
for other in (pickle.loads(pickle.dumps(optimizer)), copy.deepcopy(optimizer)):
    (q,) = other.param_groups[0]["params"]
    q.grad = torch.tensor([4.0, 3.0], dtype=torch.float64)
    other.step()
    print(type(other).__name__, type(other).__module__, *q.tolist())
"""


def test_from_a_script(tmp_path):
    path = tmp_path / "my_script.py"
    path.write_text(SCRIPT)
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    expected = [-0.25 * 3 / 4 * (1 - 0.0025) - 0.25 * 4 / 6, -0.25 * 4 / 5 * (1 - 0.0025) - 0.25 * 3 / 6]
    assert len(lines) == 2
    for name, home, *values in lines:
        assert (name, home) == ("Rooted", "__main__")
        assert [float(v) for v in values] == pytest.approx(expected, rel=1e-14)


def test_from_a_notebook_cell():
    """Code without a file: nothing may ask for its source."""
    source = textwrap.dedent("""
        from descend.lang import rule
        import descend
        @rule(state=["m"])
        def halved(p, g, m, lr=0.1):
            "Half of it."
            m = 0.5 * m + g
            return -lr * m, m
        Halved = descend.optimizer(halved)
    """)
    scope = {"__name__": "__main__"}
    exec(compile(source, "<ipython-input-7>", "exec"), scope)
    _optimizer, p = module.make(scope["Halved"])
    expected = torch.tensor([1 - 0.05 - 0.1 * (0.25 - 1), -2 - 0.025 - 0.1 * (0.125 + 0.5)], dtype=torch.float64)
    assert_equal([p], [expected])
    broken = source.replace("0.5 * m", "0.5 * n")
    with pytest.raises(RuleError, match="rule 'halved', <ipython-input-7>, line 7: no word 'n'"):
        exec(compile(broken, "<ipython-input-7>", "exec"), scope)


def test_the_class_is_that_of_the_rule():
    @rule(state={"m": "momentum_buffer"})
    def my_signed_step(p, g, m, lr: NonNegative = 0.1, beta=0.9):
        """A first line."""
        m = beta * m + (1 - beta) * g
        return -lr * sign(m), m

    cls = descend.optimizer(my_signed_step)
    assert cls is descend.optimizer(my_signed_step)
    assert cls.__name__ == "MySignedStep" and cls.__module__ == __name__ and cls.rule is my_signed_step
    assert cls.__doc__.startswith("A first line.")
    assert list(inspect.signature(cls).parameters)[:3] == ["params", "lr", "beta"]
    assert inspect.signature(cls).parameters["lr"].default == 0.1
    assert descend.optimizer(my_signed_step.variant("Other", lr=0.5)).__name__ == "Other"


def test_the_example_of_the_readme():
    a = parameters()
    b = copies(a)
    train(module.Signed(a, lr=0.1, weight_decay=0.01, decay="decoupled", clip_norm=1.0), a, 4)
    lion = descend.Lion(b, lr=0.1, betas=(0.9, 0.9), weight_decay=0.01, clip_norm=1.0)
    train(lion, b, 4)
    assert_equal(a, b, rtol=0)


def test_a_rule_redefined_in_a_notebook_is_another_class():
    scope = {"rule": rule, "__name__": "__main__"}
    classes = []
    for rate in (0.1, 0.2):
        exec(f"@rule\ndef again(p, g, lr={rate}):\n    return -lr * g\n", scope)
        classes.append(descend.optimizer(scope["again"]))
    (one, p), (two, q) = (module.make(c) for c in classes)
    assert (one.defaults["lr"], two.defaults["lr"]) == (0.1, 0.2)
    assert p[0].item() == pytest.approx(1 + 0.05) and q[0].item() == pytest.approx(1 + 0.1)


def test_a_malformed_formula_is_refused_when_the_class_is_made():
    @rule
    def crooked(p, g, lr=0.1):
        return -lr * g if g > 0 else g

    with pytest.raises(RuleError, match=r"rule 'crooked', .*test_factory.py, line \d+: The value of g > 0"):
        descend.optimizer(crooked)


def test_a_branch_that_the_defaults_do_not_take_is_refused_in_its_own_words():
    @rule
    def crooked(p, g, lr=0.1, odd=False):
        return -lr * (g.clip() if odd else g)

    cls = descend.optimizer(crooked)
    with pytest.raises((RuleError, OptionError), match=r"rule 'crooked', .*symbol has no attribute 'clip'"):
        module.make(cls, odd=True)


@pytest.mark.parametrize("backend", ["eager", "cpu"])
def test_sums_of_groups_of_different_structure_are_not_mixed(backend):
    """Two groups take sums over all tensors of different values: each its own, or a refusal."""

    @rule
    def f(p, g, lr=0.1, own=False):
        from descend.lang import sum

        return -lr * g * sum(p if own else g, over="all")

    a = [torch.nn.Parameter(torch.tensor([v], dtype=torch.float64)) for v in (2.0, 5.0)]
    cls = descend.optimizer(f)
    try:
        optimizer = cls([{"params": a[:1]}, {"params": a[1:], "own": True}], backend=backend)
        for p in a:
            p.grad = torch.ones_like(p)
        optimizer.step()
    except OptionError as error:
        assert "sums over all tensors" in str(error)
    else:
        assert [p.item() for p in a] == pytest.approx([2 - 0.1 * 2, 5 - 0.1 * 7])
