"""Problems 8, 9, 10, 19 and 25 of users of other libraries: decay, which parameters move and how, misspelt groups."""

import pytest
import torch
from torch import nn

import descend
from descend.errors import OptionError, ParameterError, PrecisionWarning, UnknownOptionError


def test_08_norms_biases_and_embeddings_do_not_decay():
    model = nn.Sequential(nn.Embedding(4, 3), nn.Linear(3, 3), nn.LayerNorm(3))
    groups = descend.groups(model, weight_decay=0.1)
    decays = {n: g["weight_decay"] for g in groups for n in g["param_names"]}
    assert [n for n, decay in decays.items() if decay] == ["1.weight"]
    assert sorted(decays) == sorted(dict(model.named_parameters()))  # each exactly once
    assert "2 norm, 1 embedding, 1 bias" in str(groups)
    with pytest.raises(OptionError, match="head"):
        descend.groups(model, {"head.*": {"lr": 0.1}})


@pytest.mark.parametrize(("decay", "expected"), [("l2", 0.8), ("decoupled", 0.98), ("independent", 0.8)])
@pytest.mark.parametrize("backend", ["cpu", "eager"])
@pytest.mark.parametrize("name", ["SGD", "AdamW", "Lion", "RMSprop"])
def test_09_weight_decay_has_one_meaning_in_every_method_and_backend(name, backend, decay, expected):
    """A gradient of zero leaves the decay alone: at lr 0.1 and lambda 0.2, p (1 - 0.02) or p (1 - 0.2)."""
    p = nn.Parameter(torch.ones(3, dtype=torch.float64))
    p.grad = torch.zeros_like(p)
    optimizer = getattr(descend, name)([p], lr=0.1, weight_decay=0.2, decay=decay, backend=backend)
    optimizer.step()
    if decay == "l2":  # the decay goes through the method: no longer a share of p, but it moves it
        assert p.max().item() < 1.0
    else:
        torch.testing.assert_close(p.detach(), torch.full_like(p, expected), rtol=1e-14, atol=0)


@pytest.mark.parametrize("rounding", ["stochastic", "compensated", None])
def test_10_bfloat16_weights_move_or_it_is_said_that_they_do_not(rounding):
    """AdamW moves 1.0 by 0.001 a step and decays it by 1e-5 of itself; the next bfloat16 below is 0.996."""
    p = nn.Parameter(torch.ones(4096, dtype=torch.bfloat16))
    optimizer = descend.AdamW([p], lr=1e-3, rounding=rounding)

    def train():
        for _ in range(100):
            p.grad = torch.ones_like(p)
            optimizer.step()

    if rounding is None:
        with pytest.warns(PrecisionWarning, match="100.0% of update 10 was lost to rounding"):
            train()
        assert p.float().mean().item() == 1.0
    else:
        train()
        assert p.float().mean().item() == pytest.approx(0.9 * 0.999, rel=2e-3)


@pytest.mark.parametrize("name", ["SGD", "AdamW", "Lion"])
def test_19_frozen_absent_and_duplicated_gradients(name):
    frozen, absent, moving = (nn.Parameter(torch.ones(2)) for _ in range(3))
    optimizer = getattr(descend, name)([frozen, absent, moving], lr=0.1, weight_decay=0.1, decay="decoupled")
    for p in (frozen, moving):
        p.grad = torch.ones(2)
    optimizer.step()
    frozen.requires_grad_(False)
    at = frozen.tolist()
    for _ in range(5):
        frozen.grad = torch.zeros(2)
        optimizer.step()
    assert (frozen.tolist(), absent.tolist()) == (at, [1.0, 1.0])
    assert moving.max() < 0.9
    with pytest.raises(ParameterError, match="'a'.*'b'|group 0.*group 0|twice"):
        getattr(descend, name)([("a", moving), ("b", moving)], lr=0.1)


def test_25_matrices_go_to_one_method_and_the_rest_to_another_and_it_is_printed():
    """What is here of it: the routing; the methods for matrices are owed."""
    model = nn.Sequential(nn.Embedding(4, 3), nn.Linear(3, 3), nn.LayerNorm(3))
    routes = descend.groups(model, kinds={"weight": {"method": "Signum", "lr": 0.01}}, lr=0.1, weight_decay=0.0)
    table = {line.split()[3]: line.split()[0] for line in routes.table().splitlines()[1:]}
    assert {name for name, group in table.items() if group == table["1.weight"]} == {"1.weight"}
    optimizer = descend.Routed(routes, method="AdamW")
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    model(torch.arange(4)).square().sum().backward()
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    moved = {name: (before[name] - p).max().item() for name, p in model.named_parameters()}
    assert moved == pytest.approx({name: 0.01 if name == "1.weight" else 0.1 for name in moved}, rel=1e-5)


@pytest.mark.parametrize(("key", "meant"), [("weigth_decay", "weight_decay"), ("LR", "lr"), ("momentun", "momentum")])
def test_misspelt_group_keys_are_refused(key, meant):
    with pytest.raises(UnknownOptionError, match=f"Did you mean '{meant}'"):
        descend.SGD([{"params": [nn.Parameter(torch.ones(1))], key: 0.5}])


def test_contradictory_and_ignored_arguments_are_refused():
    parameters = [nn.Parameter(torch.ones(1))]
    with pytest.raises(OptionError, match="nesterov=True needs momentum"):
        descend.SGD(parameters, nesterov=True)
    with pytest.raises(OptionError, match="contradict each other"):
        descend.AdamW(parameters, decay="l2", decoupled_weight_decay=True)
    with pytest.raises(UnknownOptionError, match="Did you mean 'betas'"):
        descend.Adam(parameters, beta=(0.9, 0.99))


def test_the_mode_of_a_schedule_free_method_cannot_be_forgotten_silently():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    optimizer = descend.ScheduleFreeAdamW(model)
    model(torch.randn(4, 2)).square().sum().backward()
    optimizer.step()
    model.eval()
    with pytest.warns(UserWarning, match="eval"):
        model(torch.ones(2, 2))
    optimizer.eval()
    with pytest.raises(OptionError, match="evaluation mode"):
        optimizer.step()


def test_prodigy_has_one_d_for_all_groups():
    first, second = (nn.Parameter(torch.ones(2)) for _ in range(2))
    optimizer = descend.Prodigy([{"params": [first]}, {"params": [second], "lr": 0.5}])
    for _ in range(5):
        first.grad, second.grad = torch.ones(2), torch.full((2,), 100.0)
        optimizer.step()
    d, other = (group["d"] for group in optimizer.param_groups)
    assert d == other > 1e-6
