import argparse
import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from descend.compare import contenders
from descend.compare.statistics import Difference, Estimate
from descend.compare.variants import parse_variation, vary_contenders

ROOT = Path(__file__).parents[2]
SCRIPTS = ("studies", "evidence", "claims", "claims_page", "results_page")


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield importlib.import_module
    for name in SCRIPTS:
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("name", "page"), [("claims_page", "docs/claims.md"), ("results_page", "docs/results/README.md")]
)
def test_the_pages_say_what_the_records_say(script, name, page):
    assert (ROOT / page).read_text(encoding="utf-8") == script(name).write_page()


def test_a_claim_about_nobody_or_of_an_unknown_measure_is_noticed(script):
    studies, evidence = script("studies").STUDIES, script("evidence")
    for claim in script("claims").CLAIMS:
        for pair in claim.pairs:
            assert pair.measure in evidence.MEASURES
            for side in (pair.one, pair.other):
                kept = evidence.read(side.study)
                assert side.study in studies
                assert kept is None or evidence.find(side, pair.task) is not None, side


def test_what_is_kept_was_made_by_the_command_that_the_page_shows(script):
    studies = script("studies")
    parser = argparse.ArgumentParser()
    for name, default in (("--seeds", 5), ("--search-seeds", 3), ("--trials", 7), ("--steps", None)):
        parser.add_argument(name, type=int, default=default)
    for name in ("--lrs", "--vary"):
        parser.add_argument(name, action="append", type=parse_variation, default=[])
    for study in studies.STUDIES.values():
        if not (studies.KEPT / study.name).exists():
            continue
        told = parser.parse_args(study.options.split())
        expected = vary_contenders(
            contenders(study.optimizers.split(","), told.trials, dict(told.lrs)), dict(told.vary)
        )
        for task, result in zip(study.tasks.split(), study.read().results, strict=True):
            found = result.protocol
            assert task.endswith((result.task.name, result.task.name.replace("snippets-bag-dense", ":dense_bag")))
            assert [(c.name, c.lrs) for c in result.contenders] == [(c.name, c.lrs) for c in expected], study.name
            assert len(found.search_seeds) == told.search_seeds and len(found.final_seeds) == told.seeds, study.name
            assert told.steps in (None, found.steps), study.name


FOR, AGAINST, OPEN, SMALL = (0.02, 0.01, 0.03), (-0.02, -0.03, -0.01), (0.01, -0.01, 0.03), (0.002, 0.001, 0.003)


@pytest.mark.parametrize(
    ("gaps", "rest", "verdict"),
    [
        ([FOR, FOR], {}, "supported"),
        ([FOR, OPEN], {}, "supported"),
        ([FOR, OPEN, OPEN], {}, "undecided"),
        ([FOR, OPEN, OPEN], {"sometimes": True}, "supported"),
        ([FOR, FOR, AGAINST], {}, "undecided"),
        ([FOR, AGAINST, AGAINST], {"sometimes": True}, "supported"),
        ([AGAINST, OPEN], {}, "not supported"),
        ([AGAINST, AGAINST], {"sometimes": True}, "undecided"),
        ([OPEN, OPEN], {}, "undecided"),
        ([SMALL], {}, "supported"),
        ([SMALL], {"margin": 0.01}, "not supported"),
        ([FOR], {"margin": 0.01}, "supported"),
        ([OPEN], {"margin": 0.01}, "undecided"),
        ([], {}, "not measured"),
    ],
)
def test_verdicts_need_half_of_the_comparisons_and_none_the_other_way(script, gaps, rest, verdict):
    evidence = script("evidence")
    pair = evidence.Pair("digits-mlp", evidence.Side("digits", "adam"), evidence.Side("digits", "sgd"))
    findings = [
        evidence.Finding(
            pair,
            SimpleNamespace(),
            "adam",
            "sgd",
            Difference(str(i), Estimate(mean, low, high, 5), 0.01, separated=low > 0 or high < 0),
            (None, None),
        )
        for i, (mean, low, high) in enumerate(gaps)
    ]
    assert evidence.decide(findings, **rest) == verdict


@pytest.mark.parametrize(
    ("ahead", "half_width", "examples", "words"),
    [(0.0, 0.0, None, "reached"), (-0.01, 0.0139, None, "reached"), (-0.011, 0.0139, None, "**below**"),
     (-0.011, 0.0139, 1000, "within the test part's error"), (-0.05, 0.0139, 1000, "**below**")],
)  # fmt: skip
def test_a_floor_is_reached_within_two_standard_errors(script, ahead, half_width, examples, words):
    page = script("results_page")
    found = Estimate(0.95, 0.95 - half_width, 0.95 + half_width, 5)  # Student's t with 4 degrees: 2.776 errors
    sampling = page.sampling_error(page.Floor(0.95, examples=examples), 0.95)
    assert page.judge_floor(ahead, found, sampling) == words


def test_the_error_of_an_area_is_that_of_its_examples(script):
    page = script("results_page")
    rng = np.random.default_rng(0)
    areas = []
    for _ in range(2000):  # scores of two exponential distributions, for which the formula is exact
        positive, negative = rng.exponential(4.0, 60), rng.exponential(1.0, 40)
        areas.append((positive[:, None] > negative).mean())
    told = page.sampling_error(page.Floor(0.8, examples=100, positives=60), float(np.mean(areas)))
    assert told == pytest.approx(np.std(areas), rel=0.06)
