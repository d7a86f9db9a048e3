"""How a quantity that a method did not keep is worked out from those that it did, and what is lost by it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from descend.checkpoints.meanings import (
    BY_NORM,
    CHANGE,
    G2,
    G2_AHEAD,
    G2_EVER,
    G2_MAX,
    LARGEST,
    LAST,
    NORM2,
    ONE,
    SLOW,
    SPREAD,
    UNIT,
    UNIT_BEFORE,
    UPDATES2,
    G,
)


@dataclass(frozen=True)
class Known:
    """A quantity of one parameter.

    Args:
        value: unscaled.
        origins: the source's states that it was read from.
        keep: share that a step of the source keeps of it.
        weights: how the source weighs gradients beside that.
        grade: one of ``GRADES``, the worst on the way to it.
        how: what was done to the origins, in words.
        steps: how many steps it stands for, if fewer than were done.
    """

    value: Tensor
    origins: tuple[str, ...] = ()
    keep: float = 0.0
    weights: str = ""
    grade: str = "exact"
    how: str = ""
    steps: float | None = None

    def __str__(self) -> str:
        """Where it came from: ``momentum_buffer; its mean square``."""
        return "; ".join(part for part in (", ".join(self.origins), self.how) if part)


GRADES = ("exact", "approximate", "estimated", "new")
"""From no loss to nothing carried."""


@dataclass(frozen=True)
class Derivation:
    """One way to a quantity.

    Args:
        result: the quantity.
        needs: the quantities that it is worked out from.
        work: the formula.
        grade: what is lost: ``approximate`` where the same thing is averaged otherwise, ``estimated`` where an
            assumption stands for what was never kept.
        how: the formula and the assumption in words.
    """

    result: str
    needs: tuple[str, ...]
    work: Callable[..., Tensor]
    grade: str
    how: str


def _share(a: Tensor, b: Tensor) -> Tensor:
    """A / b, and 0 where b is 0."""
    return torch.where(b > 0, a / torch.where(b > 0, b, 1.0), 0.0)


def _spread(square: Tensor, mean: Tensor) -> Tensor:
    """Mean square less squared mean; both are of other spans, so what is left may be 0 where the spread is not.

    A step that divides by its root would be of any size then: after 3 steps of Yogi, AdaBelief's first was 380 lr.
    """
    return torch.maximum(square - mean * mean, mean * mean / 100)


DERIVATIONS = (
    Derivation(G2, (SPREAD, G), lambda s, g: s + g * g, "approximate", "the spread plus the squared mean"),
    Derivation(G2, (G2_EVER,), lambda s: s, "approximate", "the mean over all steps for one over the last"),
    Derivation(G2, (G2_AHEAD,), lambda s: s, "approximate", "of the gradient ahead for the gradient"),
    Derivation(G2, (LARGEST,), lambda u: u * u, "estimated", "the largest recent gradient, squared: an upper bound"),
    Derivation(G, (UNIT, G2), lambda d, s: d * s.sqrt(), "approximate", "times the present root mean square"),
    Derivation(G, (UNIT_BEFORE, G2), lambda d, s: d * s.sqrt(), "approximate", "times the present root mean square"),
    Derivation(G2_EVER, (G2,), lambda s: s, "approximate", "the mean over the last steps for one over all"),
    Derivation(G2_AHEAD, (G2,), lambda s: s, "approximate", "of the gradient for the gradient ahead"),
    Derivation(G2_MAX, (G2,), lambda s: s, "estimated", "the present one: earlier ones were not kept"),
    Derivation(SPREAD, (G2, G), _spread, "approximate", "less the squared mean, and at least a hundredth of that"),
    Derivation(LARGEST, (G2,), lambda s: s.sqrt(), "estimated", "the root mean square for the largest"),
    Derivation(LAST, (G,), lambda g: g, "estimated", "the mean for the last"),
    Derivation(UNIT, (G, G2), lambda g, s: _share(g, s.sqrt()), "approximate", "over the present root mean square"),
    Derivation(
        UNIT_BEFORE, (G, G2), lambda g, s: _share(g, s.sqrt()), "approximate", "over the present root mean square"
    ),
    Derivation(NORM2, (G2,), lambda s: s.sum(), "approximate", "added up over the tensor"),
    Derivation(
        BY_NORM, (G, G2), lambda g, s: _share(g, s.sum().sqrt().expand_as(g)), "approximate", "over the present norm"
    ),
)
FROM_ZERO = frozenset({G, SLOW, CHANGE, UPDATES2, UNIT, UNIT_BEFORE, BY_NORM})
"""Quantities that may begin at 0 beside others that go on: what divides by them waits, it does not explode."""


def find(quantity: str, known: Mapping[str, Known], like: Tensor, steps: float) -> Known | None:
    """A quantity from those that are known; None if there is no sound way to it.

    Args:
        quantity: which.
        known: what the source kept.
        like: of the parameter's shape.
        steps: how many were done; infinite if that is not known.
    """
    if quantity == ONE:
        return Known(torch.ones((), dtype=torch.float64), how="from the count of steps")
    found = _derive(quantity, known, steps, frozenset())
    if found is None and quantity in FROM_ZERO:
        return Known(torch.zeros_like(like), grade="new", how="begins at 0")
    return found


def _derive(quantity: str, known: Mapping[str, Known], steps: float, on_the_way: frozenset[str]) -> Known | None:
    """The first way whose needs can be met, without going in circles."""
    if quantity in known:
        return known[quantity]
    for way in DERIVATIONS:
        if way.result == quantity and not on_the_way & set(way.needs):
            parts = [_derive(need, known, steps, on_the_way | {quantity}) for need in way.needs]
            if all(parts):
                return _join(way, [p for p in parts if p is not None])
    return _estimate_second_moment(known[G], steps) if quantity == G2 and G in known else None


def _join(way: Derivation, parts: list[Known]) -> Known:
    value = way.work(*(p.value for p in parts))
    grade = max([way.grade, *(p.grade for p in parts)], key=GRADES.index)
    origins = tuple(dict.fromkeys(o for p in parts for o in p.origins))
    how = "; ".join([*dict.fromkeys(p.how for p in parts if p.how), way.how])
    fewest = min((p.steps for p in parts if p.steps is not None), default=None)
    return Known(value, origins, parts[0].keep, parts[0].weights, grade, how, fewest)


def _estimate_second_moment(g: Known, steps: float) -> Known:
    """The mean squared gradient, estimated from the mean gradient: one number a tensor.

    If gradients are noise of mean square s around 0, the mean square of their running mean is s times
    (1 - k)(1 + k^t) / ((1 + k)(1 - k^t)) for a share k kept. Where they are not only noise, this comes out too large
    and steps too short, until Adam's own mean takes over: the estimate counts as 1 / (1 - k) steps.
    """
    k = g.keep
    left = 0.0 if k == 0 else k**steps
    noise = (1.0 + k) * (1.0 - left) / ((1.0 - k) * (1.0 + left))
    value = (g.value.square().mean() * noise).expand_as(g.value).clone()
    how = f"its mean square over the tensor times {noise:.3g}, as if gradients were all noise"
    return Known(value, g.origins, k, g.weights, "estimated", how, min(steps, 1.0 / (1.0 - k)))
