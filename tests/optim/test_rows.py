"""One row for each distinct pair of group values and step count, and only what must be written is."""

import numpy as np
import pytest
import torch

import descend
from descend.lang.fold import build_program
from descend.lang.weave import default_structure
from descend.optim.rows import Rows
from optim.models import assert_equal, copies, parameters, set_gradients


def make(name, groups, group_of, steps):
    made = getattr(descend, name).rule
    program = build_program(made, default_structure(made))
    rows = Rows(
        program,
        groups,
        group_of,
        np.array(steps, np.float32),
        lambda g: {**dict.fromkeys(program.inputs, 0.0), "momentum": 0.9, **g},
    )
    return rows, program


def column(rows, program, name):
    return rows.inputs[: rows.count, program.inputs.index(name)].tolist()


def test_equal_steps_share_a_row():
    rows, program = make("Adam", [{"lr": 0.1}], [0, 0, 0], [4, 4, 4])
    rows.assign(np.array([True, True, True]))
    assert rows.count == 1 and rows.of_tensor.tolist() == [0, 0, 0]
    assert column(rows, program, "lr") == [0.1] and column(rows, program, "t") == [5]


def test_a_row_for_each_group_and_step_count():
    rows, program = make("Adam", [{"lr": 0.1}, {"lr": 0.2}], [0, 1, 0, 1, 1], [4, 4, 2, 4, 0])
    rows.assign(np.array([True, True, True, True, False]))
    assert rows.count == 3
    assert rows.of_tensor[1] == rows.of_tensor[3] and rows.of_tensor[4] == -1
    found = [
        (rows.inputs[r, program.inputs.index("lr")], rows.inputs[r, program.inputs.index("t")])
        for r in rows.of_tensor[:4]
    ]
    assert found == [(0.1, 5), (0.2, 5), (0.1, 3), (0.2, 5)]


def test_a_rule_without_step_count_has_a_row_for_each_group():
    rows, _ = make("Lion", [{"lr": 0.1}, {"lr": 0.2}], [0, 1, 0], [4, 9, 2])
    rows.assign(np.array([True, True, True]))
    assert rows.count == 2 and rows.of_tensor.tolist() == [0, 1, 0]


def test_refreshing_writes_a_groups_rows_only():
    groups = [{"lr": 0.1}, {"lr": 0.2}]
    rows, program = make("Adam", groups, [0, 1, 0], [1, 1, 3])
    rows.assign(np.array([True, True, True]))
    groups[0]["lr"] = groups[1]["lr"] = 0.5
    rows.refresh(groups[0])
    assert sorted(column(rows, program, "lr")) == [0.2, 0.5, 0.5]


@pytest.mark.parametrize("backend", ["eager", "cpu"])
def test_many_groups_with_their_own_numbers_and_missed_steps(backend):
    generator = torch.Generator().manual_seed(3)
    a = [torch.nn.Parameter(torch.randn(3, generator=generator, dtype=torch.float64)) for _ in range(20)]
    b = copies(a)

    def build(library, ps, **options):
        groups = [{"params": [p], "lr": 0.01 * (i + 1), "betas": (0.5 + 0.02 * i, 0.9)} for i, p in enumerate(ps)]
        return library.Adam(groups, **options), ps

    optimizers = [build(descend, a, backend=backend), build(torch.optim, b)]
    for step in range(6):
        for optimizer, ps in optimizers:
            set_gradients(ps, step)
            for i, p in enumerate(ps):
                if (i + step) % 3 == 0:
                    p.grad = None
            optimizer.param_groups[step]["lr"] *= 0.5
            optimizer.step()
    assert_equal(a, b)


def test_parameters_of_no_size():
    a = [torch.nn.Parameter(torch.zeros(0, 3)), *parameters()]
    ours = descend.LAMB(a, lr=0.1, clip_norm=1.0)
    b = copies(a[1:])
    theirs = descend.LAMB(b, lr=0.1, clip_norm=1.0)
    for step in range(2):
        set_gradients(a, step)
        set_gradients(b, step)
        for p, q in zip(a[1:], b, strict=True):
            q.grad = p.grad.clone()
        ours.step()
        theirs.step()
    assert_equal(a[1:], b, rtol=0)
