"""Data of a task, in three parts that never mix."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from descend.errors import TaskError, message
from descend.tasks.ragged import Ragged

FORMS = "(inputs, targets), three such pairs (train, validation, test), or descend.tasks.Data"


@dataclass(frozen=True)
class Part:
    """Examples in a fixed order: example ``i`` is row ``i`` of ``inputs`` with row ``i`` of ``targets``.

    Both are a tensor with one example a row, a :class:`descend.tasks.Ragged`, or a tuple or dictionary of these
    with equally many rows.
    """

    inputs: Any
    targets: Any

    def __len__(self) -> int:
        return len(next(leaves(self.inputs)))

    def batch(self, indices: Tensor) -> "Part":
        """The examples with these indices, in this order."""

        def take(rows: Tensor | Ragged) -> Tensor | Ragged:
            return rows.take(indices) if isinstance(rows, Ragged) else rows[indices]

        return Part(transform(self.inputs, take), transform(self.targets, take))

    def pieces(self, rows: int) -> Iterator["Part"]:
        """The examples in order, at most so many at a time."""
        if len(self) <= rows:
            yield self
            return
        yield from map(self.batch, torch.arange(len(self)).split(rows))


def transform(rows: Any, change: Callable[[Any], Any]) -> Any:
    """The same tuples and dictionaries with every leaf changed."""
    if isinstance(rows, Mapping):
        return {key: transform(value, change) for key, value in rows.items()}
    if isinstance(rows, tuple):
        return tuple(transform(value, change) for value in rows)
    return change(rows)


def leaves(rows: Any) -> Iterator[Any]:
    """The tensors and ragged rows inside tuples and dictionaries, in a fixed order."""
    if isinstance(rows, Mapping):
        rows = tuple(rows[key] for key in sorted(rows))
    if isinstance(rows, tuple):
        for value in rows:
            yield from leaves(value)
    else:
        yield rows


def shapes(rows: Any) -> Any:
    """The shape of every leaf, for messages."""
    return transform(rows, lambda leaf: (len(leaf), "ragged") if isinstance(leaf, Ragged) else tuple(leaf.shape))


@dataclass(frozen=True)
class Data:
    """Training, validation and test examples.

    The learning rate is chosen on ``validation``; ``test`` is read only once that is done.
    """

    train: Part
    validation: Part
    test: Part

    @property
    def parts(self) -> tuple[Part, Part, Part]:
        """The three, in this order."""
        return self.train, self.validation, self.test


def shuffle(count: int, seed: int = 0) -> Tensor:
    """The numbers below ``count`` in an order that the seed names on every machine."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))


def split(inputs: Any, targets: Any, shares: tuple[float, float, float] = (0.6, 0.2, 0.2), seed: int = 0) -> Data:
    """Cut one set of examples into training, validation and test, always in the same way.

    Args:
        inputs: one example a row; all that a :class:`Part` may hold.
        targets: as many rows as ``inputs``.
        shares: of training, validation and test; they sum to 1.
        seed: of the permutation, so that a seed names one split on every machine.

    Raises:
        TaskError: the rows do not match, the shares are not three positive numbers with sum 1, or a part
            would be empty.
    """
    whole = _check_rows(Part(inputs, targets), "")
    if len(shares) != 3 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
        raise TaskError(message("shares", got=shares, allowed="three positive numbers whose sum is 1"))
    rows = len(whole)
    first, second = round(rows * shares[0]), round(rows * (shares[0] + shares[1]))
    if not 0 < first < second < rows:
        raise TaskError(message(f"{rows} examples are too few for the shares {shares}", do="Give more examples."))
    order = shuffle(rows, seed)
    return Data(*(whole.batch(chosen) for chosen in (order[:first], order[first:second], order[second:])))


def arrange(given: Any, task: str) -> Data:
    """Whatever a task's ``data()`` returned, as :class:`Data`; names the task in every error."""
    if isinstance(given, Data):
        return Data(*(_make_part((p.inputs, p.targets), task) for p in given.parts))
    if isinstance(given, Sequence) and len(given) == 2:
        whole = _make_part(given, task)
        return split(whole.inputs, whole.targets)
    if isinstance(given, Sequence) and len(given) == 3:
        return Data(*(_make_part(pair, task) for pair in given))
    raise TaskError(message(f"data() of task {task!r} has the wrong form", got=type(given).__name__, allowed=FORMS))


def _make_part(pair: Any, task: str) -> Part:
    if not isinstance(pair, Sequence) or len(pair) != 2:
        raise TaskError(message(f"data() of task {task!r} has the wrong form", got=type(pair).__name__, allowed=FORMS))
    inputs, targets = (_make_rows(values, role, task) for role, values in zip(("inputs", "targets"), pair, strict=True))
    part = _check_rows(Part(inputs, targets), f" of task {task!r}")
    if len(part) == 0:
        raise TaskError(message(f"a part of the data of task {task!r} is empty", do="Give it at least one example."))
    return part


def _check_rows(part: Part, whose: str) -> Part:
    found = [*leaves(part.inputs), *leaves(part.targets)]
    if any(isinstance(leaf, Tensor) and leaf.ndim == 0 for leaf in found) or len({len(leaf) for leaf in found}) != 1:
        raise TaskError(
            message(
                f"inputs and targets{whose} differ in their number of rows",
                got=(shapes(part.inputs), shapes(part.targets)),
                do="Give one target for each input.",
            )
        )
    return part


def _make_rows(values: Any, role: str, task: str) -> Any:
    """Tensors for arrays and lists of numbers; tuples and dictionaries of arrays stay what they are."""
    arrays = (Tensor, np.ndarray, Ragged, tuple, Mapping)
    inner = list(values.values()) if isinstance(values, Mapping) else values
    if isinstance(values, Mapping | tuple) and inner and all(isinstance(one, arrays) for one in inner):
        return transform(values, lambda leaf: _make_rows(leaf, role, task))
    if isinstance(values, Ragged):
        return values
    try:
        return torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TaskError(
            message(f"{role} of task {task!r} do not become a tensor ({error})", allowed="tensors or arrays")
        ) from error
