import sys
import warnings

import optuna
import pytest

from descend.compare.samplers import find_optuna, make_pruner, make_sampler, quiet_optuna
from descend.errors import MissingExtraError


def test_optuna_is_quiet_within_and_as_before_afterwards(capsys):
    before = optuna.logging.get_verbosity()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with quiet_optuna("A test") as package:
            package.create_study(sampler=make_sampler(package, "tpe", 0), pruner=make_pruner(package, 10)).ask()
    assert package is optuna and optuna.logging.get_verbosity() == before
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("name", "kind"), [("tpe", "TPESampler"), ("random", "RandomSampler")])
def test_a_sampler_of_a_round_draws_the_same_every_time_and_others_do_not(name, kind):
    def draw(number):
        with quiet_optuna("A test"):
            sampler = make_sampler(optuna, name, number)
            assert type(sampler).__name__ == kind
            return optuna.create_study(sampler=sampler).ask().suggest_float("x", 0, 1)

    assert draw(0) == draw(0) != draw(1)


def test_without_optuna_the_purpose_and_the_way_out_are_named(monkeypatch):
    assert find_optuna() == optuna.__version__
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"A sampled search needs optuna.*descend\[bench\]"):
        find_optuna()
