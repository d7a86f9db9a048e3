import pytest

from compare.workloads import CLOUDS, protocol, record
from descend.compare.contender import Contender
from descend.compare.summary import rank, state_verdict, summarize

P5 = protocol(final_seeds=(1000, 1001, 1002, 1003, 1004))
WOBBLE = [0.0, 0.01, -0.01, 0.005, -0.005]


def contender(name):
    return Contender(name, name.upper(), "Adam", (0.1, 0.3)).enter(steps=12)


def runs(name, level, which=P5, best=0.1, wobble=1.0, good=0.9):
    search = [
        record(name, "search", lr, seed, good if lr == best else 0.5)
        for lr in (0.1, 0.3)
        for seed in which.search_seeds
    ]
    values = [level + wobble * w for w in WOBBLE]
    return search + [record(name, "final", best, s, v) for s, v in zip(which.final_seeds, values, strict=False)]


def judge(levels, which=P5, wobbles=None, baseline=None):
    records = {name: runs(name, level, which, wobble=(wobbles or {}).get(name, 1.0)) for name, level in levels.items()}
    rows = [summarize(CLOUDS, which, contender(name), own) for name, own in records.items()]
    ranked = rank(CLOUDS, which, rows, [r for own in records.values() for r in own], baseline)
    return ranked, state_verdict(CLOUDS, which, ranked)


def test_a_winner_is_named_where_every_rival_is_separated():
    ranked, verdict = judge({"a": 0.7, "b": 0.9, "c": 0.6}, wobbles={"b": 0.5})
    assert [row.name for row in ranked] == ["b", "a", "c"]
    assert "B is best: 90.0 % test accuracy, ahead of each of the other 2" in verdict


def test_a_single_rival_is_named():
    _, verdict = judge({"a": 0.7, "b": 0.9}, wobbles={"b": 0.5})
    assert "B is best: 90.0 % test accuracy, ahead of A with 95 % confidence" in verdict


def test_rivals_that_are_not_separated_are_named():
    _, verdict = judge({"a": 0.899, "b": 0.9, "c": 0.6}, wobbles={"a": -1.0, "c": 0.5})
    assert "B has the best mean, 90.0 % test accuracy, but 5 seeds do not separate it from A." in verdict


def test_no_separation_at_all_is_said():
    _, verdict = judge({"a": 0.899, "b": 0.9}, wobbles={"a": -1.0})
    assert "the data do not separate these 2 optimizers (5 seeds)" in verdict


def test_no_verdict_is_given_on_fewer_than_five_seeds():
    verdict = judge({"a": 0.6, "b": 0.9}, protocol())[1]
    assert "B has the best mean" in verdict and "3 seeds are too few for a verdict: use at least 5" in verdict
    assert "is best" not in verdict
    assert "too few" not in judge({"a": 0.9}, protocol(final_seeds=(1000,)))[1]


def test_a_baseline_is_told_of_in_both_directions():
    levels, wobbles = {"base": 0.8, "up": 0.9, "down": 0.6, "like": 0.8}, {"up": 0.5, "down": 0.5, "like": -1.0}
    rows, verdict = judge(levels, wobbles=wobbles, baseline="base")
    versus = {row.name: row.versus for row in rows}
    assert versus["base"] is None and versus["up"].interval.mean == pytest.approx(0.1)
    assert [name for name, gap in versus.items() if gap and gap.separated] == ["up", "down"]
    assert "Against BASE, UP is better; DOWN is worse; LIKE is not separated from it." in verdict
    alike = {"base": 0.8, "one": 0.8, "two": 0.8}
    assert judge(alike, wobbles={"one": -1.0, "two": -1.0}, baseline="base")[1].endswith(
        "None of the others is separated from BASE."
    )


def test_the_area_is_the_mean_of_the_curve_and_untrained_where_it_diverged():
    own = runs("a", 0.9, wobble=0.0)
    row = summarize(CLOUDS, P5, contender("a"), own)
    assert row.area.mean == pytest.approx((0.3 / 2 + 0.5 + 0.7 + 0.9 / 2) / 3)
    lost = [{**r, "diverged": True, "validation_metric": 0.3} for r in own if r["stage"] == "final"]
    assert summarize(CLOUDS, P5, contender("a"), own[:4] + lost).area.mean == pytest.approx(0.3)


def test_an_unfinished_comparison_says_only_that():
    own = runs("a", 0.9)[:-1]
    row = summarize(CLOUDS, P5, contender("a"), own)
    assert "Unfinished on clouds: 8 of 9 runs" in state_verdict(CLOUDS, P5, [row])
    assert row.final == 4 and row.score is not None


def test_without_a_complete_search_there_is_no_rate():
    row = summarize(CLOUDS, P5, contender("a"), runs("a", 0.9)[:3])
    assert (row.lr, row.score, row.settings, row.searched) == (None, None, "", 3)


def test_medians_count_runs_that_never_arrived_as_infinitely_late():
    def row(arrivals):
        own = [r for r in runs("a", 0.9) if r["stage"] == "search"]
        own += [record("a", "final", 0.1, 1000 + i, 0.9, steps_to_target=s) for i, s in enumerate(arrivals)]
        return summarize(CLOUDS, P5, contender("a"), own)

    assert (row([4, 8, 12, None, None]).steps_to_target, row([4, 8, 12, None, None]).reached) == (12.0, 3)
    assert row([4, 8, None, None, None]).steps_to_target is None


def test_times_leave_diverged_runs_out_and_the_first_step_is_not_counted():
    own = runs("a", 0.9)
    own[-1] = record("a", "final", 0.1, 1004, 0.3, diverged=True, seconds=99.0, optimizer_seconds=99.0)
    row = summarize(CLOUDS, P5, contender("a"), own)
    assert row.seconds == pytest.approx(0.2) and row.optimizer_share == pytest.approx(0.25)
    assert row.microseconds_per_step == pytest.approx(1e6 * 0.05 / 11)
    assert row.diverged_final == 1


def test_a_choice_at_the_edge_of_the_grid_is_marked():
    assert judge({"a": 0.9})[0][0].at_edge
    middle = Contender("a", "A", "Adam", (0.05, 0.1, 0.3)).enter(steps=12)
    own = runs("a", 0.9) + [record("a", "search", 0.05, seed, 0.4) for seed in (0, 1)]
    assert not summarize(CLOUDS, P5, middle, own).at_edge


def test_where_lower_is_better_the_lowest_leads():
    from dataclasses import replace

    task = replace(CLOUDS, metric=None)
    records = {"a": runs("a", 0.7, good=0.1), "b": runs("b", 0.2, good=0.1, wobble=0.5)}
    rows = [summarize(task, P5, contender(name), own) for name, own in records.items()]
    ranked = rank(task, P5, rows, [r for own in records.values() for r in own])
    assert [row.name for row in ranked] == ["b", "a"]
    assert ranked[1].gap.interval.mean == pytest.approx(0.5) and ranked[1].gap.separated


def test_a_sampled_choice_is_at_the_edge_within_a_twentieth_of_the_range():
    rules = protocol(search="tpe", trials=1, search_seeds=(0,), final_seeds=(1000,))
    for lr, edge in ((0.1, True), (0.105, True), (0.12, False), (0.28, False), (0.29, True)):
        own = [record("a", "search", lr, trial=0, identity=contender("a").identity)]
        assert summarize(CLOUDS, rules, contender("a"), own).at_edge is edge


def test_a_range_of_rates_is_given_only_where_nothing_else_differs():
    own = runs("a", 0.9)
    assert summarize(CLOUDS, P5, contender("a"), own).tolerance is not None
    for change in ({"values": {"clip": 1}}, {"pruned": True}):
        changed = [{**r, **change} if r["lr"] == 0.3 else r for r in own]
        row = summarize(CLOUDS, P5, contender("a"), changed)
        assert row.tolerance is None and row.pruned == int("pruned" in change)
