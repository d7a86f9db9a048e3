"""Schedules as values: pure functions of the number of updates done, and the operators that compose them.

``k`` is the number of updates that the optimizer has done before this one: 0 at its first step. A schedule
holds no clock and changes nothing; the optimizer that it is given to reads it inside ``step()``, so there
is no order of calls to keep and nothing to restore but the optimizer's own count.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from numbers import Real
from typing import TYPE_CHECKING

from descend.errors import OptionError, message
from descend.lang import Value, maximum, minimum, where
from descend.lang.symbol import Symbol
from descend.schedules.arguments import COUNT, NUMBER, STEPS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PlainData = list["str | int | float | PlainData | None"]


class Schedule(ABC):
    """A value for each update: ``warmup(100) * cosine(1000) * 3e-3``, given wherever a number is.

    Immutable, hashable and picklable. ``*`` multiplies with numbers and schedules, :meth:`then` goes on to
    another schedule, :meth:`clamp` bounds the values.
    """

    __slots__ = ()
    __array_ufunc__ = None  # else a NumPy number on the left would make an array of objects

    @abstractmethod
    def factor(self, k: int) -> float:
        """The value at a ``k`` that is known to be a count; :meth:`at` is the checked form."""

    @abstractmethod
    def expression(self, k: Symbol) -> Value:
        """The value as an expression of a symbol, from which :meth:`text` and :meth:`latex` are set."""

    @property
    @abstractmethod
    def horizon(self) -> int | None:
        """The last ``k`` at which the value may change, 0 if it never does, None if it never settles."""

    @property
    @abstractmethod
    def base(self) -> float:
        """The rate that the schedule is a share of, such as 3e-3 in ``warmup(100) * cosine(1000) * 3e-3``.

        The product of the largest values of its factors: what independent weight decay measures a rate by, so that it
        is the same as where the schedule drives a rate of 3e-3 from outside.
        """

    @abstractmethod
    def to_data(self) -> PlainData:
        """Plain lists, numbers and strings that checkpoints carry; ``from_data`` reads them back."""

    def at(self, k: int) -> float:
        """The value used by the update that has ``k`` updates before it.

        Args:
            k: updates done before this one, from 0.

        Raises:
            OptionError: ``k`` is negative or no whole number.
        """
        return self.factor(int(COUNT.check("at(k), the number of updates done", k)))

    def table(self, n: int) -> list[float]:
        """The values of the first ``n`` updates, k = 0 … n-1, to print, plot or check."""
        return [self.factor(k) for k in range(int(COUNT.check("table(n), the number of updates", n)))]

    def maximum(self, horizon: int | None = None) -> float:
        """The largest value over k = 0 … ``horizon``; by default over the schedule's own horizon.

        Raises:
            OptionError: the schedule never settles and no horizon is given.
        """
        return _extremes(self, self._last_change(horizon))[1]

    def minimum(self, horizon: int | None = None) -> float:
        """The smallest value over k = 0 … ``horizon``; by default over the schedule's own horizon.

        Raises:
            OptionError: the schedule never settles and no horizon is given.
        """
        return _extremes(self, self._last_change(horizon))[0]

    def text(self) -> str:
        """The formula in Unicode text, one line a named value, the schedule's own last."""
        from descend.schedules.typeset import typeset  # typeset reads the closed forms, which stand on schedules

        return "\n".join(typeset(self))

    def latex(self) -> str:
        """The formula in LaTeX, one aligned line a named value, the schedule's own last."""
        from descend.schedules.typeset import typeset

        lines = (line.replace(" = ", " &= ", 1) for line in typeset(self, latex=True))
        return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"

    def plot(self, n: int | None = None, *, axes: "Axes | None" = None) -> "Figure":
        """The values over k as a picture: ``schedule.plot().savefig("lr.png")``.

        Args:
            n: how many updates to show; by default up to a little past the horizon.
            axes: where to draw; by default a new figure.

        Returns:
            The matplotlib figure, which a notebook shows by itself.

        Raises:
            OptionError: the schedule never settles and no ``n`` is given.
            MissingExtraError: matplotlib is not installed.
        """
        from descend.schedules.picture import plot

        return plot(self, n, axes)

    def _last_change(self, horizon: int | None) -> int:
        asked = None if horizon is None else int(COUNT.check("the horizon, the last k that is looked at", horizon))
        ends = [k for k in (asked, self.horizon) if k is not None]
        if not ends:
            what = f"{self} goes on changing for ever, so it has an extreme only up to a horizon"
            raise OptionError(message(what, do="Name the last k, as in schedule.maximum(10_000)."))
        return min(ends)

    def then(self, other: "Schedule", *, at: int) -> "Schedule":
        """This schedule for the first ``at`` updates, then ``other``, whose own ``k`` starts from 0 again.

        Args:
            other: what follows.
            at: how many updates this schedule serves, at least 1.

        Raises:
            OptionError: ``at`` is not a whole number from 1, or ``other`` is no schedule.
        """
        start = int(STEPS.check("then(at=), the number of updates before the change", at))
        if not isinstance(other, Schedule):
            do = "Write a number x as constant(x)."
            raise OptionError(message("then() goes on to another schedule", got=other, do=do))
        return _Sequence(self, other, start)

    def clamp(self, lo: float, hi: float) -> "Schedule":
        """This schedule with every value below ``lo`` raised to it and every value above ``hi`` lowered.

        Raises:
            OptionError: a bound is not a finite number, or ``lo`` exceeds ``hi``.
        """
        low, high = NUMBER.check("clamp(lo=)", lo), NUMBER.check("clamp(hi=)", hi)
        if low > high:
            raise OptionError(message("clamp has its bounds crossed", got=(lo, hi), allowed="lo <= hi"))
        return _Clamped(self, float(low), float(high))

    def __mul__(self, other: "Schedule | float") -> "Schedule":
        return product(self, other)

    def __rmul__(self, other: float) -> "Schedule":
        return product(other, self)


@dataclass(frozen=True, slots=True)
class _Product(Schedule):
    """Schedules and numbers multiplied from left to right."""

    parts: tuple[Schedule | float, ...]

    def factor(self, k: int) -> float:
        return math.prod(part.factor(k) if isinstance(part, Schedule) else part for part in self.parts)

    def expression(self, k: Symbol) -> Value:
        return math.prod(part.expression(k) if isinstance(part, Schedule) else part for part in self.parts)

    @property
    def horizon(self) -> int | None:
        return _last([part.horizon for part in self.parts if isinstance(part, Schedule)])

    @property
    def base(self) -> float:
        return math.prod(part.base if isinstance(part, Schedule) else part for part in self.parts)

    def to_data(self) -> PlainData:
        return ["mul", *(part.to_data() if isinstance(part, Schedule) else part for part in self.parts)]

    def __repr__(self) -> str:
        return " * ".join(map(repr, self.parts))


@dataclass(frozen=True, slots=True)
class _Sequence(Schedule):
    """One schedule for the first ``start`` updates, then another from its own beginning."""

    first: Schedule
    second: Schedule
    start: int

    def factor(self, k: int) -> float:
        return self.first.factor(k) if k < self.start else self.second.factor(k - self.start)

    def expression(self, k: Symbol) -> Value:
        return where(k < self.start, self.first.expression(k), self.second.expression(k - self.start))

    @property
    def horizon(self) -> int | None:
        after = self.second.horizon
        return None if after is None else self.start + after

    @property
    def base(self) -> float:
        return max(self.first.base, self.second.base)

    def to_data(self) -> PlainData:
        return ["then", self.first.to_data(), self.second.to_data(), self.start]

    def __repr__(self) -> str:
        return f"{_operand(self.first)}.then({self.second!r}, at={self.start})"


@dataclass(frozen=True, slots=True)
class _Clamped(Schedule):
    """A schedule kept between two bounds."""

    inner: Schedule
    lo: float
    hi: float

    def factor(self, k: int) -> float:
        return min(max(self.inner.factor(k), self.lo), self.hi)

    def expression(self, k: Symbol) -> Value:
        return minimum(maximum(self.inner.expression(k), self.lo), self.hi)

    @property
    def horizon(self) -> int | None:
        return self.inner.horizon

    @property
    def base(self) -> float:
        return min(max(self.inner.base, self.lo), self.hi)

    def to_data(self) -> PlainData:
        return ["clamp", self.inner.to_data(), self.lo, self.hi]

    def __repr__(self) -> str:
        return f"{_operand(self.inner)}.clamp({self.lo!r}, {self.hi!r})"


@lru_cache(maxsize=64)  # of an immutable value, and a pass over a million updates takes seconds
def _extremes(schedule: Schedule, last: int) -> tuple[float, float]:
    values = schedule.table(last + 1)
    return min(values), max(values)


def _operand(schedule: Schedule) -> str:
    return f"({schedule!r})" if isinstance(schedule, _Product) else repr(schedule)


def _last(horizons: list[int | None]) -> int | None:
    known = [horizon for horizon in horizons if horizon is not None]
    return max(known) if len(known) == len(horizons) else None


def product(*factors: Schedule | float) -> Schedule:
    """What ``*`` makes: flat, with neighbouring numbers folded, so that equal sources are equal values."""
    parts: list[Schedule | float] = []
    for factor in factors:
        if not isinstance(factor, Schedule | Real):
            return NotImplemented
        for part in factor.parts if isinstance(factor, _Product) else (factor,):
            if isinstance(part, Schedule):
                parts.append(part)
                continue
            number = NUMBER.check("a schedule is multiplied by", part)
            if parts and not isinstance(parts[-1], Schedule):
                number = NUMBER.check("the numbers that multiply a schedule", parts.pop() * number)
            parts.append(number)
    return _Product(tuple(parts))
