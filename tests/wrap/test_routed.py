"""Several methods in one optimizer: the same bits as two optimizers, and outside it is one."""

import io
import pickle
from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict

import descend
from descend.errors import CheckpointError, OptionError, ParameterError, UnknownOptionError
from descend.schedules import cosine, warmup

LR = warmup(3) * cosine(9) * 0.01


def make_model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 3), nn.LayerNorm(3))


def make(lr=LR, **options):
    """Matrices to Lion, the rest to AdamW."""
    model = make_model()
    parts = descend.groups(model, kinds={"weight": {"method": "Lion", "lr": 1e-3}}, lr=lr, weight_decay=0.1)
    return model, descend.Routed(parts, **options)


def train(model, optimizer, begin, end, scaler=None):
    for k in range(begin, end):
        optimizer.zero_grad()
        loss = (model(torch.arange(5)) - torch.randn(5, 3, generator=torch.Generator().manual_seed(k))).square().mean()
        (loss if scaler is None else scaler.scale(loss)).backward()
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer)
            scaler.update()


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


def test_the_bits_are_those_of_two_optimizers():
    model, optimizer = make()
    train(model, optimizer, 0, 6)
    twin = make_model()
    parts = descend.groups(twin, kinds={"weight": {"lr": 1e-3}}, lr=LR, weight_decay=0.1)
    matrices = [g for g in parts if "1.weight" in g["param_names"]]
    two = [descend.Lion(matrices), descend.AdamW([g for g in parts if g not in matrices])]
    for k in range(6):
        for one in two:
            one.zero_grad()
        target = torch.randn(5, 3, generator=torch.Generator().manual_seed(k))
        (twin(torch.arange(5)) - target).square().mean().backward()
        for one in two:
            one.step()
    assert same(model, twin)
    assert {name: [g["param_names"] for g in part.param_groups] for name, part in optimizer.parts.items()} == {
        "AdamW": [["0.weight", "1.bias", "2.weight", "2.bias"]], "Lion": [["1.weight"]]
    }  # fmt: skip
    assert "AdamW: " in optimizer.explain() and "Lion: " in optimizer.explain()


@pytest.mark.parametrize("way", ["deepcopy", "pickle", "state_dict"])
def test_resumes_to_the_bit(way):
    whole, uninterrupted = make()
    train(whole, uninterrupted, 0, 7)
    model, optimizer = make()
    train(model, optimizer, 0, 4)
    if way == "deepcopy":
        model, optimizer = deepcopy((model, optimizer))
    elif way == "pickle":
        model, optimizer = pickle.loads(pickle.dumps((model, optimizer)))
    else:
        file = io.BytesIO()
        torch.save((model.state_dict(), optimizer.state_dict()), file)
        file.seek(0)
        weights, state = torch.load(file, weights_only=True)
        model, optimizer = make()
        model.load_state_dict(weights)
        assert optimizer.load_state_dict(state).fits
    train(model, optimizer, 4, 7)
    assert same(whole, model)


def test_a_state_that_does_not_fit_changes_nothing():
    model, optimizer = make()
    train(model, optimizer, 0, 2)
    state = optimizer.state_dict()
    assert [g["method"] for g in state["param_groups"]] == ["AdamW", "Lion"]
    fresh_model, fresh = make()
    train(fresh_model, fresh, 0, 1)
    before = fresh.state_dict()
    state["state"][4]["exp_avg"] = torch.zeros(7)  # Lion's, which loads last
    with pytest.raises(CheckpointError, match="does not fit"):
        fresh.load_state_dict(state)
    after = fresh.state_dict()
    assert after["param_groups"] == before["param_groups"]
    assert all(torch.equal(v, after["state"][i][k]) for i in before["state"] for k, v in before["state"][i].items())
    state["param_groups"][1]["method"] = "SGD"
    with pytest.raises(CheckpointError, match="the methods of the groups"):
        fresh.load_state_dict(state)


def test_a_skipped_step_advances_no_method_and_a_scale_changes_nothing():
    model, optimizer = make()
    train(model, optimizer, 0, 4)
    other, scaled = make()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    train(other, scaled, 0, 2, scaler)
    kept = [p.detach().clone() for p in other.parameters()]
    scaled.zero_grad()
    scaler.scale(other(torch.arange(5)).sum() * float("inf")).backward()
    scaler.step(scaled)
    scaler.update()
    assert all(torch.equal(a, b) for a, b in zip(kept, other.parameters(), strict=True))
    train(other, scaled, 2, 4, scaler)
    assert same(model, other)
    assert [part.clock.updates for part in scaled.parts.values()] == [4, 4]


@pytest.mark.parametrize("scale", [None, 2.0**12])
def test_one_norm_over_all_methods(scale):
    model, optimizer = make(clip_norm=0.05)
    other, plain = make()
    scaler = None if scale is None else torch.amp.GradScaler("cpu", init_scale=scale)
    train(model, optimizer, 0, 4, scaler)
    for k in range(4):
        plain.zero_grad()
        target = torch.randn(5, 3, generator=torch.Generator().manual_seed(k))
        (other(torch.arange(5)) - target).square().mean().backward()
        assert torch.nn.utils.clip_grad_norm_(other.parameters(), 0.05) > 0.1
        plain.step()
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_norm_counts_every_gradient_and_bends_to_no_range(dtype):
    dense, table = nn.Parameter(torch.zeros(2, dtype=dtype)), nn.Parameter(torch.zeros(3, 2, dtype=dtype))
    optimizer = descend.Routed(
        [{"params": [dense]}, {"params": [table], "method": "Signum"}], "SGD", lr=1.0, clip_norm=5.0, rounding=None
    )
    dense.grad = torch.tensor([3e20, 0.0], dtype=dtype)  # whose square leaves float32's range
    rows = torch.tensor([[1, 1]])
    values = torch.tensor([[0.0, 1e20], [0.0, 3e20]], dtype=dtype)
    table.grad = torch.sparse_coo_tensor(rows, values, (3, 2), check_invariants=True)
    optimizer.step()
    assert dense.tolist() == pytest.approx([-3.0, 0.0], rel=1e-2)
    assert table.grad.to_dense()[1].tolist() == pytest.approx([0.0, 4.0], rel=1e-2)


def test_accumulation_clips_the_big_batch():
    model, optimizer = make(clip_norm=0.05)
    train(model, optimizer, 0, 1)
    other, inner = make(clip_norm=0.05)
    parts = descend.Accumulation(inner, 2)
    target = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    for rows in (torch.arange(3), torch.arange(3, 5)):
        parts.weigh((other(rows) - target[rows]).square().mean(), len(rows)).backward()
        parts.step()
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_one_clock_also_for_a_method_without_gradients():
    free, waiting = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = descend.Routed(
        [{"params": [free]}, {"params": [waiting], "method": "SGD", "lr": cosine(4)}], lr=cosine(4) * 0.1
    )
    for _ in range(2):
        free.grad = torch.ones(2)
        optimizer.step()
    waiting.grad = torch.ones(2)
    optimizer.step()
    assert waiting[0].item() == pytest.approx(1 - cosine(4).at(2))
    assert [g["lr"] for g in optimizer.param_groups] == [cosine(4).at(2) * 0.1, cosine(4).at(2)]


def test_groups_keep_their_order_and_may_come_later():
    first, second, third = (nn.Parameter(torch.ones(2)) for _ in range(3))
    optimizer = descend.Routed(
        [{"params": [first], "method": "Lion"}, {"params": [second], "method": descend.SGD}], lr=0.1
    )
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    optimizer.add_param_group({"params": (p for p in [third]), "method": "Lion", "lr": 0.5})
    assert [g["params"] for g in optimizer.param_groups] == [[first], [second], [third]]
    for p in (first, second, third):
        p.grad = torch.ones(2)
    optimizer.step()
    assert [p[0].item() for p in (first, second, third)] == pytest.approx([0.9, 0.9, 0.5])
    assert isinstance(scheduler.optimizer, descend.Routed) and set(optimizer.state) == {first, second, third}
    with pytest.raises(ParameterError, match="same parameter"):
        optimizer.add_param_group({"params": [first], "method": "AdamW"})
    assert list(optimizer.parts) == ["Lion", "SGD"]


def test_a_wrapper_around_it():
    model, optimizer = make(lr=0.1)
    outer = descend.Lookahead(optimizer, k=2, inner_state="reset")
    train(model, outer, 0, 2)
    assert len(optimizer.state) == 0
    average = descend.EMA(model, 0.9).attach(optimizer)
    train(model, outer, 2, 3)
    assert len(optimizer.state) == 5 and average is not None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"clip_norm": 0.0}, "clip_norm: got 0.0"),
        ({"clip_norm": 1.0, "metrics": True}, "clipped already"),
        ({"on_nonfinite": "skip"}, "find_nonfinite"),
        ({"method": "ScheduleFreeAdamW"}, "alone"),
        ({"method": "Adm"}, "Did you mean 'Adam'"),
        ({"method": torch.optim.SGD}, "a class of descend"),
        ({"method": "SGD", "momentum": 0.9, "nesterov": "lookahead"}, "alone"),
    ],
)
def test_what_is_refused(options, said):
    with pytest.raises(OptionError, match=said):
        descend.Routed([nn.Parameter(torch.ones(2))], lr=0.1, **options)


def test_an_option_that_one_method_lacks_is_named():
    with pytest.raises(UnknownOptionError, match="Lion has no option 'eps'"):
        make(eps=1e-6)


def test_through_distributed_checkpoints():
    model, optimizer = make()
    train(model, optimizer, 0, 3)
    state = get_optimizer_state_dict(model, optimizer)
    other, fresh = make()
    other.load_state_dict(model.state_dict())
    set_optimizer_state_dict(other, fresh, state)
    train(model, optimizer, 3, 5)
    train(other, fresh, 3, 5)
    assert same(model, other)
