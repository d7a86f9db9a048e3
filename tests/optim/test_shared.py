"""States that are one value for a group or for the whole optimizer, and sums over a group."""

import copy
import io
import pickle

import numpy as np
import pytest
import torch

import descend
from descend.errors import CheckpointError, OptionError
from descend.lang import State, mean, norm, rule, sum
from reference.trajectory import Reference

BACKENDS = ["cpu", "eager"]
KEYS = {"SGDHD": ("learned_lr", "lr_shift"), "Prodigy": ("d", "d_max", "d_numerator")}


@rule(state={"seen": State("seen", rate="group"), "all_seen": State("all_seen", rate="all", start=1.0)})
def counting(p, g, seen, all_seen, lr=0.1):
    """Adds up what goes by, for its group and for all."""
    seen = seen + sum(g, over="group")
    all_seen = all_seen + norm(g, over="all")
    return -lr * seen * g, seen, all_seen


Counting = descend.optimizer(counting)


def make(values, dtype=torch.float64):
    return [torch.nn.Parameter(torch.tensor(v, dtype=dtype)) for v in values]


def give(tensors, value):
    for p in tensors:
        p.grad = torch.full_like(p, value)


def train(optimizer, steps):
    params = [p for group in optimizer.param_groups for p in group["params"]]
    for k in steps:
        for j, p in enumerate(params):
            p.grad = (torch.sin(p.detach().double() + j) + 0.1 * k).to(p.dtype)
        optimizer.step()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_group_adds_up_its_own_and_all_have_one_sum(backend):
    a, b, c = make([[1.0, 2.0], [3.0], [4.0, 5.0]])
    optimizer = Counting([{"params": [a, b]}, {"params": [c]}], backend=backend)
    a.grad, b.grad, c.grad = torch.tensor([1.0, 2.0]).double(), torch.tensor([4.0]).double(), torch.ones(2).double()
    optimizer.step()
    first, second = optimizer.param_groups
    assert (first["seen"], second["seen"]) == (7.0, 2.0)
    assert first["all_seen"] == second["all_seen"] == 1.0 + 23**0.5
    assert a.tolist() == [1 - 0.1 * 7 * 1, 2 - 0.1 * 7 * 2] and c.tolist() == [4 - 0.1 * 2 * 1, 5 - 0.1 * 2 * 1]


def test_dtypes_structures_and_backends_share_one_value():
    """A bfloat16, a float32 and a float64 tensor, one with gaps and one complex: five batches, one learning rate."""
    torch.manual_seed(0)
    tensors = [
        torch.randn(5, dtype=torch.float64),
        torch.randn(6),
        torch.randn(7).bfloat16(),
        torch.randn(4, 6)[:, ::2],
        torch.randn(3, dtype=torch.complex64),
    ]
    params = [torch.nn.Parameter(t) for t in tensors]
    optimizer = descend.SGDHD(params, lr=0.05, hyper_lr=1e-3, momentum=0.9)
    assert {part.backend for part in optimizer.explain().parts} == {"cpu", "eager"}
    total, last = 0.0, None
    for _ in range(4):
        grads = [p.detach().clone() for p in params]
        for p, g in zip(params, grads, strict=True):
            p.grad = g
        flat = np.concatenate([(torch.view_as_real(g) if g.is_complex() else g).double().flatten() for g in grads])
        velocity = flat if last is None else 0.9 * last + flat
        total += 0.0 if last is None else 1e-3 * float(flat @ last)
        last = velocity
        optimizer.step()
    assert optimizer.param_groups[0]["lr_shift"] == pytest.approx(total, rel=1e-6)
    assert optimizer.param_groups[0]["lr_shift"] > 0.05


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_group_may_centralize_where_sums_are_its_own(backend):
    rng = np.random.default_rng(0)
    values = [rng.standard_normal(s) for s in [(4, 3), (5,), (2, 6), (3,)]]
    tensors = make(values)
    groups = [{"tensors": [0, 1], "centralize": True}, {"tensors": [2, 3]}]
    given = [{"params": tensors[:2], "centralize": True}, {"params": tensors[2:]}]
    options = {"lr": 0.05, "hyper_lr": 1e-3, "momentum": 0.9}
    optimizer = descend.SGDHD(given, **options, backend=backend)
    reference = Reference("SGDHD", values, groups, **options)
    for _ in range(4):
        row = [rng.standard_normal(p.shape) for p in tensors]
        for p, g in zip(tensors, row, strict=True):
            p.grad = torch.from_numpy(g)
        optimizer.step()
        reference.step(row)
    for p, expected in zip(tensors, reference.params, strict=True):
        np.testing.assert_allclose(p.detach(), expected, rtol=1e-12)
    with pytest.raises(OptionError, match="groups whose options differ take different sums"):
        give(tensors, 1.0)
        descend.Prodigy(given, backend=backend).step()


@pytest.mark.parametrize("over", ["group", "all"])
def test_a_formula_whose_matrices_know_their_sums_later_takes_one_kind_of_tensors(over):
    @rule
    def by_rows(p, g, dims, lr=0.1):
        if dims > 1:
            g = g - mean(g, over="rows")
        return -lr * g / norm(g, over=over)

    matrix, vector = make([[[1.0, 3.0], [2.0, 5.0]], [1.0, 2.0]])
    give([vector], 1.0)
    matrix.grad = matrix.detach().clone()
    descend.optimizer(by_rows)([matrix]).step()
    descend.optimizer(by_rows)([vector]).step()
    with pytest.raises(OptionError, match=f"over {over} tensors|different sums over the {over}"):
        descend.optimizer(by_rows)([matrix, vector]).step()


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_estimate_over_groups_of_several_dtypes(backend):
    rng = np.random.default_rng(0)
    values = [rng.standard_normal(30), rng.standard_normal(20).astype(np.float32)]
    params = [torch.nn.Parameter(torch.from_numpy(v.copy())) for v in values]
    optimizer = descend.Prodigy([{"params": [p]} for p in params], d0=0.1, backend=backend)
    reference = Reference("Prodigy", values, groups=[{"tensors": [0]}, {"tensors": [1]}], d0=0.1)
    for _ in range(6):
        rows = [rng.standard_normal(30), rng.standard_normal(20).astype(np.float32)]
        for p, g in zip(params, rows, strict=True):
            p.grad = torch.from_numpy(g.copy())
        optimizer.step()
        reference.step(rows)
    found = [group["d"] for group in optimizer.param_groups]
    assert found[0] == found[1] == pytest.approx(reference.shared[0]["d"], rel=1e-5)


def test_a_group_without_gradients_keeps_its_value_and_a_new_one_takes_that_of_all():
    a, b, c = make([[1.0], [2.0], [3.0]])
    optimizer = Counting([{"params": [a]}, {"params": [b]}])
    give([a], 2.0)
    optimizer.step()
    assert [g["seen"] for g in optimizer.param_groups] == [2.0, 0.0]
    assert [g["all_seen"] for g in optimizer.param_groups] == [3.0, 3.0]
    optimizer.add_param_group({"params": [c]})
    assert (optimizer.param_groups[2]["seen"], optimizer.param_groups[2]["all_seen"]) == (0.0, 3.0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_skipped_step_leaves_all_values(backend):
    (a,) = make([[1.0]])
    optimizer = Counting([a], on_nonfinite="skip", backend=backend)
    give([a], 1.0)
    optimizer.step()
    before = [optimizer.param_groups[0][k] for k in ("seen", "all_seen")]
    give([a], float("inf"))
    optimizer.step()
    assert [optimizer.param_groups[0][k] for k in ("seen", "all_seen")] == before == [1.0, 2.0]


def test_a_written_value_is_taken_over():
    (a,) = make([[1.0]])
    optimizer = Counting([a])
    optimizer.param_groups[0]["seen"] = 10.0
    give([a], 1.0)
    optimizer.step()
    assert optimizer.param_groups[0]["seen"] == 11.0 and a.item() == pytest.approx(1 - 0.1 * 11)


def test_groups_that_would_give_one_value_two_meanings_are_refused():
    a, b = make([[1.0], [2.0]])
    optimizer = descend.Prodigy([{"params": [a]}, {"params": [b], "betas": (0.9, 0.99)}])
    give([a, b], 1.0)
    with pytest.raises(OptionError, match=r"betas\[1\] differs between groups.*Give every group the same betas"):
        optimizer.step()
    give([a], 1.0)
    b.grad = None
    optimizer.step()  # the other group has no say in it


@pytest.mark.parametrize("options", [{"clip_norm": 1e9}, {"metrics": True}, {"on_nonfinite": "skip"}])
@pytest.mark.parametrize("name", KEYS)
def test_features_that_do_nothing_leave_the_bits(name, options):
    plain, other = make([[1.0, -2.0], [0.5]]), make([[1.0, -2.0], [0.5]])
    a, b = (getattr(descend, name)(ps, **o) for ps, o in ((plain, {}), (other, options)))
    train(a, range(5))
    train(b, range(5))
    assert [a.param_groups[0][k] for k in KEYS[name]] == [b.param_groups[0][k] for k in KEYS[name]]
    assert all(torch.equal(p, q) for p, q in zip(plain, other, strict=True))


@pytest.mark.parametrize("way", ["checkpoint", "deepcopy", "pickle"])
@pytest.mark.parametrize("name", KEYS)
def test_every_way_of_saving_carries_the_values(name, way):
    params = make([[1.0, -2.0], [0.5]])
    optimizer = getattr(descend, name)(params, lr=0.5)
    train(optimizer, range(4))
    if way == "checkpoint":
        buffer = io.BytesIO()
        torch.save(optimizer.state_dict(), buffer)
        buffer.seek(0)
        other = getattr(descend, name)([torch.nn.Parameter(p.detach().clone()) for p in params])
        other.load_state_dict(torch.load(buffer, weights_only=True))
    else:
        other = copy.deepcopy(optimizer) if way == "deepcopy" else pickle.loads(pickle.dumps(optimizer))
    assert all(type(other.param_groups[0][k]) is float for k in KEYS[name])
    train(optimizer, range(4, 8))
    train(other, range(4, 8))
    assert [other.param_groups[0][k] for k in KEYS[name]] == [optimizer.param_groups[0][k] for k in KEYS[name]]
    assert all(torch.equal(p, q) for p, q in zip(params, other.param_groups[0]["params"], strict=True))


def named(order):
    tensors = dict(zip("ab", make([[1.0], [2.0]]), strict=True))
    return Counting([{"params": [(name, tensors[name])]} for name in order]), tensors


def test_values_are_found_by_the_names_of_their_groups_parameters():
    saved, tensors = named("ab")
    tensors["a"].grad, tensors["b"].grad = torch.tensor([3.0]).double(), torch.tensor([4.0]).double()
    saved.step()
    other, _ = named("ba")
    other.load_state_dict(saved.state_dict())
    assert [g["seen"] for g in other.param_groups] == [4.0, 3.0]
    assert [g["all_seen"] for g in other.param_groups] == [6.0, 6.0]


def test_a_checkpoint_that_disagrees_or_lacks_a_value_is_refused():
    saved, tensors = named("ab")
    give(tensors.values(), 1.0)
    saved.step()
    state = saved.state_dict()
    del state["param_groups"][1]["seen"]
    other, _ = named("ab")
    with pytest.raises(CheckpointError, match="'seen' of group 1.*is not in the checkpoint"):
        other.load_state_dict(state)
    state = saved.state_dict()
    state["param_groups"][1]["all_seen"] = 5.0
    with pytest.raises(CheckpointError, match=r"'all_seen' of group 0.*is \[2\.\d+, 5\.0\]"):
        other.load_state_dict(state)
    assert other.param_groups[0]["seen"] == 0.0
    report = other.load_state_dict(state, strict=False)
    assert [f.name for f in report.of("mismatched")] == ["'all_seen' of group 0", "'all_seen' of group 1"]
    assert (other.param_groups[1]["seen"], other.param_groups[1]["all_seen"]) == (1.0, 1.0)


def test_bytes_and_words_about_them():
    optimizer = descend.SGDHD([{"params": make([[1.0]])}, {"params": make([[1.0, 2.0]])}])
    train(optimizer, range(1))
    explained = optimizer.explain()
    assert explained.state_bytes == explained.state_bytes_full == optimizer.state_bytes() == 3 * 8 + 2 * 4 * 8
    assert explained.parts[0].state_keys == ("momentum_buffer", "learned_lr", "lr_shift")
