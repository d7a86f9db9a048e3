"""From a rule to an optimizer class with the rule's signature."""

import importlib
import inspect
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from descend.errors import OptionError, RuleError, UnknownOptionError, did_you_mean, message
from descend.lang.fold import build_program
from descend.lang.rule import Rule
from descend.lang.weave import default_structure
from descend.optim import options
from descend.optim.optimizer import Optimizer

_made: dict[Rule, type[Optimizer]] = {}


def optimizer(rule: Rule, *, name: str | None = None, positional: tuple[str, ...] = ()) -> type[Optimizer]:
    """The optimizer class of a rule: a full ``torch.optim.Optimizer`` with fused kernels and all woven features.

        Signed = descend.optimizer(signed)
        opt = Signed(model.parameters(), lr=0.1, weight_decay=0.01, decay="decoupled", clip_norm=1.0)

    Args:
        rule: a formula decorated with ``descend.lang.rule``.
        name: of the class; by default the rule's in CamelCase.
        positional: torch's flags that may be passed by position behind the rule's own parameters.

    Raises:
        RuleError: if the formula is not well formed.
    """
    if not isinstance(rule, Rule):
        raise RuleError(message("descend.optimizer()", got=rule, allowed="a formula decorated with descend.lang.rule"))
    if rule in _made:
        return _made[rule]
    build_program(rule, default_structure(rule))  # a malformed formula is refused here, not in the first step
    title = name or "".join(part.capitalize() for part in rule.name.split("_"))
    signature = _make_signature(rule, positional)

    def __init__(self: Optimizer, *args: Any, **kwargs: Any) -> None:
        params, given = _bind(signature, title, args, kwargs)
        Optimizer.__init__(self, params, **given)

    __init__.__signature__ = _with_self(signature)
    module = rule.formula.__module__
    cls = type(
        title,
        (Optimizer,),
        {
            "rule": rule,
            "__init__": __init__,
            "__doc__": _describe(rule),
            "__module__": module,
            "__signature__": signature,
            "__reduce__": _reduce,
            "__deepcopy__": _deepcopy,
        },
    )
    _made[rule] = cls
    return cls


def _make_signature(rule: Rule, positional: tuple[str, ...]) -> inspect.Signature:
    plain, keyword = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter("params", plain)]
    extra = [n for n in rule.hypers if n in KEYWORD_HYPERS]
    parameters += [inspect.Parameter(n, plain, default=h.default) for n, h in rule.hypers.items() if n not in extra]
    everything = {**options.FLAGS, "decoupled_weight_decay": False}
    parameters += [inspect.Parameter(n, plain, default=everything[n]) for n in positional]
    taken = {p.name for p in parameters}
    rest = {
        **{n: rule.hypers[n].default for n in extra},
        **options.group_defaults(rule),
        **options.WIDE,
        "decoupled_weight_decay": rule.decay == "decoupled",
    }
    parameters += [inspect.Parameter(n, keyword, default=v) for n, v in rest.items() if n not in taken]
    return inspect.Signature(parameters)


KEYWORD_HYPERS = frozenset({"amsgrad_of", "eps_placement", "momentum_form"})
"""Conventions that torch does not offer: keyword-only, so that the leading parameters stay torch's."""


def _with_self(signature: inspect.Signature) -> inspect.Signature:
    first = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return signature.replace(parameters=[first, *signature.parameters.values()])


def _bind(signature: inspect.Signature, title: str, args: Any, kwargs: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The parameters and the options that were passed.

    Raises:
        UnknownOptionError: if no option has a given name.
        OptionError: if an argument is missing or given twice.
    """
    for key in kwargs:
        if key not in signature.parameters:
            hint = did_you_mean(key, [p for p in signature.parameters if p != "params"])
            raise UnknownOptionError(f"{title} has no option {key!r}. {hint}")
    try:
        bound = signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        raise OptionError(f"{title}: {error}. Its signature is {title}{signature}.") from None
    given = dict(bound)
    return given.pop("params"), given


def _describe(rule: Rule) -> str:
    lines = [rule.doc, "", "Options (see also ``descend show " + rule.name + "``):"]
    lines += [f"    {n}: {h.describe_range()}; by default {h.default!r}." for n, h in rule.hypers.items()]
    lines.append(
        "Every optimizer also takes maximize, decay, weight_decay, clip_norm, clip_value, on_nonfinite, "
        "max_nonfinite, backend, and torch's flags."
    )
    return "\n".join(lines)


def _reduce(self: Optimizer) -> tuple[Any, ...]:
    """Pickle by the rule's module and name.

    Raises:
        RuleError: if the rule cannot be found there again.
    """
    rule = self.rule
    module, path = rule.formula.__module__, rule.formula.__qualname__
    for found in _find(module, path, type(self).__name__):
        if found is rule or getattr(found, "rule", None) is rule:
            return _rebuild, (module, path, type(self).__name__), self.__getstate__()
    raise RuleError(
        message(
            f"{type(self).__name__} cannot be pickled: its rule {path!r} is not found in module {module!r}",
            do="Define the rule at the top level of a module; state_dict() saves it in any case",
        )
    )


def _find(module: str, path: str, title: str) -> list[Any]:
    """What a module holds under a rule's name or a class's; the product's own classes stand in the catalogue."""
    found: list[Any] = []
    for place, name in ((module, path), (module, title), ("descend", title)):
        value: Any = importlib.import_module(place)
        for part in name.split("."):
            value = getattr(value, part, None)
        found.append(value)
    return found


def _rebuild(module: str, path: str, title: str) -> Optimizer:
    """The empty optimizer that unpickling fills.

    Raises:
        RuleError: if the rule is no longer there.
    """
    rule, local, listed = _find(module, path, title)
    for candidate in (listed, local):
        if (
            isinstance(candidate, type)
            and issubclass(candidate, Optimizer)
            and candidate.rule.formula.__module__ == module
        ):
            return candidate.__new__(candidate)
    if isinstance(rule, Rule):
        cls = optimizer(rule)
        return cls.__new__(cls)
    raise RuleError(
        message(f"The rule {path!r} is no longer in module {module!r}", do="Keep it where it was when saving")
    )


def _deepcopy(self: Optimizer, memo: dict[int, Any]) -> Optimizer:
    """A copy with copied parameters, also of a rule that cannot be pickled."""
    new = type(self).__new__(type(self))
    memo[id(self)] = new
    new.__setstate__(deepcopy(self.__getstate__(), memo))
    return new
