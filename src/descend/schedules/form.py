"""From a formula in ``k`` to a constructor of schedules, and from plain data back to schedules.

A schedule is one function: its first parameter is ``k``, the others are annotated with their range::

    @schedule(horizon=lambda T: T)
    def linear(k: Value, T: Steps) -> Value:
        return 1 - minimum(k, T) / T

It is written in the host words of the formula language, like the parts of a rule that are the same for all
coordinates.

Afterwards ``linear(100)`` is a :class:`Schedule`, prints like that, is stored as ``["linear", 100]`` and sets
itself in type. Arguments are always plain values, so Python's ``if`` may look at them; ``k`` is a symbol when the
formula is set in type, so only ``where`` may look at it.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, cast, get_args, get_type_hints

from descend.errors import OptionError, UnknownOptionError, did_you_mean, message
from descend.lang import Value
from descend.lang.symbol import Symbol
from descend.schedules.algebra import PlainData, Schedule, product
from descend.schedules.arguments import NUMBER, Argument, Plain

P = ParamSpec("P")


@dataclass(frozen=True)
class Form:
    """A closed form: its formula, its parameters with their ranges, where it settles, what does not go together."""

    name: str
    formula: Callable[..., Value]
    parameters: inspect.Signature
    ranges: dict[str, Argument]
    horizon: Callable[..., int | None] | None
    peak: Callable[..., float] | None
    conflict: Callable[..., str | None] | None

    def bind(self, args: tuple[object, ...], kwargs: dict[str, object]) -> tuple[Plain, ...]:
        """The arguments in order, defaults filled in, each checked against its range."""
        for keyword in kwargs:
            if keyword not in self.ranges:
                hint = did_you_mean(keyword, self.ranges)
                raise UnknownOptionError(message(f"{self.name} has no argument {keyword!r}", do=hint))
        try:
            bound = self.parameters.bind(*args, **kwargs)
        except TypeError as error:
            shape = self.parameters.replace(return_annotation=inspect.Signature.empty)
            raise UnknownOptionError(message(f"{self.name}{shape}: {error}")) from None
        bound.apply_defaults()
        plain = tuple(self.ranges[name].check(f"{self.name}({name}=)", x) for name, x in bound.arguments.items())
        complaint = self.conflict(*plain) if self.conflict else None
        if complaint:
            raise OptionError(message(f"{self.name}: {complaint}"))
        return plain


FORMS: dict[str, Form] = {}
"""Every closed form by its name; a module that defines one adds it here when it is imported."""

_COMPOSED = ("mul", "then", "clamp")


@dataclass(frozen=True, slots=True)
class _ClosedForm(Schedule):
    """A schedule given by a formula and its arguments."""

    name: str
    arguments: tuple[Plain, ...]

    def factor(self, k: int) -> float:
        return float(cast(float, FORMS[self.name].formula(k, *self.arguments)))

    def expression(self, k: Symbol) -> Value:
        return FORMS[self.name].formula(k, *self.arguments)

    @property
    def horizon(self) -> int | None:
        settles = FORMS[self.name].horizon
        return None if settles is None else settles(*self.arguments)

    @property
    def base(self) -> float:
        peak = FORMS[self.name].peak
        if peak is not None:
            return float(peak(*self.arguments))
        return self.maximum() if self.horizon is not None else self.factor(0)

    def _given(self) -> list[Plain]:
        """The arguments without the trailing ones that stand at their defaults."""
        given = list(self.arguments)
        defaults = [parameter.default for parameter in FORMS[self.name].parameters.parameters.values()]
        while given and given[-1] == defaults[len(given) - 1]:
            given.pop()
        return given

    def to_data(self) -> PlainData:
        return [self.name, *(list(x) if isinstance(x, tuple) else x for x in self._given())]

    def __repr__(self) -> str:
        parameters = FORMS[self.name].parameters.parameters.values()
        shown = [
            (i, p.name, x) for i, (p, x) in enumerate(zip(parameters, self.arguments, strict=True)) if x != p.default
        ]
        given = [repr(x) if i == 0 else f"{name}={x!r}" for i, name, x in shown]
        return f"{self.name}({', '.join(given)})"


def schedule(
    *,
    horizon: Callable[..., int | None] | None,
    peak: Callable[..., float] | None = None,
    conflict: Callable[..., str | None] | None = None,
) -> Callable[[Callable[Concatenate[Value, P], Value]], Callable[P, Schedule]]:
    """Decorator that turns a formula in ``k`` into a constructor of schedules.

    Args:
        horizon: the arguments -> the last ``k`` at which the value changes; None if it never settles.
        peak: the arguments -> the largest value, where that is not the first one or takes long to find; None looks at
            all values up to the horizon, or at the first.
        conflict: the arguments -> why they cannot stand together; None if they can.

    Raises:
        OptionError: the name is taken by another module's form or by a composition, or a parameter has no
            range.
    """

    def declare(formula: Callable[Concatenate[Value, P], Value]) -> Callable[P, Schedule]:
        form = _read(formula, horizon, peak, conflict)
        known = FORMS.get(form.name)
        if form.name in _COMPOSED or (known and known.formula.__module__ != formula.__module__):
            raise OptionError(message(f"a schedule named {form.name!r} exists", do="Choose another name."))
        FORMS[form.name] = form

        @functools.wraps(formula)
        def build(*args: P.args, **kwargs: P.kwargs) -> Schedule:
            return _ClosedForm(form.name, form.bind(args, kwargs))

        cast(Any, build).__signature__ = form.parameters
        return build

    return declare


def _read(
    formula: Callable[..., Value],
    horizon: Callable[..., int | None] | None,
    peak: Callable[..., float] | None,
    conflict: Callable[..., str | None] | None,
) -> Form:
    name = formula.__name__
    hints = get_type_hints(formula, include_extras=True)
    ranges: dict[str, Argument] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in list(inspect.signature(formula).parameters.values())[1:]:
        plain, *extra = get_args(hints.get(parameter.name)) or (None,)
        kinds = [x for x in extra if isinstance(x, Argument)]
        if not kinds:
            what = f"schedule {name}: parameter {parameter.name!r} has no range"
            raise OptionError(
                message(what, do="Annotate it with Steps, Number, Share or another of schedules.arguments.")
            )
        ranges[parameter.name] = kinds[0]
        parameters.append(parameter.replace(annotation=plain))
    signature = inspect.Signature(parameters, return_annotation=Schedule)
    return Form(name, formula, signature, ranges, horizon, peak, conflict)


def from_data(data: object) -> Schedule:
    """The schedule that ``to_data()`` wrote, checked like one written by hand.

    Args:
        data: lists (or tuples), numbers and strings, such as ``["mul", ["warmup", 100], 0.003]``.

    Raises:
        OptionError: this is no schedule's data, or an argument is out of its range.
    """
    match data:
        case ["mul", _, _, *_] if any(isinstance(part, list | tuple) for part in data[1:]):
            return product(*map(_factor, data[1:]))
        case ["then", first, second, at]:
            return from_data(first).then(from_data(second), at=at)
        case ["clamp", inner, lo, hi]:
            return from_data(inner).clamp(lo, hi)
        case [str(name), *arguments] if name in FORMS:
            return _ClosedForm(name, FORMS[name].bind(tuple(arguments), {}))
        case [str(name), *_] if name not in _COMPOSED:
            raise OptionError(message(f"no schedule is named {name!r}", do=did_you_mean(name, FORMS)))
    raise OptionError(message("a schedule's plain data", got=data, allowed='lists such as ["cosine", 1000]'))


def _factor(data: object) -> Schedule | float:
    return from_data(data) if isinstance(data, list | tuple) else NUMBER.check("a factor in plain data", data)
