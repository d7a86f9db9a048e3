"""Features that have nothing to do leave every bit as it is without them."""

import pytest
import torch

import descend

OFF: dict[str, object] = {}
IDLE = {
    "skip": {"on_nonfinite": "skip"},
    "raise": {"on_nonfinite": "raise"},
    "skip, limited": {"on_nonfinite": "skip", "max_nonfinite": 3},
    "clip_norm": {"clip_norm": 1e9},
    "clip_value": {"clip_value": 1e9},
    "all": {"clip_norm": 1e9, "clip_value": 1e9, "on_nonfinite": "raise"},
    "l2 of 0": {"decay": "l2", "weight_decay": 0.0},
    "decoupled of 0": {"decay": "decoupled", "weight_decay": 0.0},
}
SHAPES = [(40, 30), (4097,), (3,), ()]


def train(name: str, backend: str, options: dict[str, object], *, dtype=torch.float32, scale=None, look=False):
    rng = torch.Generator().manual_seed(6)
    params = [torch.nn.Parameter(torch.randn(s, generator=rng).to(dtype)) for s in SHAPES]
    optimizer = getattr(descend, name)(params, lr=0.05, backend=backend, **options)
    for k in range(4):
        for i, p in enumerate(params):
            g = torch.randn(p.shape, generator=rng).to(dtype)
            p.grad = None if (i + k) % 4 == 3 else g
        if scale is not None:
            optimizer.grad_scale, optimizer.found_inf = torch.tensor(scale), torch.tensor(0.0)
        optimizer.step()
        if look:
            optimizer.explain()
            optimizer.state_dict()
            str(optimizer), optimizer.state_bytes()
    return [p.detach() for p in params] + [t for p in params for _, t in sorted(optimizer.state[p].items())]


def assert_same_bits(a, b):
    assert len(a) == len(b)
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("idle", IDLE)
@pytest.mark.parametrize("name", ["SGD", "Adam", "LAMB", "Lion"])
def test_on_and_off_to_the_bit(name, idle, backend):
    assert_same_bits(train(name, backend, OFF), train(name, backend, IDLE[idle]))


@pytest.mark.parametrize("idle", ["clip_norm", "all"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64], ids=str)
def test_in_other_dtypes(dtype, idle, backend):
    assert_same_bits(train("Adam", backend, OFF, dtype=dtype), train("Adam", backend, IDLE[idle], dtype=dtype))


@pytest.mark.parametrize("name", ["Adam", "LAMB"])
def test_a_loss_scale_of_one(name, backend):
    assert_same_bits(train(name, backend, OFF), train(name, backend, OFF, scale=1.0))


@pytest.mark.parametrize("name", ["Adam", "LAMB"])
def test_looking(name, backend):
    """Explanations, saved states and the count of non-finite gradients change nothing."""
    assert_same_bits(train(name, backend, OFF), train(name, backend, OFF, look=True))


@pytest.mark.parametrize("options", [{"clip_norm": 0.5}, {"clip_value": 0.5}])
def test_the_same_features_do_something_when_they_should(options, backend):
    assert not torch.equal(train("SGD", backend, OFF)[0], train("SGD", backend, options)[0])


@pytest.mark.parametrize("word", ["skip", "raise"])
def test_a_guarded_step_leaves_no_trace(word, backend):
    """Between two good steps, one with a NaN: as if it had not been."""
    results = []
    for meet in (False, True):
        params = [torch.nn.Parameter(torch.ones(4100)), torch.nn.Parameter(torch.ones(3))]
        optimizer = descend.LAMB(params, lr=0.05, backend=backend, on_nonfinite=word, clip_norm=0.5)
        for k in range(3):
            for p in params:
                p.grad = torch.full_like(p, k + 1.0)
            if meet and k == 1:
                good = [p.grad for p in params]
                for p in params:
                    p.grad = torch.where(torch.arange(p.numel()) == 4099, torch.nan, p.grad)
                if word == "raise":
                    with pytest.raises(descend.errors.NonFiniteError, match=r"parameter 0 of group 0.*\(1 element\)"):
                        optimizer.step()
                else:
                    optimizer.step()
                    assert optimizer.skipped == 1
                for p, g in zip(params, good, strict=True):
                    p.grad = g
            optimizer.step()
        results.append(
            [p.detach() for p in params] + [t for p in params for _, t in sorted(optimizer.state[p].items())]
        )
    assert_same_bits(*results)
