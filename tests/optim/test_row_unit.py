"""Sparse gradients: with every row made up for, the result is that of dense ones; lazily it is torch's."""

import copy
import io

import numpy as np
import pytest
import torch

import descend
from descend.errors import OptionError, ParameterError
from descend.optim import missed_rows
from descend.schedules import cosine
from optim.sparse_data import ROWS, WIDTH, as_sparse, draw, serves, start, train

both = pytest.mark.parametrize("backend", ["eager", "cpu"])
STEPS = 60
NAMES = [n for n, c in descend.optimizers().items() if serves(c.rule)]
CASES = [
    *((name, {}) for name in NAMES),
    ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("SGD", {"momentum": 0.9, "momentum_form": "classical", "lr": cosine(STEPS) * 0.1}),
    ("SGD", {"momentum": 0.9, "dampening": 0.3, "decay": "decoupled", "weight_decay": 0.1}),
    ("Adagrad", {"weight_decay": 0.1, "lr_decay": 0.1}),
    ("Adagrad", {"weight_decay": 0.1, "decay": "decoupled", "lr": cosine(STEPS) * 0.1}),
    ("RMSprop", {"momentum": 0.9, "centered": True, "lr": cosine(STEPS) * 0.1}),
    ("RMSprop", {"weight_decay": 0.1}),
    ("Adam", {"amsgrad": True, "weight_decay": 0.1}),
    ("Adam", {"betas": (0.5, 0.9), "lr": cosine(STEPS) * 0.1, "maximize": True}),
    ("AdamW", {"weight_decay": 0.3, "lr": cosine(STEPS) * 0.1, "decay": "independent"}),
    ("AdamW", {"clip_norm": 0.5, "clip_value": 0.3}),
]


def make_pair(name, options, dtype=torch.float64, rows=ROWS):
    sparse, dense = start(dtype, rows), start(dtype, rows)
    return (sparse, getattr(descend, name)([sparse], **options)), (dense, getattr(descend, name)([dense], **options))


def assert_same(ours, theirs, rtol=1e-11, atol=1e-15):
    (p, a), (q, b) = ours, theirs
    torch.testing.assert_close(p, q, rtol=rtol, atol=atol)
    assert set(a.state[p]) == set(b.state[q])
    for key, value in b.state[q].items():
        torch.testing.assert_close(a.state[p][key], value, rtol=rtol, atol=atol)


def train_both(ours, theirs, batches=None):
    """The same gradients, sparse for one and dense for the other; then the first makes up for its rows."""
    batches = list(draw(STEPS)) if batches is None else batches
    train(ours[1], ours[0], batches, sparse=True)
    train(theirs[1], theirs[0], batches, sparse=False)
    ours[1].catch_up()


@both
@pytest.mark.parametrize("name,options", CASES, ids=str)
def test_rows_made_up_for_are_as_with_dense_gradients(name, options, backend):
    ours, theirs = make_pair(name, {**options, "backend": backend})
    train_both(ours, theirs)
    assert_same(ours, theirs)


@both
@pytest.mark.parametrize(
    "name,options,dtype,rtol",
    [
        ("SGD", {"momentum": 0.9}, torch.float32, 2e-5),
        ("RMSprop", {"momentum": 0.9}, torch.float32, 2e-5),
        ("Adam", {"amsgrad": True}, torch.float32, 0.0),
        ("AdamW", {}, torch.float32, 0.0),
        ("AdamW", {}, torch.bfloat16, 0.0),
        ("AdamW", {}, torch.complex64, 0.0),
        ("SGD", {"momentum": 0.9}, torch.complex64, 2e-5),
    ],
)
def test_narrower_and_complex(name, options, dtype, rtol, backend):
    """Steps that are taken one by one have the same bits; a product is rounded once, and so more exact."""
    ours, theirs = make_pair(name, {"lr": 0.01, "backend": backend, "rounding": "nearest", **options}, dtype)
    train_both(ours, theirs)
    torch.testing.assert_close(ours[0], theirs[0], rtol=rtol, atol=rtol)


def test_catching_up_with_what_is_no_parameter_is_refused():
    table = torch.nn.Embedding(3, 2, sparse=True)
    optimizer = descend.SGD(table.parameters())
    with pytest.raises(ParameterError, match="got 'Embedding'; allowed: a parameter of this optimizer"):
        optimizer.catch_up(table)
    with pytest.raises(ParameterError, match="got 'Parameter'"):
        optimizer.catch_up(torch.nn.Parameter(torch.ones(3, 2)))


@both
def test_long_gaps_are_made_up_for_in_one_product_after_the_moves_have_faded(backend):
    """Rows named once in 900 steps, far beyond the 263 or so that move them; lr falls meanwhile."""
    options = {"lr": cosine(900) * 0.01, "weight_decay": 0.1, "backend": backend}
    ours, theirs = make_pair("AdamW", options, rows=400)
    batches = list(draw(900, rows=400, count=1))
    train_both(ours, theirs, batches)
    assert_same(ours, theirs, rtol=1e-9, atol=1e-14)


@both
def test_the_record_is_bounded(backend, monkeypatch):
    monkeypatch.setattr(missed_rows, "LIMIT", 16)
    for name, options in (("AdamW", {}), ("SGD", {"momentum": 0.9})):
        ours, theirs = make_pair(name, {**options, "backend": backend})
        train_both(ours, theirs)
        assert_same(ours, theirs)


@both
@pytest.mark.parametrize("name", ["SGD", "Adagrad", "AdamW"])
def test_only_the_rows_named_are_touched(name, backend):
    p = start()
    optimizer = getattr(descend, name)([p], backend=backend, sparse="lazy")
    before = p.detach().clone()
    p.grad = as_sparse(torch.tensor([3, 7]), torch.ones(2, WIDTH, dtype=torch.float64), p)
    optimizer.step()
    moved = (p != before).any(1).nonzero().flatten()
    assert moved.tolist() == [3, 7]
    for key, state in optimizer.state[p].items():
        assert key == "step" or state.any(1).nonzero().flatten().tolist() == [3, 7]


@both
def test_lazily_adam_is_torchs_sparse_adam(backend):
    """torch adds eps before the bias correction, so eps is tiny here."""
    p, q = start(), start()
    ours = descend.Adam([p], lr=0.1, eps=1e-30, sparse="lazy", backend=backend)
    theirs = torch.optim.SparseAdam([q], lr=0.1, eps=1e-30)
    train(ours, p, draw(STEPS), sparse=True)
    train(theirs, q, draw(STEPS), sparse=True)
    torch.testing.assert_close(p, q, rtol=1e-11, atol=0)
    torch.testing.assert_close(ours.state[p]["exp_avg_sq"], theirs.state[q]["exp_avg_sq"], rtol=1e-11, atol=0)


@both
@pytest.mark.parametrize("name,options", [("Adagrad", {"lr_decay": 0.1, "eps": 0.1}), ("SGD", {"lr": 0.1})])
@pytest.mark.parametrize("sparse", ["exact", "lazy"])
def test_without_decay_and_momentum_both_are_torchs(name, options, sparse, backend):
    p, q = start(), start()
    train(getattr(descend, name)([p], **options, sparse=sparse, backend=backend), p, draw(STEPS), sparse=True)
    with torch.sparse.check_sparse_tensor_invariants(True):
        train(getattr(torch.optim, name)([q], **options), q, draw(STEPS), sparse=True)
    torch.testing.assert_close(p, q, rtol=1e-12, atol=0)


@both
def test_numbers_that_change_by_hand_hold_for_the_steps_missed_then(backend):
    def change(optimizer, k):
        group = optimizer.param_groups[0]
        group["lr"] *= 0.9
        if k == 20:
            group["weight_decay"] = 0.2  # from here on the rule reads p, and a step cannot be skipped
        if k == 40:
            group["betas"] = (0.5, 0.8)

    ours, theirs = make_pair("Adam", {"lr": 0.1, "backend": backend})
    train(ours[1], ours[0], draw(STEPS), sparse=True, seen=lambda k: change(ours[1], k))
    train(theirs[1], theirs[0], draw(STEPS), sparse=False, seen=lambda k: change(theirs[1], k))
    ours[1].catch_up()
    assert_same(ours, theirs)


@both
def test_dense_and_absent_gradients_in_between(backend):
    ours, theirs = make_pair("AdamW", {"lr": 0.1, "backend": backend})
    for k, (index, values) in enumerate(draw(30)):
        for p, optimizer in (ours, theirs):
            p.grad = as_sparse(index, values, p)
            if optimizer is theirs[1] or k in (7, 8, 20):
                p.grad = p.grad.to_dense()
            if k in (5, 21):
                p.grad = None
            optimizer.step()
    ours[1].catch_up()
    assert_same(ours, theirs)


@both
def test_a_whole_model_trains_as_with_dense_gradients(backend):
    """With the rows that the forward pass reads made up for before it."""
    ends = []
    for sparse in (True, False):
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Embedding(30, 4, sparse=sparse), torch.nn.Linear(4, 1)).double()
        optimizer = descend.AdamW(model.named_parameters(), lr=0.05, backend=backend, clip_norm=0.5, metrics=True)
        model[0].register_forward_pre_hook(lambda m, args, o=optimizer: o.catch_up(m.weight, args[0]))
        rng, norms = np.random.default_rng(1), []
        for _ in range(40):
            index = torch.from_numpy(rng.integers(0, 30, (2, 3)))
            optimizer.zero_grad()
            (model(index) - torch.sin(index.double())[..., None]).square().mean().backward()
            optimizer.step()
            norms.append(optimizer.metrics.total.grad_norm)
        optimizer.catch_up()
        ends.append((torch.cat([p.detach().flatten() for p in model.parameters()]), norms))
    torch.testing.assert_close(ends[0][0], ends[1][0], rtol=1e-10, atol=1e-13)
    assert ends[0][1] == pytest.approx(ends[1][1], rel=1e-10)


@both
@pytest.mark.parametrize("way", ["state_dict", "copy", "pickle"])
def test_resuming_is_not_having_stopped(way, backend):
    """What is saved is made up for, so it is a checkpoint of dense gradients and loads into torch."""
    batches = list(draw(STEPS))
    p, q = start(torch.float32), start(torch.float32)
    optimizer, dense = descend.AdamW([p], lr=0.1, backend=backend), torch.optim.AdamW([q], lr=0.1)
    train(optimizer, p, batches[:30], sparse=True)
    if way == "state_dict":
        saved, other = optimizer.state_dict(), torch.nn.Parameter(p.detach().clone())
        assert set(saved["state"][0]) == {"step", "exp_avg", "exp_avg_sq"}
        train(dense, q, batches[:30], sparse=False)
        torch.testing.assert_close(saved["state"][0]["exp_avg"], dense.state[q]["exp_avg"], rtol=1e-5, atol=1e-8)
        resumed = descend.AdamW([other], backend=backend)
        resumed.load_state_dict(saved)
    elif way == "copy":
        resumed = copy.deepcopy(optimizer)
        other = resumed.param_groups[0]["params"][0]
    else:
        buffer = io.BytesIO()
        torch.save(optimizer, buffer)
        buffer.seek(0)
        resumed = torch.load(buffer, weights_only=False)
        other = resumed.param_groups[0]["params"][0]
    train(optimizer, p, batches[30:], sparse=True)
    train(resumed, other, batches[30:], sparse=True)
    optimizer.catch_up()
    resumed.catch_up()
    torch.testing.assert_close(p, other, rtol=1e-6, atol=1e-8)


@both
def test_a_skipped_step_is_none(backend):
    ours, theirs = make_pair("AdamW", {"on_nonfinite": "skip", "backend": backend})
    batches = list(draw(20))
    broken = (torch.tensor([1, 2]), torch.full((2, WIDTH), torch.inf, dtype=torch.float64))
    train(ours[1], ours[0], [*batches[:10], broken, *batches[10:]], sparse=True)
    train(theirs[1], theirs[0], batches, sparse=False)
    ours[1].catch_up()
    assert_same(ours, theirs)
    assert ours[1].nonfinite == {"parameter 0 of group 0 (shape (40, 3))": 2 * WIDTH} and ours[1].skipped == 1


@both
def test_a_gradient_without_rows_is_a_step(backend):
    ours, theirs = make_pair("AdamW", {"backend": backend})
    nothing = (torch.zeros(0, dtype=torch.int64), torch.zeros(0, WIDTH, dtype=torch.float64))
    batches = [*draw(3), nothing, *draw(3, seed=1)]
    train_both(ours, theirs, batches)
    assert_same(ours, theirs)


def test_metrics_are_of_the_rows_named_and_bytes_count_the_rows_steps():
    p = start()
    optimizer = descend.AdamW([p], lr=0.1, metrics=True)
    assert optimizer.state_bytes() == 0
    before = p.detach().clone()
    p.grad = as_sparse(torch.tensor([3, 7]), torch.full((2, WIDTH), 2.0, dtype=torch.float64), p)
    optimizer.step()
    assert optimizer.metrics.total.grad_norm == pytest.approx(2.0 * (2 * WIDTH) ** 0.5)
    assert optimizer.metrics.total.param_norm == pytest.approx(before[[3, 7]].norm().item())
    assert optimizer.metrics.total.update_norm == pytest.approx((p - before)[[3, 7]].norm().item())
    assert optimizer.state_bytes() == 2 * 8 * ROWS * WIDTH + 4 * ROWS
    assert "its gradient is sparse" in str(optimizer.explain())


def test_a_bag_and_a_scaler():
    bags = [torch.nn.EmbeddingBag(10, 4, sparse=sparse, mode="sum") for sparse in (True, False)]
    bags[1].load_state_dict(bags[0].state_dict())
    for bag in bags:
        optimizer = descend.Adagrad(bag.parameters(), lr=0.1)
        scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
        for index in ([0, 1, 1], [4, 2, 9]):
            optimizer.zero_grad()
            loss = bag(torch.tensor([index])).square().sum()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
    torch.testing.assert_close(bags[0].weight, bags[1].weight)


@pytest.mark.parametrize(
    "name,options,reason",
    [
        (
            "LAMB",
            {},
            "lamb: the gradient of .* is sparse, and the method takes sums over whole tensors. Build",
        ),
        (
            "NAdam",
            {},
            "the method remembers values that rows share. .*sparse=False, or use a method that the column",
        ),
        ("Adafactor", {}, "the method takes sums over whole tensors"),
        ("ScheduleFreeSGD", {}, "the method remembers values that rows share"),
        ("AdamW", {"cautious": True}, "cautious= needs all rows"),
        ("AdamW", {"ema": 0.9, "grokfast": (0.9, 1.0)}, "ema=, grokfast= needs all rows"),
        ("AdamW", {"differentiable": True}, "differentiable=True"),
    ],
)
def test_what_cannot_take_them_says_why(name, options, reason):
    p = start()
    optimizer = getattr(descend, name)([p], **options)
    before = p.detach().clone()
    p.grad = as_sparse(torch.tensor([3]), torch.ones(1, WIDTH, dtype=torch.float64), p)
    for _ in range(2):
        with pytest.raises(ParameterError, match=reason):
            optimizer.step()
    assert torch.equal(p, before)
    with pytest.raises(OptionError, match="sparse: got 'lasy'; allowed: 'exact', 'lazy'. Did you mean 'lazy'?"):
        getattr(descend, name)([p], sparse="lasy")
