"""What may be passed as parameters, and what is refused by name."""

import pytest
import torch

import descend
from descend.errors import OptionError, ParameterError, UnknownOptionError
from optim.models import assert_equal, copies, parameters, train


def net():
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1)).double()


NAMES = ["0.weight", "0.bias", "1.weight", "1.bias"]


@pytest.mark.parametrize(
    "given",
    [
        lambda m: m.parameters(),
        lambda m: list(m.parameters()),
        lambda m: tuple(m.parameters()),
        lambda m: (p for p in m.parameters()),
        lambda m: [{"params": m.parameters()}],
        lambda m: {"params": list(m.parameters())},
        lambda m: [{"params": p} for p in m.parameters()],
    ],
    ids=["parameters()", "list", "tuple", "generator", "group", "one dict", "single tensors"],
)
def test_ways_to_pass_parameters(given):
    model = net()
    optimizer = descend.SGD(given(model), lr=0.1)
    held = [p for g in optimizer.param_groups for p in g["params"]]
    assert all(a is b for a, b in zip(held, model.parameters(), strict=True))
    assert all("param_names" not in g for g in optimizer.param_groups)


@pytest.mark.parametrize(
    "given",
    [
        lambda m: m,
        lambda m: m.named_parameters(),
        lambda m: dict(m.named_parameters()),
        lambda m: [{"params": m.named_parameters()}],
        lambda m: [{"params": list(m.parameters()), "param_names": NAMES}],
    ],
    ids=["module", "named_parameters()", "dict", "group", "param_names"],
)
def test_ways_to_pass_named_parameters(given):
    optimizer = descend.SGD(given(net()), lr=0.1)
    assert optimizer.param_groups[0]["param_names"] == NAMES
    assert len(optimizer.param_groups[0]["params"]) == 4


def test_groups_override_defaults():
    a, b = parameters(), parameters(1)
    groups = [{"params": a}, {"params": b, "lr": 0.5, "momentum": 0.9, "nesterov": True, "maximize": True}]
    ours = descend.SGD(groups, lr=0.1, weight_decay=0.01)
    a_too, b_too = copies(a), copies(b)
    theirs = torch.optim.SGD(
        [{**groups[0], "params": a_too}, {**groups[1], "params": b_too}], lr=0.1, weight_decay=0.01
    )
    train(ours, [*a, *b], 4)
    train(theirs, [*a_too, *b_too], 4)
    assert_equal([*a, *b], [*a_too, *b_too])
    assert set(groups[1]) == {"params", "lr", "momentum", "nesterov", "maximize"}  # the user's dict is left alone


@pytest.mark.parametrize("backend", ["eager", "cpu"])
@pytest.mark.parametrize("clip", [{}, {"clip_norm": 0.5}])
def test_groups_of_different_structure_dtype_and_options_step_together(backend, clip):
    """One clip factor spans them all; every number is its own group's."""
    ps = [*parameters(), *parameters(1, torch.float32)]
    start = [p.detach().double().clone() for p in ps]
    groups = [
        {"params": ps[:1], "lr": 0.1},
        {"params": ps[1:2], "lr": 0.2, "momentum": 0.5},
        {"params": ps[2:4], "lr": 0.3, "weight_decay": 0.1, "decay": "decoupled"},
        {"params": ps[4:], "lr": 0.4, "maximize": True},
    ]
    ours = descend.SGD(groups, backend=backend, **clip)
    train(ours, ps, 1)
    gs = [p.grad.double() for p in ps]
    norm = torch.sqrt(sum((g * g).sum() for g in gs))
    factor = min(1.0, 0.5 / (norm.item() + 1e-6)) if clip else 1.0
    lrs, kept = [0.1, 0.2, 0.3, 0.3, -0.4, -0.4], [1, 1, 0.97, 0.97, 1, 1]
    for p, p0, g, lr, keep in zip(ps, start, gs, lrs, kept, strict=True):
        torch.testing.assert_close(p.detach().double(), keep * p0 - lr * factor * g, rtol=1e-6, atol=1e-7)


def test_a_single_tensor_is_refused():
    with pytest.raises(ParameterError, match=r"SGD: params is a single tensor; allowed: .*Write \[tensor\]"):
        descend.SGD(torch.ones(3, requires_grad=True))


@pytest.mark.parametrize("nothing", [[], iter(()), (), {}], ids=["list", "generator", "tuple", "dict"])
def test_nothing_is_refused(nothing):
    with pytest.raises(ParameterError, match=r"SGD: the parameter list is empty. A generator is used up"):
        descend.SGD(nothing)


def test_a_generator_used_twice_is_refused():
    generator = net().parameters()
    descend.SGD(generator)
    with pytest.raises(ParameterError, match="empty"):
        descend.SGD(generator)


@pytest.mark.parametrize(
    "given,expected",
    [
        ({torch.ones(2, requires_grad=True)}, "SGD: params is a set, whose order changes.*Pass a list"),
        ([{"params": {torch.ones(2, requires_grad=True)}}], "SGD, group 0: a group's params is a set"),
        (3, "SGD: params: got 3; allowed: an iterable of tensors or groups, or a module"),
        ("weights", "an optimizer steps tensors: got 'str'"),
        ([1.0], "SGD, group 0: an optimizer steps tensors: got 'float'; allowed: tensors, or .name, tensor. pairs"),
        ([("a", torch.ones(1)), torch.ones(1)], "SGD, group 0: some parameters of a group are named and some are not"),
        ([torch.ones(2, dtype=torch.int64)], "SGD, group 0: .* holds torch.int64; allowed: floating or complex"),
        (
            [torch.eye(2).to_sparse().requires_grad_()],
            "SGD, group 0: .* has layout torch.sparse_coo; allowed",
        ),
        ([torch.ones(2, dtype=torch.complex64).conj()], "SGD, group 0: .* shows the conjugate of its memory"),
        ([torch.ones(2, dtype=torch.complex64).conj().imag], "SGD, group 0: .* shows the negative of its memory"),
        ([torch.ones(1).expand(3)], "SGD, group 0: .* is expanded.*Optimize the tensor that it was expanded from"),
        (
            [("w", torch.ones(3, requires_grad=True) * 2)],
            "SGD, group 0: .*w.* is the result of an operation",
        ),
    ],
    ids=lambda x: "" if not isinstance(x, str) else x[:40],
)
def test_what_no_step_can_serve_is_refused(given, expected):
    with pytest.raises(ParameterError, match=expected):
        descend.SGD(given, lr=0.1)


def test_groups_and_tensors_mixed_are_refused():
    a, b = parameters()[:2]
    with pytest.raises((ParameterError, OptionError), match="group"):
        descend.SGD([{"params": [a]}, b], lr=0.1)
    with pytest.raises((ParameterError, OptionError), match="SGD, group 0: an optimizer steps tensors: got 'dict'"):
        descend.SGD([a, {"params": [b]}], lr=0.1)


def test_duplicates_are_refused_and_both_owners_named():
    model = net()
    model.tied = model[0].weight  # registered twice under two names
    pairs = [("body", model[0].weight), ("bias", model[0].bias), ("head", model[0].weight)]
    with pytest.raises(ParameterError, match="SGD: .*body.* and .*head.* are the same parameter. List it once"):
        descend.SGD(pairs, lr=0.1)
    a, b, c = parameters()
    with pytest.raises(ParameterError, match="param 0 of group 0 and param 1 of group 1|0.*0.*and.*1.*1.*are the same"):
        descend.SGD([{"params": [a, b]}, {"params": [c, a]}], lr=0.1)


def test_views_of_one_memory_are_refused_and_disjoint_ones_are_not():
    buffer = torch.zeros(10, dtype=torch.float64)
    left, right, middle = buffer[:5], buffer[5:], buffer[3:7]
    descend.SGD([left, right], lr=0.1)
    with pytest.raises(ParameterError, match="share"):
        descend.SGD([("left", left), ("middle", middle)], lr=0.1)


def test_a_refused_group_leaves_the_optimizer_as_it_was():
    a, b, c = parameters()
    ours = descend.SGD([a], lr=0.1)
    for bad, error in [
        ({"params": [a]}, ParameterError),
        ({"params": [b], "lr": -1}, OptionError),
        ({"params": [b], "momentun": 0.5}, UnknownOptionError),
        ({"params": [b], "start": "later"}, OptionError),
        ([b], OptionError),
        ({"lr": 0.1}, OptionError),
    ]:
        with pytest.raises(error):
            ours.add_param_group(bad)
        assert len(ours.param_groups) == 1
    ours.add_param_group({"params": b})
    train(ours, [a, b, c], 1)
    assert len(ours.param_groups) == 2


@pytest.mark.parametrize(
    "group,expected",
    [
        ({"lr": -0.5}, "SGD, group 1: lr: got -0.5; allowed: 0 <= x"),
        ({"weigth_decay": 0.1}, "SGD, group 1 has no option 'weigth_decay'. Did you mean 'weight_decay'?"),
        ({"LR": 0.1}, "SGD, group 1 has no option 'LR'"),
        ({"clip_norm": 1.0}, "SGD, group 1: clip_norm holds for the whole optimizer. Pass clip_norm= to the class"),
        ({"backend": "cpu"}, "SGD, group 1: backend holds for the whole optimizer"),
        ({"on_nonfinite": "skip"}, "SGD, group 1: on_nonfinite holds for the whole optimizer"),
        ({"nesterov": True}, "SGD, group 1: nesterov=True needs momentum > 0 and dampening = 0"),
        ({"decay": 0.1}, "SGD, group 1: decay: got 0.1; .*Did you mean weight_decay=?"),
        ({"start": "later"}, "SGD, group 1: start: got 'later'; allowed: 'clock', 'now'"),
    ],
)
def test_what_a_group_may_not_say(group, expected):
    a, b, _ = parameters()
    with pytest.raises(OptionError, match=expected):
        descend.SGD([{"params": [a]}, {"params": [b], **group}], lr=0.1)


@pytest.mark.parametrize(
    "group,expected",
    [
        ({"params": None}, "SGD, group 0: a group's params; allowed: an iterable of tensors"),
        ({"params": 5}, "SGD, group 0: a group's params: got 5"),
        ({"params": [torch.ones(1)], "param_names": ["a", "b"]}, "param_names: got .*; allowed: a list of 1 names"),
        ({"params": [torch.ones(1)], "param_names": "a"}, "SGD, group 0: param_names: got 'a'"),
    ],
)
def test_malformed_groups_are_refused(group, expected):
    with pytest.raises(ParameterError, match=expected):
        descend.SGD([group], lr=0.1)


@pytest.mark.parametrize("whole,own", [(True, False), (False, True)])
def test_a_group_may_choose_its_kind_of_decay_in_torchs_words(whole, own):
    a = parameters()[:2]
    b = copies(a)
    for library, params in ((descend, a), (torch.optim, b)):
        groups = [{"params": params[:1]}, {"params": params[1:], "decoupled_weight_decay": own}]
        train(library.RAdam(groups, lr=0.1, weight_decay=0.5, decoupled_weight_decay=whole), params, 8)
    assert_equal(a, b)


def test_lazy_parameters_are_refused_by_name():
    with pytest.raises(ParameterError, match="SGD, group 0: .*weight.*(?i:uninitialized|not been initialized)"):
        descend.SGD(torch.nn.LazyLinear(3).named_parameters(), lr=0.1)
