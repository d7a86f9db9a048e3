"""Checkpoints of other libraries: hand-built ones, and real ones of pytorch_optimizer and torch."""

from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_optimizer
import torch

import descend
from descend.checkpoints import import_state
from descend.errors import CheckpointError, OptionError
from optim.models import assert_equal, copies, parameters, train

CODEBOOK = torch.linspace(-1, 1, 256)


def bitsandbytes(betas=(0.9, 0.999), *, nested=True, double=False, **states: torch.Tensor) -> dict[str, Any]:
    """A checkpoint of one parameter, as bitsandbytes lays it out."""
    entry: dict[str, Any] = {"step": 7}
    quantised = {}
    for i, codes in enumerate(states.values(), start=1):
        quantised[f"state{i}"] = codes
        if codes.dtype == torch.uint8:
            blocks = -(-codes[0].numel() // 256) if double and i == 1 else -(-codes.numel() // 256)
            quantised[f"qmap{i}"] = CODEBOOK
            quantised[f"absmax{i}"] = torch.full((2, blocks) if double and i == 1 else (blocks,), 0.5)
    entry |= {"__bnb_optimizer_quant_state__": quantised} if nested else quantised
    group = {"lr": 0.1, "betas": betas, "eps": 1e-8, "weight_decay": 0.01, "alpha": 0.0, "t_alpha": None}
    return {"state": {0: entry}, "param_groups": [{**group, "t_beta3": None, "params": [0]}]}


def codes(*shape: int) -> torch.Tensor:
    return (torch.arange(torch.Size(shape).numel()) % 256).to(torch.uint8).reshape(shape)


@pytest.mark.parametrize("nested", [True, False])
def test_bitsandbytes_in_eight_bits(nested):
    saved = bitsandbytes(nested=nested, m=codes(2, 256), v=codes(2, 256))
    imported = import_state(saved)
    assert (imported.source, imported.target) == ("AdamW of bitsandbytes", "AdamW")
    state = imported.state_dict["state"][0]
    torch.testing.assert_close(state["exp_avg"], 0.5 * CODEBOOK.repeat(2).reshape(2, 256))
    assert state["step"] == 7.0 and not imported.exact
    assert "exp_avg as stored     approximate  rounded to 8 bits: each number off by up to 0.39%" in str(imported)
    p = torch.nn.Parameter(torch.zeros(2, 256))
    ours = descend.AdamW([p], lr=9.0)
    assert ours.load_state_dict(imported.state_dict).fits
    assert ours.param_groups[0]["lr"] == 0.1 and ours.param_groups[0]["weight_decay"] == 0.01


def test_bitsandbytes_with_small_tensors_in_thirty_two_bits():
    m, v = torch.randn(3, 2), torch.rand(3, 2)
    state = import_state(bitsandbytes(m=m, v=v), to="LAMB", from_="LAMB").state_dict["state"][0]
    assert torch.equal(state["exp_avg"], m) and torch.equal(state["exp_avg_sq"], v)


@pytest.mark.parametrize(
    ("method", "key", "betas", "options"),
    [
        ("Lion", "exp_avg", (0.95, 0.98), {"betas": (0.95, 0.98)}),
        ("SGD", "momentum_buffer", (0.8, 0.0), {"momentum": 0.8, "dampening": 0.0}),
        ("RMSprop", "square_avg", (0.95, 0.0), {"alpha": 0.95, "eps": 1e-8}),
        ("Adagrad", "sum", (0.0, 0.0), {"eps": 1e-8}),
    ],
)
def test_bitsandbytes_with_one_state(method, key, betas, options):
    value = torch.rand(3, 2)
    imported = import_state(bitsandbytes(betas, m=value), from_=method)
    assert torch.equal(imported.state_dict["state"][0][key], value)
    assert imported.state_dict["param_groups"][0].items() >= options.items()
    with pytest.raises(CheckpointError, match="does not say its method.*'Adagrad', 'Lion', 'RMSprop', 'SGD'"):
        import_state(bitsandbytes(betas, m=value))
    with pytest.raises(CheckpointError, match="which AdamW of bitsandbytes has not; allowed: state1 to state2"):
        import_state(bitsandbytes(betas, m=value), from_="AdamW")


def test_bitsandbytes_keeps_two_means_in_one_state_for_ademamix():
    saved = bitsandbytes((0.9, 0.99, 0.9999), double=True, m=codes(2, 2, 256), v=codes(2, 256))
    imported = import_state(saved)
    assert imported.target == "AdEMAMix"
    state = imported.state_dict["state"][0]
    assert state["exp_avg_fast"].shape == state["exp_avg_slow"].shape == (2, 256)
    assert imported.state_dict["param_groups"][0]["alpha_warmup"] == 0.0


def test_an_import_may_go_to_another_method_at_once():
    m, v = torch.randn(3, 2), torch.rand(3, 2)
    p = torch.nn.Parameter(torch.zeros(3, 2))
    lion = descend.Lion([p], lr=0.25, betas=(0.5, 0.9))
    imported = import_state(bitsandbytes(m=m, v=v), to=lion)
    lion.load_state_dict(imported.state_dict)
    torch.testing.assert_close(lion.state[p]["exp_avg"], m)
    assert lion.param_groups[0]["lr"] == 0.25 and imported.source == "AdamW of bitsandbytes"


def subclass(shape, codes, scale, qmap=None):
    """What stands where torchao has a tensor subclass."""
    value = SimpleNamespace(shape=torch.Size(shape), codes=codes, scale=scale)
    return value if qmap is None else SimpleNamespace(**vars(value), qmap=qmap)


def torchao(**states: Any) -> dict[str, Any]:
    group = {"lr": torch.tensor(0.1), "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.02, "amsgrad": False}
    return {"state": {0: {"step": torch.tensor(3.0), **states}}, "param_groups": [{**group, "params": [0]}]}


def test_torchao():
    eight = subclass((2, 256), codes(2, 256), torch.tensor([1.0, 2.0]), CODEBOOK)
    four = subclass((2, 128), torch.full((128,), 0x0F, dtype=torch.uint8), torch.ones(2), torch.linspace(0, 1, 17)[1:])
    imported = import_state(torchao(exp_avg=eight, exp_avg_sq=torch.ones(2, 256)))
    torch.testing.assert_close(imported.state_dict["state"][0]["exp_avg"][1], 2.0 * CODEBOOK)
    group = imported.state_dict["param_groups"][0]
    assert isinstance(group["lr"], float) and group["lr"] == pytest.approx(0.1) and imported.target == "AdamW"
    assert "does not say whether the decay is decoupled" in str(imported)
    both = import_state(torchao(exp_avg=four, exp_avg_sq=four), from_="Adam").state_dict["state"][0]
    assert both["exp_avg_sq"][0, :4].tolist() == [0.0625, 1.0, 0.0625, 1.0]
    fp8 = subclass((256,), torch.full((256,), 2.0).to(torch.float8_e4m3fn), torch.tensor([0.5]))
    assert import_state(torchao(exp_avg=fp8, exp_avg_sq=fp8)).state_dict["state"][0]["exp_avg"].eq(1.0).all()


def flashoptim(**states: torch.Tensor) -> dict[str, Any]:
    group = {
        "lr": 0.1,
        "betas": (0.9, 0.99),
        "eps": 1e-8,
        "weight_decay": 0.02,
        "master_bytewidth": 3,
        "initial_lr": 0.1,
    }
    return {"state": {0: {"step": torch.tensor(3.0), **states}}, "param_groups": [{**group, "params": [0]}]}


def test_flashoptim():
    scales = torch.tensor([1.0, 2.0], dtype=torch.float16)
    states = {
        "exp_avg::quantized": torch.full((8, 8), 127, dtype=torch.int8),
        "exp_avg::scales": scales.view(torch.bfloat16),
        "exp_avg_sq::quantized": torch.full((8, 8), 255, dtype=torch.uint8),
        "exp_avg_sq::scales": scales,
        "error_bits": torch.zeros(8, 8, dtype=torch.int8),
    }
    imported = import_state(flashoptim(**states))
    state = imported.state_dict["state"][0]
    assert state["exp_avg"][0].eq(1.0).all() and state["exp_avg"][7].eq(2.0).all()
    assert state["exp_avg_sq"][0].eq(1.0).all() and state["exp_avg_sq"][7].eq(4.0).all()
    told = {line.name: line.grade for line in imported.lines}
    assert told["error_bits"] == "dropped" and told["method"] == "estimated" and imported.target == "AdamW"
    small = {**states, "exp_avg_sq::scales": scales * 1e-5}
    assert "where float16 has few digits" in str(import_state(flashoptim(**small)))
    plain = import_state(flashoptim(exp_avg=torch.ones(3), exp_avg_sq=torch.ones(3)), from_="Adam")
    assert plain.target == "Adam" and plain.exact
    with pytest.raises(CheckpointError, match="'odd' of flashoptim is compressed in a way that is not known"):
        import_state(flashoptim(**{"odd::quantized": torch.zeros(3), "odd::scales": torch.ones(1)}))


PEERS: dict[str, dict[str, Any]] = {
    "AdaBelief": {"betas": (0.8, 0.9)},
    "Adadelta": {},
    "Adamax": {},
    "Adan": {},
    "AdEMAMix": {},
    "AggMo": {},
    "Lion": {},
    "NovoGrad": {},
    "QHM": {"momentum": 0.9},
    "RAdam": {},
    "SGDW": {"momentum": 0.9},
    "Yogi": {},
}


@pytest.mark.parametrize("name", PEERS)
def test_pytorch_optimizers_states_are_ours(name):
    """Both see the same gradients; the imported state is what ours has kept itself."""
    a = parameters(dtype=torch.float32)
    title = {"Adadelta": "AdaDelta", "Adamax": "AdaMax"}.get(name, name)
    theirs = getattr(pytorch_optimizer, title)(a, lr=0.01, weight_decay=0.0, **PEERS[name])
    train(theirs, a, 4)
    b = parameters(dtype=torch.float32)
    options = {"bias_correction": True} if name in ("Adan", "Yogi") else {}
    options |= {"momentum_form": "torch"} if name == "SGDW" else {}
    ours = getattr(descend, name)(b, lr=0.01, **{**PEERS[name], **options})
    train(ours, b, 4)
    imported = import_state(theirs.state_dict(), to=ours, from_=name)
    for i, p in enumerate(b):
        entry = imported.state_dict["state"][i]
        assert entry.keys() == {k for k in ours.state_dict()["state"][i]}
        for key, value in entry.items():
            torch.testing.assert_close(value.float(), ours.state[p][key].float(), rtol=2e-5, atol=1e-6, msg=key)
    again = getattr(descend, name)(copies(b), **options)
    report = again.load_state_dict(import_state(theirs.state_dict(), from_=name).state_dict)
    assert report.fits and again.clock.updates == 4 and again.param_groups[0]["lr"] == 0.01


def test_pytorch_optimizers_do_not_say_their_method():
    a = parameters()
    theirs = pytorch_optimizer.Lion(a)
    train(theirs, a, 1)
    with pytest.raises(
        CheckpointError, match=r"pytorch_optimizer does not say its method; its states are \['exp_avg'\]"
    ):
        import_state(theirs.state_dict())
    assert import_state(theirs.state_dict(), from_="Lion").state_dict["param_groups"][0]["decay"] == "decoupled"


def test_torchs_own():
    a = parameters()
    theirs = torch.optim.AdamW(a, lr=0.1)
    train(theirs, a, 3)
    imported = import_state(theirs.state_dict())
    assert imported.exact and imported.target == "AdamW"
    b = copies(a)
    ours = descend.AdamW(b)
    ours.load_state_dict(imported.state_dict)
    train(theirs, a, range(3, 5))
    train(ours, b, range(3, 5))
    assert_equal(a, b)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"model": {}, "optimizer": s},
        lambda s: {"epoch": 3, "optimizer_state_dict": s},
        lambda s: {"optimizer_states": [s], "lr_schedulers": []},
    ],
    ids=["state", "optimizer", "optimizer_state_dict", "Lightning"],
)
def test_files_of_training_loops(tmp_path, wrap):
    a = parameters()
    theirs = torch.optim.Adam(a)
    train(theirs, a, 1)
    torch.save(wrap(theirs.state_dict()), tmp_path / "checkpoint.pt")
    imported = import_state(tmp_path / "checkpoint.pt", source="torch")
    assert torch.equal(imported.state_dict["state"][0]["exp_avg"], theirs.state[a[0]]["exp_avg"])


class Unknown:
    """A class that no loader knows."""


def test_refusals(tmp_path):
    a = parameters()
    theirs = torch.optim.Adam(a)
    train(theirs, a, 1)
    saved = theirs.state_dict()
    with pytest.raises(OptionError, match="Did you mean 'bitsandbytes'"):
        import_state(saved, source="bitsandbyte")
    with pytest.raises(CheckpointError, match=r"states \['exp_avg', 'exp_avg_sq', 'step'\]; allowed: those of torchao"):
        import_state(saved, source="torchao")
    with pytest.raises(CheckpointError, match=r"0 optimizers' states in a checkpoint with the keys \['model'\]"):
        import_state({"model": {}})
    with pytest.raises(CheckpointError, match="2 optimizers' states"):
        import_state({"optimizer_states": [saved, saved]})
    strange = {"state": {0: {"mystery": torch.ones(1)}}, "param_groups": [{"params": [0], "lr": 0.1}]}
    with pytest.raises(CheckpointError, match=r"the states \['mystery'\], which no method has"):
        import_state(strange)
    torch.save({"optimizer": Unknown()}, tmp_path / "odd.pt")
    with pytest.raises(CheckpointError, match="holds more than tensors and plain data.*Unknown.*Import the library"):
        import_state(tmp_path / "odd.pt")
    torch.save([1], tmp_path / "list.pt")
    with pytest.raises(CheckpointError, match="holds a list; allowed: a dict"):
        import_state(tmp_path / "list.pt")
    with pytest.raises(CheckpointError, match=r"import_state\(checkpoint\): got 'Adam'; allowed: a file's path, or"):
        import_state(theirs)
