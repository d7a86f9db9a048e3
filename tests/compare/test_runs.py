import itertools
import json
from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

from compare.workloads import CLOUDS
from descend.compare.contender import Contender
from descend.compare.protocol import Trial
from descend.compare.runs import state_bytes, train
from descend.tasks import Data, Task

SGD = Contender("sgd", "SGD", "SGD", (0.1,))
ADAM = Contender("adam", "Adam", "Adam", (0.01,))
TIMES = {"seconds", "optimizer_seconds", "first_step_seconds", "seconds_to_target"}


def run(task=CLOUDS, contender=SGD, lr=0.1, seed=0, stage="final", data=None):
    return train(task, data or task.load(), contender, Trial(task.name, contender.name, "i", lr, seed, stage))


def numbers(record):
    return {key: value for key, value in record.items() if key not in TIMES}


def test_a_run_is_repeated_to_the_last_bit_and_leaves_the_generator_alone():
    first = run()
    torch.manual_seed(77)
    before = torch.get_rng_state()
    assert numbers(run()) == numbers(first)
    assert torch.equal(torch.get_rng_state(), before)
    assert numbers(run(seed=1)) != numbers(first)


def test_all_contenders_start_from_the_same_model_and_see_the_same_batches():
    seen = {}

    def spy(task, name):
        batches = seen.setdefault(name, [])

        def loss(outputs, targets):
            batches.append(targets.tolist())
            return nn.functional.cross_entropy(outputs, targets)

        return replace(task, loss=loss)

    a, b = run(spy(CLOUDS, "a"), SGD), run(spy(CLOUDS, "b"), ADAM, 0.01)
    assert seen["a"] == seen["b"]
    assert a["validation_losses"][0] == b["validation_losses"][0]
    assert a["validation_losses"][-1] != b["validation_losses"][-1]


def test_the_search_never_reads_the_test_part():
    @dataclass(frozen=True)
    class Sealed:
        def pieces(self, rows=0):
            raise AssertionError("the test part was read")

        inputs = targets = property(pieces)

    loaded = CLOUDS.load()
    sealed = Data(loaded.train, loaded.validation, Sealed())
    found = run(stage="search", data=sealed)
    assert found["test_metric"] is None and found["test_loss"] is None
    with pytest.raises(AssertionError, match="was read"):
        run(stage="final", data=sealed)


def test_the_record_is_plain_and_agrees_with_itself():
    found = run()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["steps"] == [0, 4, 8, 12] and found["updates"] == 12
    assert len(found["train_loss"]) == 3
    assert found["validation_metric"] == found["validation_metrics"][-1]
    assert found["parameters"] == 2 * 8 + 8 + 8 * 3 + 3
    assert 0 < found["optimizer_seconds"] < found["seconds"]


def test_steps_to_target_is_the_first_look_that_reached_it():
    found = run(contender=ADAM, lr=0.03)
    first = next(s for s, m in zip(found["steps"], found["validation_metrics"], strict=True) if m >= CLOUDS.target)
    assert found["steps_to_target"] == first
    assert run(replace(CLOUDS, target=1.1))["steps_to_target"] is None
    assert run(replace(CLOUDS, target=None))["steps_to_target"] is None


def test_training_loss_is_the_mean_between_two_looks():
    task = replace(CLOUDS, evaluate_every=1)
    fine, coarse = run(task)["train_loss"], run()["train_loss"]
    assert coarse == pytest.approx([sum(fine[i : i + 4]) / 4 for i in (0, 4, 8)], rel=1e-12)


def test_a_run_that_overflows_ends_early_and_counts_as_the_untrained_model():
    task = replace(CLOUDS, steps=200, evaluate_every=50)
    found = run(task, lr=1e30)
    assert found["diverged"] and found["diverged_at"] == found["updates"] < 10
    assert found["validation_metric"] == found["validation_metrics"][0] == run(task)["validation_metrics"][0]
    assert found["steps_to_target"] is None
    json.dumps(found, allow_nan=False)


def scripted(losses):
    """A task whose training loss follows a script, whatever the optimizer does."""
    remaining = iter(losses)

    def loss(outputs, targets):
        value = next(remaining) if torch.is_grad_enabled() else 1.0
        return outputs.mean() * 0 + value

    return Task(name="scripted", data=CLOUDS.data, model=CLOUDS.model, loss=loss, steps=len(losses))


@pytest.mark.parametrize(
    ("losses", "stops_at"),
    [
        ([1.0] + [50.0] * 99, 10),
        ([1.0] + [2.5] * 99, 30),
        ([1.0, 9.0] + [1.0] * 98, 30),
        ([1.0, 9.0, 9.0] + [0.9] * 97, None),
        ([1.0] + [1.01] * 99, None),
        ([1.0] + [0.999] * 99, None),
        ([-1.0] + [-2.0] * 99, None),
        ([-1.0] + [4.0] * 99, 10),
        ([1.0] * 50 + [float("inf")] + [1.0] * 49, 51),
    ],
    ids=["far above", "blown up", "dead after a spike", "spike survived", "slow", "still slow", "negative",
         "negative and lost", "infinite"],
)  # fmt: skip
def test_divergence_is_seen_early_and_slowness_is_none(losses, stops_at):
    assert run(scripted(losses), stage="search")["diverged_at"] == stops_at


def test_a_run_that_no_longer_gives_finite_predictions_has_diverged():
    def loss(outputs, targets):
        return nn.functional.cross_entropy(outputs, targets) * (1.0 if torch.is_grad_enabled() else float("nan"))

    found = run(Task(name="n", data=CLOUDS.data, model=CLOUDS.model, loss=nn.functional.cross_entropy, steps=5))
    assert not found["diverged"]
    model = CLOUDS.model

    class Breaks(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.calls = model(), 0

        def forward(self, x):
            self.calls += not self.training
            return self.inner(x) * (float("nan") if self.calls > 1 else 1.0)

    broken = run(replace(CLOUDS, model=Breaks), stage="search")
    assert broken["diverged_at"] == 4 and broken["validation_metric"] == broken["validation_metrics"][0]


def test_state_bytes_of_descend_and_of_torch():
    model = nn.Linear(3, 2)
    for cls in (torch.optim.Adam, Contender("a", "A", "Adam", (0.1,)).cls):
        optimizer = cls(model.parameters())
        model(torch.ones(1, 3)).sum().backward()
        optimizer.step()
        assert 2 * 8 * 4 <= state_bytes(optimizer) <= 2 * 8 * 4 + 16


def test_a_task_that_acts_meets_the_model_of_each_update_and_no_loss_ends_it():
    met = []

    def act(model, part, seed):
        while True:
            met.append(float(model[2].bias.detach().sum()))
            yield float(len(met))

    def objective(model, size):
        return 10**size * (1 + 1e-30 * model(torch.ones(1, 2)).sum())

    record = run(replace(CLOUDS, experience=act, objective=objective, steps=30), lr=1e-3)
    assert not record["diverged"] and record["updates"] == 30
    slopes = [a - b for a, b in itertools.pairwise(met)]
    assert len(met) == 30 and slopes[-1] == pytest.approx(3 * 1e-3 * 10**29 * 1e-30, rel=0.1)


def test_gradients_are_clipped_where_the_recipe_says_so():
    def moved(**changes):
        start, models = {}, []

        def model():
            models.append(CLOUDS.model())
            start.update({name: value.clone() for name, value in models[-1].state_dict().items()})
            return models[-1]

        run(replace(CLOUDS, model=model, steps=1, **changes), lr=0.1)
        gaps = [(value - start[name]).square().sum() for name, value in models[-1].state_dict().items()]
        return float(torch.stack(gaps).sum().sqrt())

    assert moved(clip_norm=1e-2) == pytest.approx(0.1 * 1e-2, rel=1e-3)
    assert moved() > 0.1 * 1e-1
