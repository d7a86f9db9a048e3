"""Hyper-parameters of a rule, read from its signature: kind, range, default, and how a value is checked."""

import inspect
import types
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from descend.errors import OptionError, RuleError, did_you_mean, message
from descend.lang.ranges import DecayKind, Range, find_marks


@dataclass(frozen=True)
class Hyper:
    """One hyper-parameter.

    Args:
        name: as in the signature.
        default: its default.
        ranges: one range for each number that it holds; empty where the value decides the structure.
        choices: the allowed values of one that decides the structure; empty where any of its type will do.
        is_tuple: whether it is a tuple of numbers, such as ``betas``.
        optional: whether None is allowed and means "without".
        parts: of a tuple the places where None is allowed.
        decay: what the method means by it, for ``weight_decay``.
    """

    name: str
    default: Any
    ranges: tuple[Range, ...] = ()
    choices: tuple[Any, ...] = ()
    is_tuple: bool = False
    optional: bool = False
    decay: str | None = None
    parts: tuple[int, ...] = ()

    @property
    def structural(self) -> bool:
        """Whether the value decides the structure of the formula rather than being a number in it."""
        return not self.ranges

    def split(self, value: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """What of a value decides the structure, and its numbers by the name of their host input."""
        if self.structural or value is None:
            return {self.name: value}, {}
        if not self.is_tuple:
            return {}, {self.name: value}
        named = {f"{self.name}[{i}]": part for i, part in enumerate(value)}
        return {k: v for k, v in named.items() if v is None}, {k: v for k, v in named.items() if v is not None}

    def describe_range(self) -> str:
        """The allowed values in words."""
        if self.structural:
            text = " | ".join(repr(c) for c in self.choices) if self.choices else type(self.default).__name__
        elif self.is_tuple:
            same = len(set(self.ranges)) == 1
            each = f"each {self.ranges[0]}" if same else ", ".join(map(str, self.ranges))
            text = f"{len(self.ranges)} numbers, {each}"
            text += "".join(f"; None is allowed for number {i + 1}" for i in self.parts)
        else:
            text = str(self.ranges[0])
        return f"{text}, or None" if self.optional else text

    def check(self, value: Any, owner: str) -> Any:
        """The value, as a tuple where it is one.

        Args:
            value: what the user gave.
            owner: whose option it is, for the message.

        Raises:
            OptionError: if the value is not allowed.
        """
        if value is None and self.optional:
            return None
        if self.structural:
            if self.choices:
                allowed = any(type(value) is type(c) and value == c for c in self.choices)
            else:
                allowed = self.default is None or type(value) is type(self.default)
            if not allowed:
                words = [c for c in self.choices if isinstance(c, str)] if isinstance(value, str) else []
                raise self._refusal(value, owner, did_you_mean(str(value), words) if words else "")
            return value
        if not self.is_tuple:
            self._check_number(value, self.ranges[0], owner)
            return value
        if not isinstance(value, tuple | list) or len(value) != len(self.ranges):
            raise self._refusal(value, owner)
        for i, (number, limits) in enumerate(zip(value, self.ranges, strict=True)):
            if number is not None or i not in self.parts:
                self._check_number(number, limits, owner, whole=value)
        return tuple(value)

    def _check_number(self, value: Any, limits: Range, owner: str, whole: Any = None) -> None:
        plain = value.detach() if hasattr(value, "detach") else value  # float() of what requires gradients warns
        try:
            fits = not isinstance(value, bool | str) and limits.admits(float(plain))
        except (TypeError, ValueError, RuntimeError, OverflowError):
            fits = False
        if not fits:
            raise self._refusal(value if whole is None else whole, owner)

    def _refusal(self, value: Any, owner: str, hint: str = "") -> OptionError:
        return OptionError(message(f"{owner}: {self.name}", got=value, allowed=self.describe_range(), do=hint))


def read_hyper(parameter: inspect.Parameter, annotation: Any, owner: str) -> Hyper:
    """A hyper-parameter from one parameter of a rule's signature.

    Raises:
        RuleError: if annotation and default say nothing that can be used.
    """
    hyper = _read_kind(parameter, annotation, owner)
    try:
        hyper.check(hyper.default, owner)
    except OptionError as error:
        raise RuleError(f"The default is not among the allowed values. {error}") from error
    return hyper


def _read_kind(parameter: inspect.Parameter, annotation: Any, owner: str) -> Hyper:
    default = parameter.default
    optional, annotation = _strip_none(annotation)
    marks = find_marks(annotation)
    if marks:
        decay = next((m.kind for m in marks if isinstance(m, DecayKind)), None)
        limits = next((m for m in marks if isinstance(m, Range)), Range())
        return Hyper(parameter.name, default, (limits,), optional=optional, decay=decay)
    if get_origin(annotation) is tuple:
        parts = get_args(annotation)
        if parts[-1] is Ellipsis and isinstance(default, tuple):  # tuple[Keep, ...]: as many as the default has
            parts = parts[:1] * len(default)
        absent, parts = zip(*map(_strip_none, parts), strict=True)
        ranges = tuple(next((m for m in find_marks(a) if isinstance(m, Range)), Range()) for a in parts)
        places = tuple(i for i, allowed in enumerate(absent) if allowed)
        return Hyper(parameter.name, default, ranges, is_tuple=True, optional=optional, parts=places)
    choices = _list_choices(annotation)
    if choices:
        return Hyper(parameter.name, default, choices=choices, optional=optional)
    if isinstance(default, bool):
        return Hyper(parameter.name, default, choices=(False, True), optional=optional)
    if annotation is float:
        return Hyper(parameter.name, default, (Range(),), optional=optional)
    if annotation is int or isinstance(default, str) or default is None:
        return Hyper(parameter.name, default, optional=optional)
    if isinstance(default, int | float):
        return Hyper(parameter.name, default, (Range(),), optional=optional)
    if isinstance(default, tuple):
        return Hyper(parameter.name, default, (Range(),) * len(default), is_tuple=True, optional=optional)
    raise RuleError(
        message(
            f"{owner}: the hyper-parameter {parameter.name!r}",
            got=default,
            allowed="a number, a tuple of numbers, True, False, None or a word",
            do="Annotate it, for example `lr: NonNegative = 0.1`",
        )
    )


def _strip_none(annotation: Any) -> tuple[bool, Any]:
    if get_origin(annotation) in (Union, types.UnionType) and type(None) in get_args(annotation):
        rest = tuple(a for a in get_args(annotation) if a is not type(None))
        return True, rest[0] if len(rest) == 1 else Union[rest]  # noqa: UP007
    return False, annotation


def _list_choices(annotation: Any) -> tuple[Any, ...]:
    if annotation is bool:
        return (False, True)
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    if get_origin(annotation) in (Union, types.UnionType):
        parts = [_list_choices(a) for a in get_args(annotation)]
        return tuple(c for part in parts for c in part) if all(parts) else ()
    if get_origin(annotation) is Annotated:
        return _list_choices(get_args(annotation)[0])
    return ()
