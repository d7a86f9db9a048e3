"""The rules of one comparison: equal trials, seeds, data order and budget for every contender.

Two stages. In the *search* every contender is trained at each of its learning rates with the search seeds,
and its learning rate is chosen on the validation part. In the *final* stage it is trained at that learning
rate with fresh seeds, and only these models ever see the test part: neither the test images nor the seeds
that are reported have had a say in the choice.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from descend.compare.contender import Entry
from descend.errors import OptionError, RecordError, message
from descend.optim.arguments import check_count
from descend.tasks import Metric, Task

SCHEMA = 2
FINAL_SEED = 1000
"""First seed of the final stage, out of the search seeds' way."""

Stage = Literal["search", "final"]
Record = dict[str, Any]


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
        trials: learning rates tried for each contender.
        search_seeds: seeds of every trial.
        final_seeds: fresh seeds of the runs that are reported.
        together: whether replicas of the search are trained together, which gives other last digits.
        versions: of descend and torch; other versions may give other last digits.
        schema: version of the layout of records.
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

    def to_data(self) -> dict[str, Any]:
        """Plain lists, numbers and strings, for JSON."""
        return json.loads(json.dumps(asdict(self)))

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
    """One training run to be done."""

    task: str
    contender: str
    identity: str
    lr: float
    seed: int
    stage: Stage

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes it the same run as one that is recorded."""
        return (self.task, self.contender, self.identity, self.lr, self.seed, self.stage)


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
    return tuple(record[name] for name in ("task", "contender", "identity", "lr", "seed", "stage"))


def plan_search(protocol: Protocol, contender: Entry) -> list[Trial]:
    """Every learning rate with every search seed."""
    return [
        Trial(protocol.task, contender.name, contender.identity, lr, seed, "search")
        for lr in contender.lrs
        for seed in protocol.search_seeds
    ]


def plan_final(protocol: Protocol, contender: Entry, lr: float) -> list[Trial]:
    """The chosen learning rate with every final seed."""
    identity = contender.identity
    return [Trial(protocol.task, contender.name, identity, lr, seed, "final") for seed in protocol.final_seeds]


def choose(metric: Metric, records: Iterable[Record]) -> float:
    """The learning rate with the best mean validation metric over the search seeds.

    Ties go to the lower mean validation loss, then to the smaller learning rate. A diverged run counts with
    the metric of the untrained model.

    Args:
        metric: says which way is better.
        records: all search runs of one contender.

    Raises:
        OptionError: there is no record.
    """
    by_lr: dict[float, list[Record]] = {}
    for record in records:
        by_lr.setdefault(record["lr"], []).append(record)
    if not by_lr:
        raise OptionError(message("no search run to choose a learning rate from"))
    sign = -1.0 if metric.higher_is_better else 1.0

    def rank(lr: float) -> tuple[float, float, float]:
        runs = by_lr[lr]
        metric = math.fsum(r["validation_metric"] for r in runs) / len(runs)
        loss = math.fsum(math.inf if r["diverged"] else r["validation_loss"] for r in runs) / len(runs)
        return sign * metric, loss, lr

    return min(by_lr, key=rank)


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
