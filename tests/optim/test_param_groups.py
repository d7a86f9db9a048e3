"""Parameter groups of a model: what decays, which pattern wins, how layers scale, how it prints."""

import pytest
import torch
from torch import nn

import descend
from descend.errors import OptionError, ParameterError, UnknownOptionError
from descend.optim import param_groups
from descend.optim.param_groups import groups
from descend.schedules import warmup


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(4), nn.Linear(4, 4)

    def forward(self, x):
        return x + self.linear(self.norm(x))


class RootMeanSquareNormalization(nn.Module):
    """A norm that torch does not know, with a weight of two dimensions."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1, 4))


class Transformer(nn.Module):
    """Embedding, three blocks, a foreign norm and a head that is tied to the embedding."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(7, 4)
        self.positions = nn.Parameter(torch.zeros(5, 4))
        self.blocks = nn.ModuleList(Block() for _ in range(3))
        self.norm = RootMeanSquareNormalization()
        self.head = nn.Linear(4, 7)
        self.head.weight = self.tokens.weight


def options_by_name(made):
    found = {}
    for group in made:
        for name, p in zip(group["param_names"], group["params"], strict=True):
            found[name] = {k: v for k, v in group.items() if k not in ("params", "param_names")}, p
    return {name: given for name, (given, _) in found.items()}


def test_what_decays():
    made = groups(Transformer(), weight_decay=0.1)
    decayed = {n for n, o in options_by_name(made).items() if o["weight_decay"] == 0.1}
    assert decayed == {"positions", "blocks.0.linear.weight", "blocks.1.linear.weight", "blocks.2.linear.weight"}
    assert {o["weight_decay"] for n, o in options_by_name(made).items() if n not in decayed} == {0.0}
    assert len(made) == 2


@pytest.mark.parametrize(
    ("module", "kinds"),
    [
        (nn.BatchNorm2d(3), {"weight": "norm", "bias": "norm"}),
        (nn.GroupNorm(1, 3), {"weight": "norm", "bias": "norm"}),
        (nn.RMSNorm(3), {"weight": "norm"}),
        (nn.InstanceNorm1d(3, affine=True), {"weight": "norm", "bias": "norm"}),
        (nn.EmbeddingBag(3, 2), {"weight": "embedding"}),
        (nn.Conv2d(3, 4, 3), {"weight": "weight", "bias": "bias"}),
        (nn.PReLU(), {"weight": "vector"}),
        (
            nn.LSTM(2, 1),
            {"weight_ih_l0": "weight", "weight_hh_l0": "weight", "bias_ih_l0": "bias", "bias_hh_l0": "bias"},
        ),
        (
            nn.MultiheadAttention(4, 2, add_bias_kv=True),
            {
                "in_proj_weight": "weight",
                "in_proj_bias": "vector",
                "bias_k": "bias",
                "bias_v": "bias",
                "out_proj.weight": "weight",
                "out_proj.bias": "bias",
            },
        ),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, nn.Module) else "",
)
def test_what_a_parameter_is(module, kinds):
    assert {a.names[0]: a.kind for a in groups(module).assignments} == kinds


def test_without_weight_decay_the_optimizers_default_holds_for_what_decays():
    optimizer = descend.AdamW(groups(nn.Linear(3, 3)))
    assert [g["weight_decay"] for g in optimizer.param_groups] == [0.01, 0.0]


def test_which_kinds_decay_can_be_chosen():
    made = groups(Transformer(), weight_decay=0.1, undecayed=("norm", "bias", "vector"))
    assert options_by_name(made)["tokens.weight"]["weight_decay"] == 0.1


def test_the_first_pattern_wins_and_overrides():
    rules = [("head.*", {"lr": 0.5}), ("*.bias", {"lr": 0.25, "weight_decay": 0.2}), (nn.LayerNorm, {"lr": 0.125})]
    found = options_by_name(groups(Transformer(), rules, lr=1.0, weight_decay=0.1))
    assert found["head.bias"] == {"lr": 0.5, "weight_decay": 0.0}
    assert found["blocks.0.linear.bias"] == {"lr": 0.25, "weight_decay": 0.2}
    assert found["blocks.1.norm.bias"] == {"lr": 0.25, "weight_decay": 0.2}
    assert found["blocks.1.norm.weight"] == {"lr": 0.125, "weight_decay": 0.0}
    assert found["positions"] == {"lr": 1.0, "weight_decay": 0.1}
    # the tied weight is found under its second name too
    assert found["tokens.weight"] == {"lr": 0.5, "weight_decay": 0.0}


def test_a_mapping_of_rules():
    found = options_by_name(groups(nn.Linear(2, 2), {"bias": {"lr": 0.5}}))
    assert found == {"weight": {}, "bias": {"weight_decay": 0.0, "lr": 0.5}}


def test_tied_parameters_stand_once_with_both_names():
    model = Transformer()
    made = groups(model)
    names = [n for g in made for n in g["param_names"]]
    assert "tokens.weight" in names
    assert "head.weight" not in names
    assert sum(p is model.tokens.weight for g in made for p in g["params"]) == 1
    assert "tokens.weight = head.weight" in made.table()


def test_a_frozen_parameter_is_assigned_and_marked():
    model = nn.Linear(2, 2)
    model.weight.requires_grad_(False)
    made = groups(model)
    assert {n for g in made for n in g["param_names"]} == {"weight", "bias"}
    assert "weight, frozen" in made.table()
    assert "1 frozen" in str(made)


def test_layer_decay_scales_by_depth():
    found = options_by_name(groups(Transformer(), lr=1.0, layer_decay=0.5))
    assert found["tokens.weight"]["lr"] == found["positions"]["lr"] == 0.5**4
    assert [found[f"blocks.{i}.linear.weight"]["lr"] for i in range(3)] == [0.5**3, 0.5**2, 0.5]
    assert found["norm.scale"]["lr"] == found["head.bias"]["lr"] == 1.0


def test_layer_decay_leaves_an_explicit_rate_alone_and_takes_schedules():
    schedule = warmup(10) * 0.8
    found = options_by_name(groups(Transformer(), [("tokens.*", {"lr": 3.0})], lr=schedule, layer_decay=0.5))
    assert found["tokens.weight"]["lr"] == 3.0
    assert found["blocks.2.linear.weight"]["lr"].at(100) == pytest.approx(0.4)
    assert found["head.bias"]["lr"] is schedule


@pytest.mark.parametrize("layers", [None, "", ["0", "2", "3"]])
def test_layers_of_a_plain_sequential(layers):
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2), nn.Linear(2, 1))
    found = options_by_name(groups(model, lr=1.0, layer_decay=0.1, layers=layers))
    assert [found[f"{i}.weight"]["lr"] for i in (0, 2, 3)] == pytest.approx([0.01, 0.1, 1.0])


def test_layers_as_a_function():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    found = options_by_name(groups(model, lr=1.0, layer_decay=0.5, layers=lambda name: 3 if "bias" in name else 0))
    assert found["0.weight"]["lr"] == 0.125
    assert found["0.bias"]["lr"] == 1.0


def test_what_layers_cannot_be():
    twins = nn.ModuleDict({"a": nn.Sequential(Block(), Block()), "b": nn.Sequential(Block(), Block())})
    with pytest.raises(OptionError, match=r"several lists of like modules: \['a', 'b'\].*Pass layers="):
        groups(twins, lr=1.0, layer_decay=0.5)
    with pytest.raises(OptionError, match="no list of like modules"):
        groups(nn.Linear(2, 2), lr=1.0, layer_decay=0.5)
    with pytest.raises(OptionError, match="no module 'block'. Did you mean 'blocks'"):
        groups(Transformer(), lr=1.0, layer_decay=0.5, layers="block")
    with pytest.raises(OptionError, match="no module 'blocks.7'"):
        groups(Transformer(), lr=1.0, layer_decay=0.5, layers=["blocks.0", "blocks.7"])
    with pytest.raises(OptionError, match=r"'blocks.1.norm.weight'.*lie between the layers"):
        groups(Transformer(), lr=1.0, layer_decay=0.5, layers=["blocks.0", "blocks.2"])
    with pytest.raises(OptionError, match="'head' has 0 children|layers='head' has 0 children"):
        groups(Transformer(), lr=1.0, layer_decay=0.5, layers="head")
    with pytest.raises(OptionError, match="got -1; allowed: a whole number"):
        groups(Transformer(), lr=1.0, layer_decay=0.5, layers=lambda name: -1)
    with pytest.raises(OptionError, match="hold no parameters"):
        groups(nn.Sequential(nn.Linear(1, 1), nn.ReLU()), lr=1.0, layer_decay=0.5, layers=["0", "1"])
    with pytest.raises(OptionError, match="takes names, not a module .ModuleList.*Pass its name"):
        groups(Transformer(), lr=1.0, layer_decay=0.5, layers=Transformer().blocks)
    with pytest.raises(OptionError, match="groups: layers: got 3; allowed: the name of a list"):
        groups(Transformer(), lr=1.0, layer_decay=0.5, layers=3)
    with pytest.raises(OptionError, match=r"groups: layers: got \[\]"):
        groups(Transformer(), lr=1.0, layer_decay=0.5, layers=[])


@pytest.mark.parametrize("library", [torch.optim, descend])
@pytest.mark.parametrize("name", ["AdamW", "SGD"])
def test_both_libraries_take_the_groups(library, name):
    model = Transformer()
    made = groups(model, [("positions", {"lr": 0.5})], lr=0.1, weight_decay=0.3)
    optimizer = getattr(library, name)(made)
    assert [g["param_names"] for g in optimizer.param_groups] == [g["param_names"] for g in made]
    assert {(g["lr"], g["weight_decay"]) for g in optimizer.param_groups} == {(0.5, 0.3), (0.1, 0.3), (0.1, 0.0)}
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    model.positions.data.fill_(1.0)
    model.blocks[0].norm.weight.data.fill_(1.0)
    optimizer.step()
    assert model.blocks[0].norm.weight.eq(1).all()  # a gradient of zero moves only what decays
    assert model.positions.detach().flatten()[0].item() == pytest.approx(1 - 0.5 * 0.3)


def test_unfreezing_needs_nothing_else():
    model = nn.Linear(2, 2)
    model.weight.requires_grad_(False)
    optimizer = descend.SGD(groups(model), lr=1.0)
    model.weight.requires_grad_(True)
    before = model.weight.detach().clone()
    model.weight.grad = torch.ones_like(model.weight)
    optimizer.step()
    assert torch.equal(model.weight, before - 1)


def test_the_table():
    made = groups(Transformer(), [("positions", {"lr": 0.5})], lr=0.1, weight_decay=0.3)
    assert str(made).splitlines() == [
        "group  tensors  numbers   lr  weight_decay  holds",
        "    0        1       20  0.5           0.3  1 weight (by 'positions')",
        "    1       12       75  0.1             0  7 norm, 1 embedding, 4 bias (1 tied)",
        "    2        3       48  0.1           0.3  3 weight",
    ]
    lines = made.table().splitlines()
    assert lines[0].split() == ["group", "numbers", "shape", "parameter", "is", "a", "pattern"]
    assert len(lines) == 1 + 16
    assert "    0       20    5×4  positions" in made.table()


def test_patterns_that_match_nothing():
    model = Transformer()
    for pattern, hint in [
        ("block.*", "Did you mean 'blocks.*'"),
        ("*.weigth", "Did you mean '*.weight'"),
        ("blocks", "Did you mean 'blocks.*'"),
        ("head.weigh", "Did you mean 'head.weight'"),
    ]:
        with pytest.raises(OptionError, match=f"no parameter matches {pattern!r}".replace("*", r"\*")) as error:
            groups(model, [(pattern, {"lr": 1.0})])
        assert hint in str(error.value)
    with pytest.raises(OptionError, match="no parameter matches Conv2d"):
        groups(model, [(nn.Conv2d, {"lr": 1.0})])


def test_a_pattern_behind_one_that_takes_all_of_its_parameters():
    with pytest.raises(
        OptionError, match=r"all 1 parameters that match 'head.bias' are taken by '\*.bias'.*put it before"
    ):
        groups(Transformer(), [("*.bias", {"lr": 1.0}), ("head.bias", {"lr": 2.0})])


@pytest.mark.parametrize(("key", "meant"), [("weigth_decay", "weight_decay"), ("LR", "lr"), ("momentun", "momentum")])
def test_misspelt_options(key, meant):
    with pytest.raises(UnknownOptionError, match=f"sets '{key}'. Did you mean '{meant}'"):
        groups(Transformer(), [("*.bias", {key: 0.0})])


def test_options_of_other_libraries_pass():
    made = groups(nn.Linear(2, 2), [("weight", {"ns_steps": 5})])
    assert options_by_name(made)["weight"] == {"ns_steps": 5}


def test_malformed_arguments():
    model = nn.Linear(2, 2)
    with pytest.raises(ParameterError, match="model: got 'list'"):
        groups(list(model.parameters()))
    with pytest.raises(ParameterError, match="ReLU has no parameters"):
        groups(nn.ReLU())
    with pytest.raises(ParameterError, match="'weight' has no shape yet"):
        groups(nn.LazyLinear(2))
    with pytest.raises(OptionError, match="a rule: got 'bias'"):
        groups(model, ["bias"])
    with pytest.raises(OptionError, match="a pattern: got 3"):
        groups(model, [(3, {})])
    with pytest.raises(UnknownOptionError, match="sets 'params'"):
        groups(model, [("bias", {"params": []})])
    with pytest.raises(OptionError, match="weight_decay.*>= 0"):
        groups(model, weight_decay=-1.0)
    with pytest.raises(OptionError, match="lr.*>= 0"):
        groups(model, lr="0.1")
    with pytest.raises(OptionError, match="layer_decay.*> 0 and <= 1"):
        groups(model, lr=1.0, layer_decay=1.5)
    with pytest.raises(OptionError, match="scales lr=, which is not given"):
        groups(model, layer_decay=0.5)
    with pytest.raises(OptionError, match="Pass layer_decay="):
        groups(model, layers="0")
    with pytest.raises(OptionError, match="undecayed.*Did you mean 'norm'"):
        groups(model, undecayed=("norms",))
    with pytest.raises(OptionError, match="undecayed; allowed: a sequence of"):
        groups(model, undecayed=None)
    with pytest.raises(OptionError, match="groups: rules: got 5; allowed: .pattern, options. pairs"):
        groups(model, 5)


def test_the_assertion_sees_a_lost_and_a_doubled_parameter():
    model = nn.Linear(2, 2)
    with pytest.raises(AssertionError, match="not assigned"):
        param_groups._check_once(model, [{"params": [model.weight]}])
    with pytest.raises(AssertionError, match="twice"):
        param_groups._check_once(model, [{"params": [model.weight, model.weight]}])


def test_options_of_a_kind():
    model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 3))
    made = groups(model, {"0.*": {"lr": 0.3}}, lr=0.1, kinds={"weight": {"method": "Lion", "lr": 0.2}})
    assert {n: (g["lr"], g.get("method")) for g in made for n in g["param_names"]} == {
        "0.weight": (0.3, None), "1.weight": (0.2, "Lion"), "1.bias": (0.1, None)
    }  # fmt: skip
    assert "method" in repr(made) and "Lion" in repr(made)
    for wrong, said in (
        ({"norm": {}}, "no parameter of the model is of the kind 'norm'"),
        ({"wieght": {}}, "Did you mean 'weight'"),
        ({"weight": {"weigth_decay": 0.0}}, "the kind 'weight' sets 'weigth_decay'. Did you mean 'weight_decay'"),
        ({"weight": 0.1}, "a mapping of kinds to options"),
    ):
        with pytest.raises(OptionError, match=said):
            groups(model, kinds=wrong)
