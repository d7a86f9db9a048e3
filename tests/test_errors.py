import pytest

from descend import errors
from descend.errors import did_you_mean, message, missing_extra


def test_the_four_parts_of_a_message():
    text = message("Adam: lr", got=-1, allowed="0 <= x", do="Make it positive")
    assert text == "Adam: lr: got -1; allowed: 0 <= x. Make it positive"
    assert message("Adam: lr") == "Adam: lr."


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("LR", ["lr", "eps"], "Did you mean 'lr'?"),
        ("weigth_decay", ["weight_decay", "decay"], "Did you mean 'weight_decay'?"),
        ("adamv", ["AdamW", "SGD"], "Did you mean 'AdamW'?"),
        ("zzz", ["b", "a"], "Known: a, b."),
    ],
)
def test_the_closest_name_is_offered(name, known, hint):
    assert did_you_mean(name, known) == hint


def test_a_missing_extra_says_how_to_get_it():
    assert "pip install 'descend[bench]'" in str(missing_extra("rich", "bench", "descend compare"))


def test_every_error_has_one_root():
    found = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)]
    found = [e for e in found if not issubclass(e, Warning)]
    assert len(found) > 8 and all(issubclass(e, errors.DescendError) for e in found)


def test_a_sentence_of_somebody_else_does_not_end_twice():
    assert message("it failed: out of bounds.", do="Correct it.") == "it failed: out of bounds. Correct it."
    assert message("x", allowed="A,B,...").endswith("A,B,....")
