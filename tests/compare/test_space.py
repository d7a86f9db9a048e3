import pytest
import torch

from descend.compare import Contender, contenders
from descend.compare.contender import describe_space
from descend.compare.search import RANGES
from descend.compare.space import add_spaces, arrange, find_ranges, shorten, takes, write_choice
from descend.errors import OptionError


def sampled(*names):
    return contenders(names, sampled=True)


def test_each_contender_gets_what_it_takes_of_the_settings_to_tune():
    sgd, adam, adan, lion = add_spaces(sampled("sgd", "adam", "adan", "lion"), ["momentum", "betas", "weight_decay"])
    assert set(sgd.space) == {"lr", "momentum", "weight_decay"}
    assert set(adam.space) == set(lion.space) == {"lr", "betas", "weight_decay"}
    assert set(adan.space) == {"lr", "weight_decay"}, "its three betas are no pair"
    assert adam.space["lr"] == adam.lrs == (1e-4, 1e-1)


def test_a_space_of_ones_own_stands_before_the_common_one():
    own = Contender("own", "Own", "AdamW", (1e-4, 1e-2), space={"weight_decay": (0.1, 1.0)})
    (made,) = add_spaces([own], ["weight_decay", "betas"])
    assert made.space["weight_decay"] == (0.1, 1.0) and "betas" in made.space
    assert made.identity != own.identity != Contender("own", "Own", "AdamW", (1e-4, 1e-2)).identity


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({"lr": (0.1, 0.2)}, "space of contender 'own' contains 'lr'.*of lrs"),
        ({"weight_decey": (0.1, 0.2)}, "no option 'weight_decey'"),
        ({"weight_decay": 0.1}, "range of weight_decay: got 0.1"),
    ],
)
def test_a_space_that_the_optimizer_refuses_is_named(space, words):
    with pytest.raises(OptionError, match=words):
        add_spaces([Contender("own", "Own", "AdamW", (1e-4, 1e-2), space=space)], [])


def test_a_class_of_ones_own_is_asked_by_its_signature():
    contender = Contender("t", "T", torch.optim.SGD, (1e-3, 1.0))
    assert takes(contender, "momentum", [0.8, 0.9]) and not takes(contender, "betas", RANGES["betas"])
    assert not takes(contender, "schedule", ["cosine"]), "its learning rate cannot be a schedule"


@pytest.mark.parametrize("contender", contenders(["adamw", "sgd", "lion", "radam", "lamb"]), ids=lambda c: c.name)
def test_every_usual_range_is_taken_or_not_there(contender):
    for name, values in RANGES.items():
        assert takes(contender, name, values) is (name not in ({"momentum"} if contender.name != "sgd" else {"betas"}))


@pytest.mark.parametrize(
    ("tuned", "words"),
    [
        (["weight_decey"], "no usual range of 'weight_decey'.*Did you mean 'weight_decay'"),
        (["lr"], "what to tune: got 'lr'.*--lrs"),
        ({"momentum": (0.9, 0.5)}, "range of momentum"),
        (5, "what to tune: got 5"),
        ({"momentun": (0.5, 0.9)}, "no option 'momentun'. Did you mean 'momentum'"),
        ({"weight_decay": (-1.0, 0.1)}, "weight_decay"),
    ],
)
def test_what_cannot_be_tuned_is_refused(tuned, words):
    with pytest.raises(OptionError, match=words):
        add_spaces(sampled("sgd"), tuned)


def test_what_is_varied_is_not_tuned_too():
    with pytest.raises(OptionError, match="both varied and tuned: got 'momentum'"):
        add_spaces(sampled("sgd"), ["momentum"], varied=["momentum"])


def test_three_numbers_are_choices_not_a_pair():
    assert find_ranges({"momentum": (0.8, 0.9, 0.99)}) == {"momentum": [0.8, 0.9, 0.99]}


def test_choices_that_json_cannot_keep_are_written_out_and_read_again():
    (adam,) = add_spaces(sampled("adam"), ["betas", "weight_decay"])
    assert write_choice((0.9, 0.99)) == "(0.9, 0.99)" and write_choice(0.9) == 0.9 and write_choice(None) is None
    made, lr = arrange(adam, {"lr": 0.003, "betas": "(0.9, 0.99)", "weight_decay": 0.01})
    assert (made.name, lr, made.options) == ("adam", 0.003, {"betas": (0.9, 0.99), "weight_decay": 0.01})
    assert made.settings(lr, 10) == "descend.Adam(model.parameters(), lr=0.003, betas=(0.9, 0.99), weight_decay=0.01)"


def test_numbers_are_short_and_stay_in_their_range():
    space = {"lr": (0.12345, 0.98765), "n": (1, 100), "s": ["a"]}
    assert shorten({"lr": 0.456789, "n": 77, "s": "a"}, space) == {"lr": 0.457, "n": 77, "s": "a"}
    assert shorten({"lr": 0.1234501, "n": 77, "s": "a"}, space)["lr"] == 0.12345
    assert shorten({"lr": 0.98764, "n": 77, "s": "a"}, space)["lr"] == 0.98765


def test_a_space_is_told_in_words():
    assert describe_space({"lr": (1e-4, 0.1), "clip": [None, 1.0]}) == "lr 0.0001 to 0.1, clip None or 1.0"


def test_lion_has_a_range_of_weight_decay_of_its_own_unless_one_is_given():
    for tuned, expected in ((["weight_decay"], (1e-4, 1.0)), ({"weight_decay": (1e-5, 1e-1)}, (1e-5, 1e-1))):
        adam, lion = add_spaces(sampled("adam", "lion"), tuned)
        assert adam.space["weight_decay"] == (1e-5, 1e-1) and lion.space["weight_decay"] == expected
