"""Groups that the user edits between steps, and a thousand of them."""

import torch

import descend
from hazards.twins import Twins


def test_a_parameter_is_replaced_in_its_group(backend):
    """How layers are swapped: the new parameter starts from no state, the others go on."""
    twins = Twins("Adam", backend)
    twins.step(2)
    new = torch.randn(3)
    for params, optimizer in twins.sides:
        params[1] = optimizer.param_groups[0]["params"][1] = torch.nn.Parameter(new.clone())
    twins.step(2)
    twins.assert_equal()
    assert float(twins.optimizer.state[twins.params[0][1]]["step"]) == 2.0
    assert float(twins.optimizer.state[twins.params[0][0]]["step"]) == 4.0


def test_a_parameter_is_taken_away_and_comes_back(backend):
    twins = Twins("Adam", backend)
    twins.step()
    taken = [o.param_groups[0]["params"].pop(1) for o in twins.optimizers]
    before = taken[0].detach().clone()
    twins.step()
    assert torch.equal(taken[0], before)
    for optimizer, p in zip(twins.optimizers, taken, strict=True):
        optimizer.param_groups[0]["params"].append(p)
    twins.step()
    twins.assert_equal()


def test_the_list_of_parameters_is_replaced(backend):
    twins = Twins("Adam", backend)
    twins.step()
    for params, optimizer in twins.sides:
        optimizer.param_groups[0]["params"] = [params[2], params[0]]
    before = twins.params[0][1].detach().clone()
    twins.step()
    assert torch.equal(twins.params[0][1], before)
    twins.assert_equal()


def test_a_group_is_moved_to_another(backend):
    twins = Twins("Adam", backend, arrange=lambda ps: [{"params": ps[:2]}, {"params": ps[2:], "lr": 0.01}])
    twins.step()
    for optimizer in twins.optimizers:
        first, second = optimizer.param_groups
        second["params"].append(first["params"].pop())
    twins.step(2)
    twins.assert_equal()


def test_a_group_is_replaced_by_an_equal_dict(backend):
    twins = Twins("Adam", backend)
    twins.step()
    for optimizer in twins.optimizers:
        optimizer.param_groups[0] = {**optimizer.param_groups[0], "lr": 0.5}
    twins.step()
    for optimizer in twins.optimizers:
        optimizer.param_groups[0]["lr"] = 0.02
    twins.step()
    twins.assert_equal()


def test_groups_are_deleted_and_added(backend):
    twins = Twins("Adam", backend, arrange=lambda ps: [{"params": [p], "lr": 0.1 / (i + 1)} for i, p in enumerate(ps)])
    twins.step()
    for optimizer in twins.optimizers:
        del optimizer.param_groups[0]
    frozen = twins.params[0][0].detach().clone()
    twins.step()
    assert torch.equal(twins.params[0][0], frozen)
    for params, optimizer in twins.sides:
        optimizer.add_param_group({"params": [params[0]], "lr": 0.02})
    twins.step()
    twins.assert_equal()


def test_every_number_of_a_group_may_be_written(backend):
    twins = Twins("AdamW", backend, weight_decay=0.1)
    for key, value in {"lr": 0.02, "betas": (0.5, 0.7), "eps": 0.1, "weight_decay": 0.5, "maximize": True}.items():
        twins.step()
        for optimizer in twins.optimizers:
            optimizer.param_groups[0][key] = value
    twins.step(2)
    twins.assert_equal()


def test_a_thousand_groups(backend):
    """All with learning rates and step counts of their own, to the bit like a thousand optimizers."""
    count = 1000 if backend == "cpu" else 100
    rng = torch.Generator().manual_seed(4)
    values, grads = (torch.randn(count, 5, generator=rng) for _ in range(2))
    rates = [1e-3 * (1 + i) for i in range(count)]
    together = [torch.nn.Parameter(v.clone()) for v in values]
    optimizer = descend.Adam([{"params": [p], "lr": r} for p, r in zip(together, rates, strict=True)], backend=backend)
    chosen = list(range(0, count, 97))
    alone = {i: torch.nn.Parameter(values[i].clone()) for i in chosen}
    singles = {i: descend.Adam([alone[i]], lr=rates[i], backend=backend) for i in chosen}
    for k in range(4):
        for i, p in enumerate(together):
            p.grad = grads[i] * (k + 1) if i % (k + 1) == 0 else None
        optimizer.step()
        for i in chosen:
            if i % (k + 1) == 0:
                alone[i].grad = grads[i] * (k + 1)
                singles[i].step()
    for i in chosen:
        assert torch.equal(together[i], alone[i])
        assert float(optimizer.state[together[i]]["step"]) == sum(i % (k + 1) == 0 for k in range(4))
