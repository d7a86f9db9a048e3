import pytest
import torch

import descend
from compare.workloads import CLOUDS
from descend.compare import compare, contenders
from descend.compare.contender import Contender
from descend.compare.runs import train
from descend.compare.variants import parse_variation, vary_contenders
from descend.errors import OptionError
from descend.schedules import cosine, warmup


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("schedule=constant,cosine", ("schedule", ["constant", "cosine"])),
        ("clip=none, 1", ("clip", [None, 1])),
        ("amsgrad=true,false", ("amsgrad", [True, False])),
        ("weight_decay=0,1e-2", ("weight_decay", [0, 0.01])),
    ],
)
def test_words_become_values(text, values):
    assert parse_variation(text) == values


@pytest.mark.parametrize("text", ["schedule", "=1", "schedule="])
def test_what_is_no_variation_is_refused(text):
    with pytest.raises(OptionError, match="schedule=constant,cosine"):
        parse_variation(text)


def test_every_contender_takes_part_with_every_combination():
    made = vary_contenders(contenders(["adam", "sgd"]), {"schedule": ["constant", "cosine"], "clip": [None, 1.0]})
    assert len(made) == 8 and len({c.identity for c in made}) == 8
    assert made[3].name == "adam@schedule=cosine,clip=1.0" and made[3].title == "Adam (schedule cosine, clip 1.0)"
    assert made[3].options == {"clip_norm": 1.0} and made[3].schedule == "cosine"
    assert vary_contenders(contenders(["adam"]), {}) == contenders(["adam"])


def test_a_schedule_spans_the_budget_and_its_settings_can_be_pasted():
    contender = Contender("a", "A", "Adam", (0.1,), schedule="cosine", warmup=0.1)
    rate = contender.rate(0.1, 200)
    expected = warmup(20) * cosine(200) * 0.1
    assert [rate.at(k) for k in (0, 19, 20, 199)] == [expected.at(k) for k in (0, 19, 20, 199)]
    made = eval(contender.settings(0.1, 200), {"descend": descend, "model": torch.nn.Linear(2, 2)})
    assert made.param_groups[0]["schedules"]["lr"] == rate.to_data()


def test_a_batch_size_changes_the_batches_and_nothing_else():
    sizes = []

    def loss(outputs, targets):
        if torch.is_grad_enabled():
            sizes.append(len(targets))
        return torch.nn.functional.cross_entropy(outputs, targets)

    from dataclasses import replace

    from descend.compare.protocol import Trial

    task = replace(CLOUDS, loss=loss)
    small = Contender("s", "S", "SGD", (0.1,), batch_size=5)
    record = train(task, task.load(), small, Trial("clouds", "s", "i", 0.1, 0, "search"))
    assert set(sizes) == {5} and record["updates"] == task.steps
    assert record["options"] == {"batch_size": "5"}


def test_a_sweep_is_compared_and_judged_against_its_baseline():
    found = compare(CLOUDS, ["sgd"], vary={"schedule": ["constant", "linear"]}, baseline="sgd@schedule=constant",
                    seeds=5, search_seeds=1, trials=2, workers=0)["clouds"]  # fmt: skip
    assert {row.name for row in found.rows} == {"sgd@schedule=constant", "sgd@schedule=linear"}
    versus = {row.name: row.versus for row in found.rows}
    assert versus["sgd@schedule=constant"] is None and versus["sgd@schedule=linear"].other == "sgd@schedule=linear"


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: Contender("c", "C", "SGD", (0.1,), schedule="cosin"), "Did you mean 'cosine'"),
        (lambda: Contender("c", "C", "SGD", (0.1,), warmup=-1), "warmup of contender"),
        (lambda: Contender("c", "C", torch.optim.SGD, (0.1,), schedule="cosine"), "cannot have a schedule"),
        (lambda: vary_contenders(contenders(["sgd"]), {"schedule": []}), "at least one"),
        (lambda: compare(CLOUDS, ["sgd"], baseline="adam"), "baseline is not among the contenders"),
        (lambda: Contender("c", "C", "SGD", 0.1), "learning rates of contender 'c': got 0.1"),
        (lambda: Contender("c", "C", "SGD", (0.1,), None), "options of contender 'c'; allowed: a dict"),
        (lambda: Contender("c", "C", "SGD", (0.1,), batch_size=0), "contender 'c': batch_size: got 0"),
        (lambda: vary_contenders(contenders(["sgd"]), ["schedule"]), "what to vary: got"),
        (lambda: vary_contenders(contenders(["sgd"]), {"warmup": 5}), "values of warmup to vary: got 5"),
        (
            lambda: vary_contenders(contenders(["sgd"]), {"momentun": [0.9]}),
            "nothing is named 'momentun' to vary. Did you mean 'momentum'",
        ),
        (lambda: vary_contenders(contenders(["sgd"]), {"scedule": ["cosine"]}), "Did you mean 'schedule'"),
        (lambda: vary_contenders(contenders(["sgd"]), {"lr": [0.1]}), "'lr' cannot be varied.*--lrs"),
        (lambda: vary_contenders(contenders(["sgd"]), {"momentum": [0.5, 2]}), "SGD: momentum: got 2; allowed: 0 <= x"),
    ],
)
def test_what_cannot_be_varied_is_refused(made, words):
    with pytest.raises(OptionError, match=words):
        made()
