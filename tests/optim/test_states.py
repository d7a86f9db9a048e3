"""States: start values, dtypes, layout, and a table that notices edits."""

import pytest
import torch

import descend
from descend.lang import State
from descend.optim.states import ParameterState, StateTable, allocate_state, state_dtype


@pytest.mark.parametrize(
    "dtype,expected",
    [
        (torch.float32, torch.float32), (torch.float64, torch.float64), (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32), (torch.complex64, torch.complex64), (torch.complex128, torch.complex128),
    ],
)  # fmt: skip
def test_the_dtype_of_a_state(dtype, expected):
    p = torch.ones(3, dtype=dtype)
    assert state_dtype(p) == expected
    assert allocate_state(State("m"), p, {}).dtype == expected


def test_start_values():
    p = torch.tensor([1.0, 2.0], requires_grad=True)
    assert allocate_state(State("m"), p, {}).tolist() == [0, 0]
    assert allocate_state(State("m", start=0.5), p, {}).tolist() == [0.5, 0.5]
    assert allocate_state(State("m", start="first"), p, {"first": 3.0}).tolist() == [3, 3]
    copied = allocate_state(State("z", start="p"), p, {})
    assert copied.tolist() == [1, 2] and copied.data_ptr() != p.data_ptr() and not copied.requires_grad
    scalar = allocate_state(State("s", rate="tensor", start=1.5), p, {})
    assert scalar.shape == () and scalar.dtype == torch.float64 and scalar == 1.5


def test_both_parts_of_a_complex_state_are_filled():
    p = torch.ones(2, dtype=torch.complex64)
    assert allocate_state(State("m", start=0.5), p, {}).tolist() == [0.5 + 0.5j] * 2


def test_a_state_is_laid_out_like_its_parameter():
    p = torch.zeros(2, 3, 4, 5).to(memory_format=torch.channels_last)
    assert allocate_state(State("m"), p, {}).stride() == p.stride()
    t = torch.zeros(3, 4).t()
    assert allocate_state(State("m"), t, {}).stride() == t.stride()


EDITS = {
    "write": lambda table, p: table[p].__setitem__("m", 1),
    "delete": lambda table, p: table[p].__delitem__("k"),
    "clear one": lambda table, p: table[p].clear(),
    "update": lambda table, p: table[p].update(m=1),
    "pop": lambda table, p: table[p].pop("k"),
    "pop missing": lambda table, p: table[p].pop("none", None),
    "popitem": lambda table, p: table[p].popitem(),
    "setdefault": lambda table, p: table[p].setdefault("m", 1),
    "or": lambda table, p: table[p].__ior__({"m": 1}),
    "write table": lambda table, p: table.__setitem__(p, {"m": 1}),
    "delete table": lambda table, p: table.__delitem__(p),
    "pop table": lambda table, p: table.pop(p),
    "clear table": lambda table, p: table.clear(),
    "popitem table": lambda table, p: table.popitem(),
    "update table": lambda table, p: table.update({p: {"m": 1}}),
    "or table": lambda table, p: table.__ior__({p: {"m": 1}}),
    "setdefault table": lambda table, p: table.setdefault("q", {"m": 1}),
}


@pytest.mark.parametrize("edit", EDITS)
def test_every_edit_is_noticed_and_does_what_a_dicts_does(edit):
    calls = []
    table, plain = StateTable(lambda: calls.append(1), {"p": {"k": 0}}), {"p": {"k": 0}}
    calls.clear()
    EDITS[edit](table, "p")
    EDITS[edit](plain, "p")
    assert calls
    assert {k: dict(v) for k, v in table.items()} == plain
    calls.clear()
    table["new"]["x"] = 1  # what came in by any way is watched in turn
    for state in table.values():
        assert isinstance(state, ParameterState)
        calls.clear()
        state["again"] = 1
        assert calls


def test_reading_is_not_an_edit():
    calls = []
    table = StateTable(lambda: calls.append(1), {"p": {"k": 0}})
    calls.clear()
    assert table["p"]["k"] == 0 and table.get("q") is None and "q" not in table and len(table) == 1
    table.adopt("p", "m", torch.zeros(1))
    assert not calls


@pytest.mark.parametrize("backend", ["eager", "cpu"])
def test_bytes_of_state(backend):
    a = [torch.nn.Parameter(torch.zeros(10)), torch.nn.Parameter(torch.zeros(5, dtype=torch.bfloat16))]
    ours = descend.Adam(a, backend=backend)
    assert ours.state_bytes() == 0
    a[0].grad = torch.ones(10)
    ours.step()
    assert ours.state_bytes() == 2 * 10 * 4
    a[1].grad = torch.ones(5, dtype=torch.bfloat16)
    ours.step()
    assert ours.state_bytes() == 2 * 15 * 4  # float32 also for bfloat16
