"""The learning-rate range test: one short run in which the rate rises from far too small to far too large.

Smith 2017, "Cyclical learning rates for training neural networks", section 3.3, with a geometric instead of a linear
rise. The answer is read from the loss over the logarithm of the rate, by several estimates that need not agree.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from html import escape
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from descend.compare.jobs import prepare
from descend.compare.pool import one_thread
from descend.compare.preservation import preserved
from descend.compare.selection import Choice, contenders
from descend.errors import OptionError, message
from descend.optim.arguments import check_count, check_number
from descend.tasks import Part, Task, check

BLOWN_UP = 2.0
"""The test ends where the smoothed loss is this many times the first one ..."""
SMOOTHING = 0.025
"""Width of the Gaussian that smooths the losses, as a share of the test."""
LEAST_FALL = 0.02
"""A loss that never falls by this share of its first value, or by three times its noise, says nothing."""

Loss = Callable[[Any, Any], Tensor]


@dataclass(frozen=True)
class RangeTest:
    """What a range test saw, and what can be read from it; ``print`` says it in words.

    Attributes:
        lrs: the learning rates of the updates, rising; where groups differ, of the group with the largest.
        losses: training loss before each of these updates.
        smoothed: the same, smoothed.
        estimates: learning rate by the name of its estimate; None where it cannot be read.
        lr: the answer, the median of the estimates; None if there is none.
        confidence: "high" where all estimates lie within half a decade, "medium" within one, "low" beyond, "none".
        reason: why there is no answer, or why it is not surer.
    """

    lrs: Sequence[float]
    losses: Sequence[float]
    smoothed: Sequence[float]
    estimates: dict[str, float | None]
    lr: float | None
    confidence: str
    reason: str

    def to_data(self) -> dict[str, Any]:
        """Plain lists, numbers and strings, for JSON."""
        return asdict(self)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name} {'-' if lr is None else f'{lr:.2g}'}" for name, lr in self.estimates.items())
        if self.lr is None:
            return f"No answer: {self.reason} ({shown})"
        return f"Learning rate {self.lr:.2g}, confidence {self.confidence}: {self.reason} ({shown})"

    def _repr_html_(self) -> str:
        return f"<p>{escape(str(self))}</p>{add_picture(self)}"


def add_picture(test: RangeTest) -> str:
    """The figure in HTML; nothing until ``descend.draw.notebook`` puts itself in this place."""
    return ""


def find_lr(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[Any],
    loss: Loss,
    *,
    lowest: float = 1e-6,
    highest: float = 10.0,
    steps: int = 100,
    clip_norm: float | None = None,
) -> RangeTest:
    """Find a learning rate for one's own training loop; afterwards everything is as it was, to the bit.

    That is the model with its buffers, gradients and modes, the optimizer, the random generators of torch, NumPy and
    Python, and the generator of a ``DataLoader``. Nothing is written to disk.

    Args:
        model: is trained for a moment.
        optimizer: of the model; a copy of it steps. All groups are scaled together and keep their ratios.
        batches: pairs of inputs and targets; begun anew when they end.
        loss: (outputs, targets) -> a scalar.
        lowest: the first learning rate, above 0.
        highest: the last one, unless the loss blows up before.
        steps: updates, from 20.
        clip_norm: where the loop scales gradients down to this norm before each update.

    Raises:
        OptionError: a number is out of range, there are no batches, or an argument is of another kind.
    """
    _check_loop(model, optimizer, batches, loss)
    check_number("lowest", lowest, "find_lr", low=0.0, open_low=True)
    check_number("highest", highest, "find_lr", low=lowest, open_low=True)
    check_count("steps", steps, "find_lr", least=20)
    if clip_norm is not None:
        check_number("clip_norm", clip_norm, "find_lr", low=0.0, open_low=True)
    rates = [lowest * (highest / lowest) ** (i / (steps - 1)) for i in range(steps)]
    with preserved(model, batches):
        copy: Any = deepcopy(optimizer, {id(p): p for group in optimizer.param_groups for p in group["params"]})
        losses = _sweep(model, copy, _cycle(batches), loss, rates, clip_norm)
    return read_range(rates[: len(losses)], losses)


def _check_loop(model: Any, optimizer: Any, batches: Any, loss: Any) -> None:
    """Refuse what no training loop is made of: arguments in another order, a class for an object.

    Raises:
        OptionError: names the argument.
    """
    for name, value, fits, allowed in (
        ("model", model, isinstance(model, nn.Module), "a torch.nn.Module"),
        ("optimizer", optimizer, isinstance(optimizer, torch.optim.Optimizer), "an optimizer of the model"),
        ("batches", batches, isinstance(batches, Iterable), "pairs of inputs and targets, such as a DataLoader"),
        ("loss", loss, callable(loss), "a function of outputs and targets"),
    ):
        if not fits:
            raise OptionError(message(f"find_lr: {name}", got=type(value).__name__, allowed=allowed))


def find_lr_on(
    task: str | Task, optimizer: Choice = "adamw", *, lowest: float = 1e-6, highest: float = 10.0, steps: int = 100,
    seed: int = 0,
) -> RangeTest:  # fmt: skip
    """Find a learning rate for an optimizer on a task of the bench.

    Args:
        task: a name, ``"file.py:object"`` or a task.
        optimizer: a name, a class or a contender.
        lowest: the first learning rate, above 0.
        highest: the last one, unless the loss blows up before.
        steps: updates, from 20.
        seed: of the model's initial values and of the order of the data.

    Raises:
        TaskError: the task is unknown or malformed.
        OptionError: a number is out of range, or the optimizer is unknown.
    """
    check_count("seed", seed, "find_lr_on", least=0)
    found = prepare(task, None)
    (contender,) = contenders([optimizer])
    with one_thread(), torch.random.fork_rng(devices=[]):
        fitted, data = contender.fit(found), check(found)
        torch.manual_seed(seed)
        whole = _TaskModel(fitted, fitted.model())
        stepped = contender.build(whole, contender.lrs[-1], steps)
        batches = _Batches(lambda: fitted.stream(whole.model, data.train, seed))
        return find_lr(whole, stepped, batches, _keep, lowest=lowest, highest=highest, steps=steps,
                       clip_norm=fitted.clip_norm)  # fmt: skip


class _TaskModel(nn.Module):
    """A model whose output is the task's loss of a batch, however the task computes it."""

    def __init__(self, task: Task, model: nn.Module) -> None:
        super().__init__()
        self.task, self.model = task, model

    def forward(self, batch: Part) -> Tensor:
        return self.task.batch_loss(self.model, batch)


def _keep(outputs: Tensor, targets: None) -> Tensor:
    return outputs


class _Batches:
    """A task's batches as pairs of inputs and targets."""

    def __init__(self, begin: Callable[[], Iterator[Part]]) -> None:
        self._begin = begin

    def __iter__(self) -> Iterator[tuple[Part, None]]:
        return ((part, None) for part in self._begin())


def _cycle(batches: Iterable[Any]) -> Iterator[Any]:
    while True:
        empty = True
        for batch in batches:
            empty = False
            if not isinstance(batch, tuple | list) or len(batch) < 2:
                got, do = type(batch).__name__, "Make pairs: [(batch['x'], batch['y']) for batch in loader]."
                raise OptionError(message("find_lr: a batch", got=got, allowed="inputs and targets", do=do))
            yield batch
        if empty:
            raise OptionError(message("the range test got no batches", do="Pass a loader with at least one batch."))


def _sweep(
    model: nn.Module,
    optimizer: Any,
    batches: Iterator[Any],
    loss: Loss,
    rates: Sequence[float],
    clip_norm: float | None,
) -> list[float]:
    """Training losses at rising rates, until the loss blows up."""
    shares = _free_groups(optimizer)
    losses: list[float] = []
    model.train()
    for rate in rates:
        batch = next(batches)
        for group, share in zip(optimizer.param_groups, shares, strict=True):
            group["lr"] = rate * share

        def closure(batch: Any = batch) -> Tensor:
            optimizer.zero_grad()
            value = loss(model(batch[0]), batch[1])
            value.backward()
            if clip_norm is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
            return value

        value = optimizer.step(closure)
        losses.append(float(value.detach()))
        if not math.isfinite(losses[-1]) or median(losses[-5:]) > losses[0] + (BLOWN_UP - 1) * abs(losses[0]):
            break
    return losses


def _free_groups(optimizer: Any) -> list[float]:
    """Each group's share of the largest learning rate; schedules of the rate are taken off this copy."""
    bases = [float(g.get("initial_lr", g.get("lr_max", g["lr"]))) for g in optimizer.param_groups]
    for group in optimizer.param_groups:
        if "lr" in group.get("schedules", {}):
            group["schedules"] = {k: v for k, v in group["schedules"].items() if k != "lr"}
    largest = max(bases)
    return [base / largest if largest > 0 else 1.0 for base in bases]


def read_range(lrs: Sequence[float], losses: Sequence[float]) -> RangeTest:
    """What learning rate the losses of a range test speak for.

    Args:
        lrs: rising.
        losses: one for each; the last may not be finite.
    """
    finite = [x for x in losses if math.isfinite(x)]
    smoothed = smooth(finite)
    noise = 1.4826 * median(abs(a - b) for a, b in zip(finite, smoothed, strict=True)) if finite else 0.0
    lowest = min(range(len(smoothed)), key=smoothed.__getitem__, default=0)
    names = ("steepest", "valley", "minimum/10")
    if len(finite) < 10:
        return RangeTest(lrs, losses, smoothed, dict.fromkeys(names), None, "none", "the loss blew up at once.")
    fall = max(smoothed[: lowest + 1]) - smoothed[lowest]
    if fall < max(LEAST_FALL * abs(smoothed[0]), 3 * noise):
        reason = "the loss never fell by more than its noise."
        return RangeTest(lrs, losses, smoothed, dict.fromkeys(names), None, "none", reason)
    turned = max(smoothed[lowest:]) - smoothed[lowest] > max(fall / 10, noise) or len(finite) < len(losses)
    values = (
        _steepest(lrs, smoothed, lowest),
        _valley(lrs, smoothed, lowest),
        lrs[lowest] / 10 if turned else None,
    )
    known = [value for value in values if value is not None]
    spread = math.log10(max(known) / min(known))
    confidence = "low" if not turned or spread > 1 else "medium" if spread > 0.5 else "high"
    reason = f"the estimates lie within {spread:.1f} decades"
    reason += "." if turned else ", but the loss was still falling at the highest rate."
    return RangeTest(lrs, losses, smoothed, dict(zip(names, values, strict=True)), median(known), confidence, reason)


def smooth(losses: Sequence[float]) -> list[float]:
    """A weighted mean over neighbours on both sides: it does not lag behind, as a running mean does."""
    width = max(1.0, SMOOTHING * len(losses))
    reach = math.ceil(3 * width)
    weights = [math.exp(-0.5 * (d / width) ** 2) for d in range(-reach, reach + 1)]
    found: list[float] = []
    for i in range(len(losses)):
        near = [(w, losses[j]) for w, j in zip(weights, range(i - reach, i + reach + 1), strict=True)
                if 0 <= j < len(losses)]  # fmt: skip
        found.append(math.fsum(w * x for w, x in near) / math.fsum(w for w, _ in near))
    return found


def _steepest(lrs: Sequence[float], smoothed: Sequence[float], lowest: int) -> float:
    """Where the loss falls fastest, over the logarithm of the rate."""
    slopes = {i: smoothed[i + 1] - smoothed[i - 1] for i in range(1, max(2, lowest))}
    return lrs[min(slopes, key=slopes.__getitem__)]


def _valley(lrs: Sequence[float], smoothed: Sequence[float], lowest: int) -> float:
    """The middle of the longest stretch in which the loss only falls, without the first tenth of its fall.

    Where nothing is learned yet the loss falls too, if by little, over decades of rates.
    """
    best, start = (0, 0), 0
    for i in range(1, lowest + 1):
        if smoothed[i] >= smoothed[i - 1]:
            start = i
        if i - start > best[1] - best[0]:
            best = (start, i)
    start, end = best
    begun = smoothed[start] - 0.1 * (smoothed[start] - smoothed[end])
    start = next(i for i in range(start, end + 1) if smoothed[i] <= begun)
    return math.sqrt(lrs[start] * lrs[end])
