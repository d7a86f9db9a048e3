"""``explain()``: the numbers and the words of a step, counted by hand."""

import pytest
import torch

import descend
from optim.models import train


def make(*shapes, dtype=torch.float32):
    return [torch.nn.Parameter(torch.zeros(s, dtype=dtype)) for s in shapes]


@pytest.mark.parametrize(
    "name,options,passes,floats_moved,keys",
    [
        ("SGD", {}, 1, 3, ()),  # reads p g, writes p
        ("SGD", {"momentum": 0.9}, 1, 5, ("momentum_buffer",)),
        ("Adam", {}, 1, 7, ("exp_avg", "exp_avg_sq")),
        ("Adam", {"amsgrad": True}, 1, 9, ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")),
        ("Lion", {"clip_norm": 1.0}, 2, 6, ("exp_avg",)),  # g, then p g m and back p m
        ("LAMB", {}, 2, 10, ("exp_avg", "exp_avg_sq")),
        ("AdamW", {"on_nonfinite": "skip"}, 2, 8, ("exp_avg", "exp_avg_sq")),
    ],
)
def test_numbers(name, options, passes, floats_moved, keys):
    a = make((10, 10), (50,))
    ours = getattr(descend, name)(a, **options)
    before = ours.explain()
    (part,) = before.parts
    assert before.name == name
    assert (part.backend, part.dtype, part.tensors, part.coordinates) == ("cpu", "float32", 2, 150)
    assert (part.passes, part.bytes_moved, part.state_keys) == (passes, floats_moved * 4 * 150, keys)
    assert part.operations % 150 == 0 and part.operations > 0
    assert (before.state_bytes, before.state_bytes_full) == (0, len(keys) * 4 * 150)
    train(ours, a, 1)
    assert ours.explain().state_bytes == len(keys) * 4 * 150 == ours.state_bytes()


@pytest.mark.parametrize(
    "name,options,floats",
    [
        ("SGD", {}, [(2, 1)]),
        ("SGD", {"momentum": 0.9}, [(3, 2)]),
        ("Adam", {"amsgrad": True}, [(5, 4)]),
        ("LAMB", {}, [(4, 2), (3, 1)]),
        ("LARS", {"momentum": 0.0}, [(2, 0), (2, 1)]),
    ],
)
def test_the_cost_of_a_class(name, options, floats):
    found = getattr(descend, name).cost(**options)
    assert [(c.bytes_read // 4, c.bytes_written // 4) for c in found] == floats
    assert all(c.operations > 0 for c in found)


def test_the_cost_of_an_unknown_option():
    with pytest.raises(ValueError, match="sgd has no hyper-parameter 'momentun'. Did you mean 'momentum'?"):
        descend.SGD.cost(momentun=0.9)


def test_low_precision_and_complex_parameters():
    low, full = make((100,), dtype=torch.bfloat16), make((100,), dtype=torch.complex64)
    (part,) = descend.Adam(low).explain().parts
    assert part.bytes_moved == 100 * (2 * 3 + 4 * 4)  # p g p in bfloat16, two moments in float32 there and back
    (part,) = descend.Adam(full).explain().parts
    assert part.bytes_moved == 100 * 7 * 8


def test_rows_and_columns_are_state_and_scratch():
    """States of rows and columns are read and written; what kernels keep of them within a step is counted apart."""
    a = make((10, 20), (30, 40, 3, 3))
    ours = descend.Adafactor(a)
    found = ours.explain()
    slices, coordinates = 10 + 20 + 2 * 30 * 40 * 3, 200 + 30 * 40 * 9
    assert found.state_bytes_full == 4 * slices
    # g; p g; p g and back p
    assert sum(part.bytes_moved for part in found.parts) == 6 * 4 * coordinates + 2 * 4 * slices
    assert all(12 * n <= p.scratch_bytes < 1 << 20 for n, p in zip((10 + 20, 0), found.parts, strict=True))
    assert found.scratch_bytes == sum(part.scratch_bytes for part in found.parts)
    assert f"{found.scratch_bytes:,} bytes of scratch beside it" in str(found)
    for other in (descend.Adafactor(make((10, 20)), backend="eager"), descend.AdamW(make((10, 20)))):
        assert other.explain().scratch_bytes == 0 and "scratch" not in str(other.explain())


def test_words():
    a = make((10, 10), (50,))
    ours = descend.SGD(a, lr=0.1, momentum=0.9)
    assert str(ours.explain()).startswith("SGD: 0 bytes of state now, 600 once all have stepped.\n")
    text = str(ours.explain())
    assert "2 float32 tensors (150 numbers) on the cpu backend, because dense tensors" in text
    assert "1 pass, 3,000 bytes moved" in text and "remembers momentum_buffer." in text
    assert "remembers nothing." in str(descend.SGD(a, lr=0.1).explain())
    assert "2 passes," in str(descend.SGD(a, lr=0.1, clip_norm=1.0).explain())


@pytest.mark.parametrize(
    "options,reason",
    [
        ({"backend": "eager"}, 'backend="eager" was asked for'),
        ({"differentiable": True}, "differentiable=True was asked for"),
        ({"backend": "cpu"}, "dense tensors in this machine's memory"),
    ],
)
def test_reasons(options, reason):
    (part,) = descend.SGD(make((3,)), lr=0.1, **options).explain().parts
    assert part.reason == reason
    assert part.backend == ("cpu" if options.get("backend") == "cpu" else "eager")


def test_a_backend_that_cannot_serve_is_refused_by_name():
    expanded = torch.zeros(6)[::2]
    with pytest.raises(RuntimeError, match=r'backend="cpu" cannot step .*gap.*Use backend="auto" or backend="eager"'):
        descend.SGD([("gap", expanded)], lr=0.1, backend="cpu").explain()


def test_one_part_for_each_structure_and_dtype():
    a, b, c = make((2,), (3,), (4,))
    (d,) = make((5,), dtype=torch.float64)
    ours = descend.SGD([{"params": [a]}, {"params": [b, d], "momentum": 0.9}, {"params": [c], "lr": 0.7}], lr=0.1)
    found = [(p.dtype, p.coordinates, p.state_keys) for p in ours.explain().parts]
    assert sorted(found) == [
        ("float32", 3, ("momentum_buffer",)),
        ("float32", 6, ()),  # groups that differ in numbers alone are stepped together
        ("float64", 5, ("momentum_buffer",)),
    ]


def test_explaining_changes_nothing():
    a = make((4,))
    b = [torch.nn.Parameter(p.detach().clone()) for p in a]
    ours, plain = descend.Adam(a, lr=0.1), descend.Adam(b, lr=0.1)
    for step in range(3):
        ours.explain()
        train(ours, a, range(step, step + 1))
        train(plain, b, range(step, step + 1))
    assert torch.equal(a[0], b[0])
