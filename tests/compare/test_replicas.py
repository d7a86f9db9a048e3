from dataclasses import replace

import pytest
import torch
from torch import nn

import descend
from compare.workloads import CLOUDS, clouds
from descend.compare import contenders
from descend.compare.contender import Contender
from descend.compare.protocol import Trial
from descend.compare.replicas import SMALL, Replicas, can_share, find_obstacle, train_together
from descend.compare.runs import Run, train
from descend.tasks import Task, find

TIMES = {"seconds", "optimizer_seconds", "first_step_seconds", "seconds_to_target", "together"}
LOSSES = ("train_loss", "validation_losses", "validation_loss")


def double(task, **changes):
    """The same task in float64."""

    def data():
        loaded = task.load()
        return tuple((p.inputs.double(), p.targets) for p in (loaded.train, loaded.validation, loaded.test))

    return replace(task, data=data, model=lambda: task.model().double(), **changes)


def plan(task, contender, lrs, seeds=(0, 1, 2), stage="search"):
    return [Trial(task.name, contender.name, "i", lr, seed, stage) for lr in lrs for seed in seeds]


def both(task, contender, trials):
    data = task.load()
    return [train(task, data, contender, t) for t in trials], train_together(task, data, contender, trials)


DIGITS = double(find("digits-mlp"), steps=50, evaluate_every=10)
MORE = [
    Contender("adam-cosine", "A", "Adam", (1e-3, 3e-3), schedule="cosine", warmup=10),
    Contender("sgd-small", "S", "SGD", (0.03, 0.1), {"weight_decay": 1e-2}, batch_size=32),
]


@pytest.mark.parametrize("contender", [*contenders(["sgd", "nesterov", "adagrad", "rmsprop", "adam", "lamb"]), *MORE],
                         ids=lambda c: c.name)  # fmt: skip
def test_together_is_alone_in_float64_over_fifty_steps(contender):
    trials = plan(DIGITS, contender, contender.lrs[:2])
    alone, together = both(DIGITS, contender, trials)
    assert [t.seed for t in trials] == [r["seed"] for r in together]
    for one, other in zip(alone, together, strict=True):
        assert other["together"] == len(trials) and one["together"] == 1
        for name in LOSSES:
            assert other[name] == pytest.approx(one[name], rel=1e-9, abs=1e-9)
        rest = one.keys() - TIMES - set(LOSSES)
        assert {k: other[k] for k in rest} == {k: one[k] for k in rest}


def test_a_convolution_and_batch_norm_with_running_statistics_are_the_same_too():
    def model():
        return nn.Sequential(nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(),
                             nn.Flatten(), nn.Linear(144, 10))  # fmt: skip

    task = double(replace(find("digits-mlp"), model=model, steps=20, evaluate_every=5))
    assert find_obstacle(task, task.load()) is None
    adam = Contender("adam", "Adam", "Adam", (1e-3, 1e-2))
    alone, together = both(task, adam, plan(task, adam, adam.lrs, (0, 1)))
    for one, other in zip(alone, together, strict=True):
        assert other["validation_losses"] == pytest.approx(one["validation_losses"], rel=1e-9)


def test_a_large_validation_part_is_looked_at_in_pieces(monkeypatch):
    monkeypatch.setattr("descend.compare.replicas.ROWS_AT_ONCE", 100)
    sgd = Contender("sgd", "SGD", "SGD", (0.1,))
    alone, together = both(DIGITS, sgd, plan(DIGITS, sgd, sgd.lrs, (0, 1)))
    for one, other in zip(alone, together, strict=True):
        assert other["validation_metrics"] == one["validation_metrics"]
        assert other["validation_losses"] == pytest.approx(one["validation_losses"], rel=1e-9)


def test_a_replica_that_diverges_is_dropped_and_the_others_do_not_notice():
    task = double(replace(CLOUDS, steps=60, evaluate_every=20))
    sgd = Contender("sgd", "SGD", "SGD", (0.1, 1e30))
    alone, together = both(task, sgd, plan(task, sgd, sgd.lrs))
    assert [r["diverged"] for r in together] == [False] * 3 + [True] * 3
    for one, other in zip(alone, together, strict=True):
        assert other["diverged_at"] == one["diverged_at"] and other["updates"] == one["updates"]
        assert other["validation_metric"] == one["validation_metric"]
        assert other["validation_losses"] == pytest.approx(one["validation_losses"], rel=1e-9)


@pytest.mark.parametrize("name", ["digits-mlp", "digits-cnn"])
def test_the_digits_of_a_run_do_not_depend_on_who_trains_beside_it(name):
    task = replace(find(name), steps=12, evaluate_every=4)
    data = task.load()
    adam = Contender("adam", "Adam", "Adam", (1e-3, 3e-3, 1e-2))
    trials = plan(task, adam, adam.lrs)
    many = train_together(task, data, adam, trials)
    for some in (trials[:1], trials[3:5], trials[2:7]):
        few = train_together(task, data, adam, some)
        for trial, record in zip(some, few, strict=True):
            beside = many[trials.index(trial)]
            assert {k: record[k] for k in record.keys() - TIMES} == {k: beside[k] for k in beside.keys() - TIMES}


class Drops(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.drop = nn.Linear(2, 3), nn.Dropout(0.5)

    def forward(self, x):
        return self.drop(self.inner(x))


class Branches(nn.Linear):
    def forward(self, input):
        return super().forward(input) if float(input.sum()) > 0 else super().forward(-input)


class Remembers(nn.Linear):
    """Its outputs depend on how often it was called before."""

    calls = 0

    def forward(self, input):
        Remembers.calls += 1
        return super().forward(input) * Remembers.calls


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Drops, "cannot be mapped"),
        (lambda: Branches(2, 3), "cannot be mapped"),
        (lambda: Remembers(2, 3), "other losses or gradients"),
        (lambda: nn.Sequential(nn.Linear(2, SMALL), nn.Linear(SMALL, 3)), "keep a processor busy"),
        (lambda: nn.Sequential(nn.Linear(2, 4), nn.Linear(4, 3)), None),
    ],
    ids=["dropout", "branches", "remembers", "large", "plain"],
)
def test_what_cannot_train_together_is_found_out_before(model, words):
    task = Task(name="t", data=clouds, model=model, loss=nn.functional.cross_entropy, steps=4)
    before = torch.get_rng_state()
    found = find_obstacle(task, task.load())
    assert (found is None) if words is None else (words in found)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_recipe_that_clips_or_acts_trains_alone():
    data = CLOUDS.load()
    assert "clips" in find_obstacle(replace(CLOUDS, clip_norm=1.0), data)
    assert "experience" in find_obstacle(replace(CLOUDS, experience=lambda model, part, seed: iter(())), data)


def test_tied_and_frozen_and_unused_parameters_are_the_same_together():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.unused = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2)
            self.b.weight = self.a.weight
            self.frozen = nn.Linear(2, 3).requires_grad_(False)

        def forward(self, x):
            return self.frozen(self.b(torch.relu(self.a(x))))

    task = double(replace(CLOUDS, model=Odd))
    assert find_obstacle(task, task.load()) is None
    adam = Contender("adam", "Adam", "Adam", (1e-2, 1e-1))
    alone, together = both(task, adam, plan(task, adam, adam.lrs, (0, 1)))
    for one, other in zip(alone, together, strict=True):
        assert other["validation_losses"] == pytest.approx(one["validation_losses"], rel=1e-12)
        assert other["state_bytes"] == one["state_bytes"]


def test_the_models_share_one_stack_a_tensor():
    data = CLOUDS.load()
    sgd = Contender("sgd", "SGD", "SGD", (0.1,))
    runs = [Run(CLOUDS, data, sgd, trial) for trial in plan(CLOUDS, sgd, (0.1, 0.3))]
    Replicas(runs)
    weights = [next(run.model.parameters()) for run in runs]
    assert {w.data_ptr() - weights[0].data_ptr() for w in weights} == {i * weights[0].nbytes for i in range(len(runs))}


def test_only_methods_that_treat_replicas_as_strangers_share():
    class Own(torch.optim.SGD):
        def __init__(self, params, lr=0.1):
            super().__init__(params, lr=lr)

    class Loud(descend.SGD):
        def step(self, closure=None):
            return super().step(closure)

    def shares(cls, **options):
        return can_share(Contender("c", "C", cls, (0.1,), options))

    assert shares("SGD", momentum=0.9) and shares("LAMB") and shares("AdamW", clip_value=1.0)
    assert shares("Adam", clip_norm=None)
    assert not shares("SGD", clip_norm=1.0) and not shares("Adam", on_nonfinite="skip")
    assert not shares("Prodigy") and not shares("ScheduleFreeSGD")
    assert not shares(Own) and not shares(Loud)


def test_a_rule_that_sums_over_all_tensors_does_not_share():
    from descend.lang import norm, rule

    @rule
    def together(p, g, lr=0.1):
        return -lr * g / norm(g, over="all")

    assert not can_share(Contender("c", "C", descend.optimizer(together), (0.1,)))
