"""The self-test of resumption, on a training that is right and on the mistakes that people make."""

import random

import numpy as np
import pytest
import torch

import descend
from descend.checkpoints import RandomState, check_resume
from descend.errors import CheckpointError, OptionError
from descend.schedules import cosine, warmup

DATA = [torch.randn(6, 4, generator=torch.Generator().manual_seed(k)) for k in range(20)]


class Training:
    """A small training, whose parts a test takes or leaves."""

    def __init__(self, optimizer=lambda p: descend.AdamW(p, lr=0.1), dropout: float = 0.0) -> None:
        torch.manual_seed(0)
        self.model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Dropout(dropout), torch.nn.Linear(3, 1))
        self.optimizer = optimizer(self.model.parameters())

    def loss(self, k: int) -> torch.Tensor:
        return self.model(DATA[k]).square().mean()

    def step(self, k: int) -> torch.Tensor:
        loss = self.loss(k)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss

    @property
    def objects(self):
        return {"model": self.model, "optimizer": self.optimizer}


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda p: descend.AdamW(p, lr=warmup(2) * cosine(8) * 0.1, amsgrad=True),
        lambda p: descend.SGD(p, lr=0.1, momentum=0.9),
        lambda p: descend.NAdam(p),
        lambda p: torch.optim.Adam(p),
        lambda p: descend.Lookahead(descend.Lion(p), k=2),
    ],
)
def test_a_training_that_is_right(optimizer):
    def factory():
        t = Training(optimizer)
        return t.objects, t.step

    report = check_resume(factory, before=4, after=3)
    assert report.equal and report.causes == ()
    assert str(report) == "Resumed after 4 steps, the next 3 are those of the uninterrupted run, to the bit."


def test_dropout_without_the_generator_and_with_it():
    def factory(**more):
        t = Training(dropout=0.5)
        return {**t.objects, **more}, t.step

    report = check_resume(factory)
    assert not report.equal and "Step 3 is the first with another loss" in report.first
    assert any("random generator of torch was not restored" in c and "RandomState" in c for c in report.causes)
    assert check_resume(lambda: factory(random=RandomState())).equal


def test_generators_of_python_and_numpy():
    def factory(**more):
        random.seed(1)
        np.random.seed(1)
        t = Training()

        def step(k):
            return t.step(random.randrange(20)).item() + np.random.rand()

        return {**t.objects, **more}, step

    report = check_resume(factory)
    assert any("generator of numpy and python" in cause for cause in report.causes)
    assert check_resume(lambda: factory(random=RandomState())).equal


def test_a_scheduler_that_is_not_saved():
    def factory(saved: bool):
        t = Training()
        scheduler = torch.optim.lr_scheduler.ExponentialLR(t.optimizer, 0.5)

        def step(k):
            loss = t.step(k)
            scheduler.step()
            return loss

        return {**t.objects, **({"scheduler": scheduler} if saved else {})}, step

    # its closed form is in the groups' lr, which are saved; LambdaLR begins again
    assert check_resume(lambda: factory(True)).equal

    def lambdas():
        t = Training()
        scheduler = torch.optim.lr_scheduler.LambdaLR(t.optimizer, lambda k: 1 / (k + 1))

        def step(k):
            loss = t.step(k)
            scheduler.step()
            return loss

        return t.objects, step

    report = check_resume(lambdas)
    assert not report.equal and "a scheduler" in report.causes[0]
    assert any(c.startswith("At the end optimizer.param_groups.0.lr is 0.025 instead of") for c in report.causes)


def test_an_average_that_is_not_saved():
    def factory(saved: bool):
        t = Training()
        average = descend.EMA(t.model, 0.9)

        def step(k):
            t.step(k)
            average.update()
            with average.swap():
                return t.loss(k)

        return {**t.objects, **({"average": average} if saved else {})}, step

    assert check_resume(lambda: factory(True)).equal
    report = check_resume(lambda: factory(False))
    assert "an average of weights" in report.causes[0]


def test_a_scaler_that_is_not_loaded():
    def factory():
        t = Training(lambda p: descend.SGD(p, lr=0.1))
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=2)

        def step(k):
            loss = t.loss(k)
            scaler.scale(loss).backward()
            scaler.step(t.optimizer)
            scaler.update()
            t.optimizer.zero_grad()
            return loss

        return {**t.objects, "scaler": scaler}, step

    assert check_resume(factory).equal

    def load(objects, checkpoint):
        for name in ("model", "optimizer"):
            objects[name].load_state_dict(checkpoint[name])

    report = check_resume(factory, load=load)
    assert not report.equal and report.first == "All losses are the same, the states at the end are not."
    assert report.causes[0].startswith("scaler was not restored: scaler.scale is 1024.0 after loading, it was 2048.0")


def test_an_optimizer_that_is_not_saved():
    def factory():
        t = Training()
        return t.objects, t.step

    def save(objects):
        return {"model": objects["model"].state_dict()}

    def load(objects, checkpoint):
        objects["model"].load_state_dict(checkpoint["model"])

    report = check_resume(factory, save=save, load=load)
    assert len(report.causes) == 4
    expected = "optimizer was not restored: optimizer.param_groups.0.updates is 0 after loading, it was 3, and 12 more."
    assert report.causes[0] == expected
    with pytest.raises(CheckpointError, match="optimizer was not restored"):
        check_resume(factory, save=save, load=load, raise_=True)


def test_an_option_that_the_checkpoint_changes_is_named():
    """A user who loads weights only into another group order finds the group's number."""

    def factory():
        t = Training()
        return t.objects, t.step

    def load(objects, checkpoint):
        objects["model"].load_state_dict(checkpoint["model"])
        objects["optimizer"].load_state_dict(checkpoint["optimizer"])
        objects["optimizer"].param_groups[0]["lr"] = 0.5

    report = check_resume(factory, load=load)
    expected = "optimizer was not restored: optimizer.param_groups.0.lr is 0.5 after loading, it was 0.1."
    assert report.causes[0] == expected and "Step 4 is the first" in report.first


def test_gradients_that_were_left_over():
    def factory():
        t = Training()

        def step(k):  # accumulates over two steps, which the checkpoint cuts in half
            loss = t.loss(k)
            loss.backward()
            if k % 2:
                t.optimizer.step()
                t.optimizer.zero_grad()
            return loss

        return t.objects, step

    assert check_resume(factory, before=4).equal
    report = check_resume(factory, before=3)
    assert report.causes[0].startswith("Gradients were left over at the checkpoint")


def test_data_that_goes_on_outside():
    def factory():
        t = Training()
        batches = iter(range(20))
        return t.objects, lambda k: t.step(next(batches))

    report = check_resume(factory)
    assert report.causes[0].startswith("Every object was restored, so what differs is kept outside")


def test_a_training_that_is_not_reproducible():
    count = iter(range(100))

    def factory():
        t = Training()
        shift = next(count)
        return t.objects, lambda k: t.step((k + shift) % 20)

    report = check_resume(factory)
    assert report.causes[0].startswith("Two uninterrupted runs differ as well")


class Secret:
    """An object whose state no file can hold safely."""

    def state_dict(self):
        return {"self": self}

    def load_state_dict(self, state_dict):
        """Nothing."""


def test_a_state_that_cannot_be_read_back_safely():
    def factory():
        t = Training()
        return {**t.objects, "secret": Secret()}, t.step

    report = check_resume(factory)
    assert "The checkpoint cannot be used" in report.first and report.causes[0].startswith("secret: ")


def test_the_users_generators_are_left_alone():
    torch.manual_seed(5)
    random.seed(5)
    before = (torch.get_rng_state(), random.getstate())

    def factory():
        t = Training(dropout=0.5)
        return t.objects, t.step

    check_resume(factory)
    assert torch.equal(torch.get_rng_state(), before[0]) and random.getstate() == before[1]


def test_refusals():
    for name in ("factory", "save", "load"):
        with pytest.raises(OptionError, match=rf"check_resume\({name}\): got 5; allowed: a function"):
            check_resume(**{"factory": lambda: ({}, print), name: 5})
    for state in (None, {"torch": torch.get_rng_state()}):
        with pytest.raises(CheckpointError, match="no state of generators"):
            RandomState().load_state_dict(state)
    with pytest.raises(OptionError, match=r"before=, after=\): got \(0, 3\)"):
        check_resume(lambda: ({}, print), before=0)
    with pytest.raises(OptionError, match="factory's result: got 'Linear'"):
        check_resume(lambda: torch.nn.Linear(1, 1))
    with pytest.raises(OptionError, match=r"objects \['data'\] have no state_dict"):
        check_resume(lambda: ({"data": [1]}, print))


class Tally:
    """Counts batches in an array, which its state shares."""

    def __init__(self) -> None:
        self.counts = np.zeros(3, np.uint32)

    def state_dict(self):
        return {"counts": self.counts}

    def load_state_dict(self, state):
        self.counts[:] = state["counts"]


@pytest.mark.parametrize("keeps", [True, False])
def test_states_of_numpy_arrays(keeps):
    """Saved by the user's own functions, since torch reads no arrays back safely."""

    def factory():
        t, tally = Training(), Tally()

        def step(k):
            tally.counts[k % 3] += 1
            return t.step(k)

        return {**t.objects, "tally": tally}, step

    def save(objects):
        saved = {name: item.state_dict() for name, item in objects.items()}
        return {**saved, "tally": {"counts": objects["tally"].counts.tolist()}}

    def load(objects, saved):
        for name, item in objects.items():
            if keeps or name != "tally":
                item.load_state_dict(saved[name])

    report = check_resume(factory, save=save, load=load)
    assert report.equal is keeps
    assert keeps or any(cause.startswith("tally was not restored: tally.counts is") for cause in report.causes)
