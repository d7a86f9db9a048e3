"""Each cell of docs/methods.md against what happens: a step is taken, or refused, as the page says."""

from pathlib import Path

import pytest
import torch

import descend
from descend.errors import OptionError, ParameterError
from descend.optim.capabilities import WOVEN_VALUES
from descend.optim.options import DECAYS, ROUNDINGS

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"
STEPS = 3  # ADOPT's first moves nothing


def read_table():
    lines = [line.strip("|").split("|") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    head, *rows = [[cell.strip().replace("`", "") for cell in line] for line in lines]
    return {row[0]: dict(zip(head, row, strict=True)) for row in rows}


TABLE = read_table()
by_method = pytest.mark.parametrize("name", descend.optimizers())


def make(name, shape=(2, 3), *, dtype=torch.float32, start=0.0, **options):
    p = torch.nn.Parameter(torch.full(shape, start, dtype=dtype))
    return p, getattr(descend, name)([p], backend="eager", **options)


def take_steps(p, optimizer, grad=None):
    grad = torch.ones_like(p) if grad is None else grad
    for _ in range(STEPS):
        p.grad = grad.clone()
        optimizer.step()
    return p.detach().to_dense().clone()


def test_every_method_and_every_column_is_here():
    assert list(TABLE) == list(descend.optimizers())
    assert [*TABLE["SGD"]] == ["class", "passes", "bytes moved", "state bytes", "bf16", "complex", "sparse", "AMP",
                               "closure", "maximize", "decay", *WOVEN_VALUES]  # fmt: skip


@by_method
def test_costs(name):
    p, optimizer = make(name, (40, 50))
    take_steps(p, optimizer)
    (part,) = optimizer.explain().parts
    held = sum(s.element_size() for s in optimizer.state[p].values() if torch.is_tensor(s) and s.shape == p.shape)
    found = {"passes": part.passes, "bytes moved": part.bytes_moved // p.numel(), "state bytes": held}
    assert {column: int(TABLE[name][column]) for column in found} == found


@by_method
def test_bf16(name):
    assert TABLE[name]["bf16"] == "yes"
    for dtype, rounding in zip((torch.float16, torch.bfloat16, torch.bfloat16), ROUNDINGS, strict=True):
        p, optimizer = make(name, dtype=dtype, rounding=rounding)
        assert take_steps(p, optimizer).all() and p.dtype == dtype


@by_method
def test_complex(name):
    p, optimizer = make(name, (3,), dtype=torch.complex64)
    assert take_steps(p, optimizer).all()
    p, optimizer = make(name, dtype=torch.complex64)
    if TABLE[name]["complex"] == "yes":
        assert take_steps(p, optimizer).all()
    else:
        assert TABLE[name]["complex"] == "vectors"
        with pytest.raises(ParameterError, match="complex"):
            take_steps(p, optimizer)


@by_method
def test_sparse(name):
    p, optimizer = make(name, (3, 2))
    grad = torch.sparse_coo_tensor([[0, 2]], torch.ones(2, 2), (3, 2), check_invariants=True)
    if TABLE[name]["sparse"].startswith("yes, "):
        moved = take_steps(p, optimizer, grad)
        assert moved[[0, 2]].all() and not moved[1].any()
    else:
        assert TABLE[name]["sparse"] == "no"
        with pytest.raises(ParameterError, match="sparse"):
            take_steps(p, optimizer, grad)


@by_method
def test_amp(name):
    assert TABLE[name]["AMP"] == "yes"
    p, optimizer = make(name)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=100)
    scaler.scale(torch.zeros(()))
    for size in (1.0, torch.inf, 1.0, 1.0):
        p.grad = torch.full_like(p, size * scaler.get_scale())
        scaler.step(optimizer)
        scaler.update()
    assert torch.equal(p, take_steps(*make(name)))


@by_method
def test_closure_and_maximize(name):
    assert TABLE[name]["closure"] == TABLE[name]["maximize"] == "yes"
    p, optimizer = make(name, maximize=True)
    losses = []

    def closure():
        optimizer.zero_grad()
        loss = -p.sum()
        loss.backward()
        losses.append(loss)
        return loss

    assert [optimizer.step(closure) for _ in range(STEPS)] == losses
    assert torch.equal(p, take_steps(*make(name)))


@by_method
def test_decay(name):
    kinds = TABLE[name]["decay"].split(", ")
    bold = [kind.strip("*") for kind in kinds if kind.startswith("**")]
    assert len(bold) == 1
    moved = {}
    for kind in (None, *DECAYS):
        if kind is None or kind in map(lambda k: k.strip("*"), kinds):
            moved[kind] = take_steps(*make(name, start=1.0, lr=0.01, weight_decay=0.1, decay=kind))
        else:
            with pytest.raises(OptionError, match=f"decay='{kind}'"):
                make(name, weight_decay=0.1, decay=kind)
    same = [kind for kind in moved if kind and torch.equal(moved[kind], moved[None])]
    assert set(bold) - {"own"} <= set(same)


@pytest.mark.parametrize("option", WOVEN_VALUES)
@by_method
def test_woven_option(name, option):
    cell, value = TABLE[name][option], {option: WOVEN_VALUES[option]}
    moment = {cell.removeprefix("with "): 0.9} if cell.startswith("with ") else {}
    if cell != "yes":
        with pytest.raises(OptionError, match=option):
            make(name, **value)
    if cell != "no":
        p, optimizer = make(name, **value, **moment)
        q = torch.nn.Parameter(torch.zeros(3))  # a vector beside the matrix
        optimizer.add_param_group({"params": [q]})
        q.grad = torch.ones(3)
        take_steps(p, optimizer, torch.tensor([[1.0, 2.0, 4.0], [3.0, 1.0, 1.0]]))
        assert (p.all() and q.all()) or option == "cautious"


@pytest.mark.parametrize(
    "options", [*({o: v} for o, v in WOVEN_VALUES.items()), {"ema": 0.9}], ids=lambda o: next(iter(o))
)
def test_what_the_legend_says_of_options_beside_sparse_gradients(options):
    p, optimizer = make("Adam", (3, 2), **options)
    grad = torch.sparse_coo_tensor([[0, 2]], torch.ones(2, 2), (3, 2), check_invariants=True)
    with pytest.raises(ParameterError, match=f"{next(iter(options))}= needs all rows"):
        take_steps(p, optimizer, grad)


@pytest.mark.parametrize("option", WOVEN_VALUES)
def test_what_the_legend_says_of_options_beside_complex_matrices(option):
    p, optimizer = make("Adam", dtype=torch.complex64, **{option: WOVEN_VALUES[option]})
    if option in ("centralize", "clip_adaptive"):
        with pytest.raises(ParameterError, match="complex"):
            take_steps(p, optimizer)
    else:
        assert take_steps(p, optimizer).all()
