"""What all averages do: swapping, copying, resuming, refusals."""

import io
import pickle
from copy import deepcopy

import pytest
import torch
from torch import nn

import descend
from descend.errors import CheckpointError, OptionError, ParameterError
from descend.schedules import constant
from descend.wrap import EMA, SWA, Lookahead, recalibrate
from wrap.network import make_model, move


def test_swap_restores_weights_and_buffers_also_after_recalibration_and_an_exception():
    model = make_model()
    average = SWA(model)
    average.update()
    move(model, 1)
    before = {n: t.clone() for n, t in model.state_dict().items()}
    with pytest.raises(ZeroDivisionError), average.swap():
        recalibrate(model, [torch.randn(5, 2, dtype=torch.float64)])
        assert not torch.equal(model[1].running_mean, before["1.running_mean"])
        raise ZeroDivisionError
    assert all(torch.equal(t, before[n]) for n, t in model.state_dict().items())


def test_low_precision_weights_are_averaged_in_float32():
    """Steps of 2^-10 around 1 vanish in bfloat16, which has 8 bits."""
    model = nn.Linear(1, 1, bias=False).to(torch.bfloat16)
    average = EMA(model, 0.99, bias_correction=False)
    with torch.no_grad():
        model.weight.fill_(1.0)
        average.load_state_dict({**average.state_dict(), "averages": {"weight": torch.ones(1, 1)}})
        model.weight.fill_(1.0078125)
    for _ in range(200):
        average.update()
    assert average.state_dict()["averages"]["weight"].item() == pytest.approx(1 + 0.0078125 * (1 - 0.99**200), rel=1e-5)


def test_kept_buffers_of_the_network_are_the_models():
    model = make_model()
    average = SWA(model)
    network = average.network()
    move(model, 3)
    average.update()
    assert torch.equal(network.get_buffer("1.running_mean"), model[1].running_mean)


@pytest.mark.parametrize(
    "make", [lambda m: EMA(m, 0.9), lambda m: EMA(m, constant(0.9)), SWA], ids=["EMA", "scheduled", "SWA"]
)
def test_resume_equals_uninterrupted(make):
    straight, half = make_model(torch.float32), make_model(torch.float32)
    first, second = make(straight), make(half)
    for seed in range(8):
        if seed == 4:
            file = io.BytesIO()
            torch.save(second.state_dict(), file)
            file.seek(0)
            half = make_model(torch.float32, seed=77)
            second = make(half)
            second.load_state_dict(torch.load(file, weights_only=True))
        move(straight, seed)
        move(half, seed)
        first.update()
        second.update()
    assert first.updates == second.updates == 8
    for (name, a), b in zip(
        first.state_dict()["averages"].items(), second.state_dict()["averages"].values(), strict=True
    ):
        assert "num_batches" in name or torch.equal(a, b)


@pytest.mark.parametrize("library", [torch.optim, descend])
def test_attached_to_an_optimizer(library):
    model = nn.Linear(1, 1, bias=False)
    optimizer = Lookahead(library.SGD(model.parameters(), lr=1.0), k=9)
    average = SWA(model)
    detach = average.attach(optimizer)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    with torch.no_grad():
        model.weight.fill_(0.0)
    for value in [1.0, float("inf"), 1.0]:
        model.weight.grad = torch.full((1, 1), value * float(scaler.scale(torch.ones(()))))
        scaler.step(optimizer)
        scaler.update()
    assert average.updates == 2
    with average.swap():
        assert model.weight.item() == -1.5
    detach()
    model.weight.grad = torch.ones(1, 1)
    optimizer.step()
    assert average.updates == 2


def test_a_wrapped_models_average_loads_into_the_plain_one():
    model = make_model()
    compiled = torch.compile(model, backend="eager")
    average = EMA(compiled, 0.9)
    move(model, 2)
    average.update()
    plain = EMA(make_model(seed=3), 0.9)
    plain.load_state_dict(average.state_dict())
    plain.copy_to()
    assert torch.equal(plain.model.get_parameter("0.weight"), model[0].weight)


@pytest.mark.parametrize("copy", [deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"])
def test_copies_go_on_alike_and_alone(copy):
    model = make_model()
    average = EMA(model, 0.9)
    network = average.network()
    move(model, 1)
    average.update()
    twin, other = copy((model, average))
    kept = network.get_parameter("0.weight").clone()
    move(twin, 2)
    other.update()
    assert torch.equal(network.get_parameter("0.weight"), kept)
    move(model, 2)
    average.update()
    assert torch.equal(other.network().get_parameter("0.weight"), network.get_parameter("0.weight"))
    assert torch.equal(other.state_dict()["averages"]["0.weight"], network.get_parameter("0.weight"))


def test_tied_and_frozen_weights():
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    model[1].weight = model[0].weight
    model.requires_grad_(False)
    average = EMA(model, 0.9)
    assert list(average.state_dict()["averages"]) == ["0.weight"]
    with average.swap():
        assert model[1].weight is model[0].weight


def test_copy_to_another_model():
    model, other = make_model(), make_model(seed=4)
    EMA(model).copy_to(other)
    assert torch.equal(model[0].weight, other[0].weight)
    with pytest.raises(ParameterError, match=r"the model lacks \['1.weight'"):
        EMA(model).copy_to(nn.Sequential(nn.Linear(2, 3), nn.ReLU()))


def test_what_is_refused():
    model = make_model()
    for decay in (-0.1, 1.1, float("nan"), "0.9", True, None):
        with pytest.raises(OptionError, match="EMA: decay.*from 0 to 1"):
            EMA(model, decay)
    with pytest.raises(OptionError, match="decay: got 2.0"):
        EMA(model, constant(2.0)).update()
    for flag in ("no", torch.ones(2)):
        with pytest.raises(OptionError, match="EMA: bias_correction: got .*True, False"):
            EMA(model, bias_correction=flag)
    with pytest.raises(OptionError, match="buffers.*Did you mean 'keep'"):
        SWA(model, buffers="kept")
    with pytest.raises(ParameterError, match="EMA: model: got 'generator'"):
        EMA(model.parameters())
    with pytest.raises(ParameterError, match="ReLU has no parameters"):
        SWA(nn.ReLU())
    average = EMA(model)
    with average.swap():
        with pytest.raises(OptionError, match="within itself"), average.swap():
            pass
        with pytest.raises(OptionError, match="within swap"):
            average.update()
    model.append(nn.Linear(1, 1))
    with pytest.raises(ParameterError, match=r"\['3.bias', '3.weight'\] came, went or changed"):
        average.update()


def test_checkpoints_that_do_not_fit():
    average = EMA(make_model(), 0.9)
    good = average.state_dict()
    with pytest.raises(CheckpointError, match="no average's state"):
        average.load_state_dict({"state": {}})
    with pytest.raises(CheckpointError, match="is of 'SWA'"):
        average.load_state_dict(SWA(make_model()).state_dict())
    with pytest.raises(CheckpointError, match="missing in the checkpoint: .*'0.bias'"):
        average.load_state_dict({**good, "averages": {"0.weight": good["averages"]["0.weight"]}})
    with pytest.raises(CheckpointError, match=r"'0.bias' has shape \(2,\)"):
        average.load_state_dict({**good, "averages": {**good["averages"], "0.bias": torch.zeros(2)}})
    assert torch.equal(average.state_dict()["averages"]["0.bias"], good["averages"]["0.bias"])


class Parent(nn.Module):
    """Has a part called as parallel training calls the model that it wraps, and a weight of the same name as its."""

    def __init__(self):
        super().__init__()
        self.module = nn.Linear(2, 2, bias=False)
        self.weight = nn.Parameter(torch.zeros(2, 2))


def test_a_part_that_is_called_module_keeps_its_own_average():
    average, other = EMA(Parent()), EMA(Parent())
    average.update()
    other.load_state_dict(average.state_dict())
    for name, kept in average.state_dict()["averages"].items():
        assert torch.equal(other.state_dict()["averages"][name], kept), name


def test_names_that_wrappers_make_ambiguous_are_refused():
    average = EMA(nn.Sequential(Parent()))
    saved = average.state_dict()
    saved["averages"] = {f"module.{name}": kept for name, kept in saved["averages"].items()}
    with pytest.raises(CheckpointError, match="names do not fit"):
        average.load_state_dict(saved)


@pytest.mark.parametrize(
    "key,value", [("updates", None), ("updates", 1.5), ("averages", [1]), ("weight", "x"), ("decay", (0.9,))]
)
def test_a_damaged_state_is_refused_and_changes_nothing(key, value):
    average = EMA(make_model(), 0.9)
    average.update()
    saved = average.state_dict()
    with pytest.raises(CheckpointError, match=f"The checkpoint's '{key}' of EMA"):
        average.load_state_dict({**saved, "updates": 7, key: value})
    assert (average.updates, average.decay) == (1, 0.9)
