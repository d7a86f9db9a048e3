"""Which trials of a search can be done now: all of a grid, or a sampler's next round, given the rounds before it."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from descend.compare.contender import Contender
from descend.compare.protocol import Protocol, Record, Trial, group_by_trial, missing, plan_search
from descend.compare.runs import OnLook
from descend.compare.samplers import ROUND, make_pruner, make_sampler, quiet_optuna
from descend.compare.space import distribute, shorten

Curve = tuple[tuple[int, float], ...]
"""Validation metric by update."""


@dataclass(frozen=True)
class Rivals:
    """The earlier trials of a contender, with which its later runs must keep up.

    Attributes:
        curves: of each seed; a run is compared with those of its own seed, which saw the same data in the same order.
        higher_is_better: of the metric.
        steps: updates a run.
    """

    curves: tuple[tuple[int, tuple[Curve, ...]], ...]
    higher_is_better: bool
    steps: int

    def watch(self) -> Callable[[Trial], OnLook]:
        """For each run the judge that gives it up once Optuna's pruner says so."""
        studies: dict[int, Any] = {}
        with quiet_optuna("Pruning") as optuna:
            for seed, curves in self.curves:
                study = _create_study(optuna, self.higher_is_better, pruner=make_pruner(optuna, self.steps))
                study.add_trials(
                    [optuna.create_trial(value=curve[-1][1], intermediate_values=dict(curve)) for curve in curves]
                )
                studies[seed] = study

        def judge(trial: Trial) -> OnLook:
            own = studies[trial.seed].ask()

            def look(step: int, evaluation: Any) -> bool:
                own.report(evaluation.metric, step)
                return bool(own.should_prune())

            return look

        return judge


class GridSearch:
    """The trials of one contender on one task: each learning rate of its grid, all at once."""

    def __init__(self, contender: Contender, protocol: Protocol) -> None:
        self._plan = plan_search(protocol, contender.enter(protocol.steps))

    def find_open(self, search: Sequence[Record]) -> tuple[list[Trial], Rivals | None]:
        """The runs that are not recorded; see :meth:`SampledSearch.find_open`."""
        return missing(self._plan, search), None


class SampledSearch:
    """The trials of one contender on one task that Optuna's sampler gives.

    A round is asked for at once. Its sampler starts from the round's number, the same for every contender, and is told
    what the records of all earlier rounds say; runs are pruned against these records alone. So neither the number of
    workers nor a stop at any moment changes what is tried or what comes out.

    Raises:
        MissingExtraError: Optuna is not installed.
    """

    def __init__(self, contender: Contender, protocol: Protocol) -> None:
        self._contender, self._protocol = contender, protocol
        self._higher_is_better = protocol.metric[1]
        self._rounds: dict[int, list[Trial]] = {}
        with quiet_optuna("A sampled search"):
            self._over = {name: distribute(values) for name, values in contender.space.items()}

    def find_open(self, search: Sequence[Record]) -> tuple[list[Trial], Rivals | None]:
        """The first round with runs that are not recorded, and what they must keep up with; no trials once all are.

        Args:
            search: the search runs of this contender that are recorded.
        """
        protocol, done = self._protocol, {(r["trial"], r["seed"]) for r in search}
        for start in range(0, protocol.trials, ROUND):
            numbers = range(start, min(start + ROUND, protocol.trials))
            if all((number, seed) in done for number in numbers for seed in protocol.search_seeds):
                continue
            earlier = [record for record in search if record["trial"] < start]
            if start not in self._rounds:
                self._rounds[start] = self._ask(earlier, numbers)
            open_trials = [trial for trial in self._rounds[start] if (trial.number, trial.seed) not in done]
            return open_trials, self._find_rivals(earlier) if protocol.pruning and earlier else None
        return [], None

    def _ask(self, earlier: Sequence[Record], numbers: range) -> list[Trial]:
        told = sorted(group_by_trial(earlier), key=lambda runs: runs[0]["trial"])
        with quiet_optuna("A sampled search") as optuna:
            sampler = make_sampler(optuna, self._protocol.search, numbers[0] // ROUND)
            study = _create_study(optuna, self._higher_is_better, sampler=sampler)
            study.add_trials([self._recall(optuna, runs) for runs in told])
            asked = [shorten(study.ask(self._over).params, self._contender.space) for _ in numbers]
        task, name, identity = self._protocol.task, self._contender.name, self._contender.identity
        return [
            Trial(task, name, identity, values["lr"], seed, "search", number, tuple(values.items())[1:])
            for number, values in zip(numbers, asked, strict=True)
            for seed in self._protocol.search_seeds
        ]

    def _recall(self, optuna: Any, runs: Sequence[Record]) -> Any:
        """A finished trial as Optuna knows it: the mean over its seeds."""
        states = optuna.trial.TrialState
        pruned = any(record["pruned"] for record in runs)
        looks = list(zip(*(_read_curve(record) for record in runs), strict=False))
        return optuna.create_trial(
            state=states.PRUNED if pruned else states.COMPLETE,
            params={"lr": runs[0]["lr"], **runs[0]["values"]},
            distributions=self._over,
            value=None if pruned else _mean(record["validation_metric"] for record in runs),
            intermediate_values={look[0][0]: _mean(metric for _, metric in look) for look in looks},
        )

    def _find_rivals(self, earlier: Sequence[Record]) -> Rivals:
        whole = [runs for runs in group_by_trial(earlier) if not any(record["pruned"] for record in runs)]
        by_seed = [
            (seed, tuple(_read_curve(r) for runs in whole for r in runs if r["seed"] == seed and len(r["steps"]) > 1))
            for seed in self._protocol.search_seeds
        ]
        return Rivals(tuple(by_seed), self._higher_is_better, self._protocol.steps)


def _create_study(optuna: Any, higher_is_better: bool, **parts: Any) -> Any:
    return optuna.create_study(direction="maximize" if higher_is_better else "minimize", **parts)


def _read_curve(record: Record) -> Curve:
    """The looks of a run after its start."""
    return tuple(zip(record["steps"][1:], record["validation_metrics"][1:], strict=True))


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return math.fsum(listed) / len(listed)
