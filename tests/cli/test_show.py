import json

import pytest

import descend
from descend.cli.show import describe, print_optimizer, read_meanings


@pytest.mark.parametrize("name", sorted(descend.optimizers()))
def test_every_optimizer_is_described_from_its_rule(name):
    facts = json.loads(json.dumps(describe(name)))
    rule = descend.get(name).rule
    assert facts["formula"] == rule.text() and facts["sources"] == rule.sources
    assert [o["name"] for o in facts["options"]] == list(rule.hypers)
    assert all(o["meaning"] for o in facts["options"]), "each option is explained"
    assert {"clip_norm", "decay", "on_nonfinite"} <= {o["name"] for o in facts["shared_options"]}
    assert all(one["bytes_read"] >= 4 for one in facts["cost"])


def test_it_is_printed_with_formula_source_options_and_cost(capsys):
    print_optimizer("adam", as_json=False)
    text = capsys.readouterr().out
    for part in ("descend.Adam", "√", "Kingma", "betas", "(0.9, 0.999)", "amsgrad", "bytes read"):
        assert part in text


def test_json_is_json(capsys):
    print_optimizer("LION", as_json=True)
    assert json.loads(capsys.readouterr().out)["name"] == "Lion"


def test_meanings_are_read_over_several_lines():
    doc = "About.\n\nArgs:\n    lr: step size,\n        in units of p.\n    eps: small.\n\nRaises:\n    Error: never."
    assert read_meanings(doc) == {"lr": "step size, in units of p.", "eps": "small."}
    assert read_meanings("No arguments.") == {}
