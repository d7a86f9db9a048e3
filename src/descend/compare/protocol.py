"""The rules of one comparison: equal trials, seeds, data order and budget for every contender.

Two stages. In the *search* every contender is trained with the settings of each of its trials, which a grid of
learning rates or a sampler gives, with the search seeds, and its trial is chosen on the validation part. In the
*final* stage it is trained with that trial's settings and fresh seeds, and only these models ever see the test part:
neither the test images nor the seeds that are reported have had a say in the choice.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from descend.compare.contender import Entry
from descend.errors import OptionError, RecordError, message
from descend.optim.arguments import check_count, check_word
from descend.tasks import Metric, Task

SCHEMA = 3
READABLE = (2, SCHEMA)
"""Layouts of records that can be read; only the newest is written."""
FINAL_SEED = 1000
"""First seed of the final stage, out of the search seeds' way."""

Stage = Literal["search", "final"]
Search = Literal["grid", "tpe", "random"]
SEARCHES: tuple[Search, ...] = ("grid", "tpe", "random")
"""Where trials come from: each method's grid of learning rates, or one of Optuna's samplers."""
Record = dict[str, Any]


def parse_search(word: str) -> Search:
    """A word that names where trials come from.

    Raises:
        OptionError: it names nothing.
    """
    check_word("search", word, "compare", SEARCHES)
    return next(search for search in SEARCHES if search == word)


@dataclass(frozen=True)
class Protocol:
    """What must be equal for two runs to be comparable.

    Args:
        task: its name.
        fingerprint: of its data, model and loss.
        steps: updates a run.
        batch_size: examples an update.
        evaluate_every: updates between two looks at the validation part.
        target: value of the metric that counts as trained.
        metric: name of the metric, whether higher is better, whether it is shown as a percentage.
        trials: settings tried for each contender.
        search_seeds: seeds of every trial.
        final_seeds: fresh seeds of the runs that are reported.
        together: whether replicas of the search are trained together, which gives other last digits.
        versions: of descend and torch; other versions may give other last digits.
        schema: version of the layout of records.
        search: where the trials come from.
        pruning: whether runs of the search end early that are worse than most.
        optuna: its version, where it samples: another one may sample otherwise.
    """

    task: str
    fingerprint: str
    steps: int
    batch_size: int
    evaluate_every: int
    target: float | None
    metric: tuple[str, bool, bool]
    trials: int
    search_seeds: tuple[int, ...]
    final_seeds: tuple[int, ...]
    together: bool
    versions: tuple[str, str]
    schema: int = SCHEMA
    search: Search = "grid"
    pruning: bool = False
    optuna: str | None = None

    def to_data(self) -> dict[str, Any]:
        """Plain lists, numbers and strings, for JSON."""
        data = json.loads(json.dumps(asdict(self)))
        younger = () if self.schema > 2 else ("search", "pruning", "optuna")
        return {key: value for key, value in data.items() if key not in younger}

    @staticmethod
    def from_data(data: Mapping[str, Any]) -> "Protocol":
        """The protocol that :meth:`to_data` has written.

        Raises:
            RecordError: fields are missing, or there are others.
        """
        try:
            values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in data.items()}
            return Protocol(**values)
        except TypeError as error:
            raise RecordError(message(f"a protocol of another layout ({error})", do="Use another folder.")) from error

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits; stands in every record."""
        return hashlib.sha256(json.dumps(self.to_data(), sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Trial:
    """One training run to be done.

    Attributes:
        number: of the settings in a sampled search, from 0; None on a grid.
        values: name and value of everything beside the learning rate that a sampler has chosen.
    """

    task: str
    contender: str
    identity: str
    lr: float
    seed: int
    stage: Stage
    number: int | None = None
    values: tuple[tuple[str, Any], ...] = ()

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes it the same run as one that is recorded."""
        return (self.task, self.contender, self.identity, self.lr, self.seed, self.stage, self.number)


@dataclass(frozen=True)
class Heading:
    """What results remember of a task: its name, its metric, the target and the card."""

    name: str
    score: Metric
    target: float | None = None
    card: str = ""

    @staticmethod
    def of(task: Task) -> "Heading":
        """What there is to remember of a task."""
        return Heading(task.name, task.score, task.target, task.card)


def key_of(record: Record) -> tuple[Any, ...]:
    """The key of the trial that made a record."""
    return tuple(record[name] for name in ("task", "contender", "identity", "lr", "seed", "stage", "trial"))


def plan_search(protocol: Protocol, contender: Entry) -> list[Trial]:
    """On a grid: every learning rate with every search seed."""
    return [
        Trial(protocol.task, contender.name, contender.identity, lr, seed, "search")
        for lr in contender.lrs
        for seed in protocol.search_seeds
    ]


def plan_final(protocol: Protocol, contender: Entry, chosen: Record) -> list[Trial]:
    """The settings of the chosen trial, one of whose runs is given, with every final seed."""
    lr, number, values = chosen["lr"], chosen["trial"], tuple(chosen["values"].items())
    return [
        Trial(protocol.task, contender.name, contender.identity, lr, seed, "final", number, values)
        for seed in protocol.final_seeds
    ]


def select_search(protocol: Protocol, contender: Entry, records: Iterable[Record]) -> list[Record]:
    """The search runs of a contender that are recorded, in the order of their plan; others' records do no harm."""
    if protocol.search == "grid":
        found = {key_of(record): record for record in records}
        return [found[trial.key] for trial in plan_search(protocol, contender) if trial.key in found]
    mine = (protocol.task, contender.name, contender.identity, "search")
    own = [r for r in records if (r["task"], r["contender"], r["identity"], r["stage"]) == mine]
    return sorted(own, key=lambda record: (record["trial"], record["seed"]))


def is_searched(protocol: Protocol, search: Sequence[Record]) -> bool:
    """Whether these are all the search runs of a contender."""
    return len(search) == protocol.trials * len(protocol.search_seeds)


def group_by_trial(records: Iterable[Record]) -> list[list[Record]]:
    """The search runs of a contender trial by trial, from the smallest learning rate on."""
    trials: dict[tuple[float, int | None], list[Record]] = {}
    for record in records:
        trials.setdefault((record["lr"], record["trial"]), []).append(record)
    return [trials[key] for key in sorted(trials, key=lambda key: (key[0], key[1] or 0))]


def choose(metric: Metric, records: Iterable[Record]) -> Record:
    """A run of the trial with the best mean validation metric over the search seeds.

    Ties go to the lower mean validation loss, then to the smaller learning rate. A diverged run counts with
    the metric of the untrained model; a trial of which a run was pruned has been given up.

    Args:
        metric: says which way is better.
        records: all search runs of one contender.

    Raises:
        OptionError: there is no record of a trial that was trained to its end.
    """
    trials = [runs for runs in group_by_trial(records) if not any(r["pruned"] for r in runs)]
    if not trials:
        raise OptionError(message("no search run to choose settings from"))
    sign = -1.0 if metric.higher_is_better else 1.0

    def rank(runs: list[Record]) -> tuple[float, float, float]:
        metric = math.fsum(r["validation_metric"] for r in runs) / len(runs)
        loss = math.fsum(math.inf if r["diverged"] else r["validation_loss"] for r in runs) / len(runs)
        return sign * metric, loss, runs[0]["lr"]

    return min(trials, key=rank)[0]


def seeds(count: int, first: int, name: str) -> tuple[int, ...]:
    """``count`` seeds from ``first`` on.

    Raises:
        OptionError: fewer than one seed.
    """
    return tuple(range(first, first + check_count(name, count, "compare")))


def missing(plan: Sequence[Trial], records: Iterable[Record]) -> list[Trial]:
    """The trials of a plan that no record answers yet."""
    done = {key_of(record) for record in records}
    return [trial for trial in plan if trial.key not in done]
