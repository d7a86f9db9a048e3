"""Options that every optimizer has, beside those of its rule: what they may be, and how a group is checked."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from descend.errors import OptionError, UnknownOptionError, did_you_mean, message
from descend.lang.rule import Rule
from descend.lang.woven import WOVEN_HYPERS, find_woven, list_hypers
from descend.optim.arguments import check_count, check_flag, check_number, check_word
from descend.optim.numbers import plain
from descend.schedules import Schedule

DECAYS = ("l2", "decoupled", "independent", "corrected")
ROUNDINGS = ("nearest", "stochastic", "compensated")
FLAGS: dict[str, Any] = {
    "maximize": False,
    "foreach": None,
    "capturable": False,
    "differentiable": False,
    "fused": None,
}
"""torch's flags; all but ``maximize`` and ``differentiable`` only steer the choice of backend."""
STORAGE: dict[str, Any] = {"rounding": None, "seed": 0, "ema": None, "sparse": "exact"}
"""How parameters are rounded when they are written, from which random bits, and the decay of their average; and
whether rows that a sparse gradient leaves out take the step of a gradient of 0 (``"exact"``) or none (``"lazy"``)."""
GROUP_ONLY = (
    "params",
    "param_names",
    "initial_lr",
    "schedules",
    "schedule_start",
    "updates",
    "lr_start",
    "lr_max",
    "plateau",
    "train_mode",
)
"""Keys that a group may carry beside options: torch's own and ours for checkpoints."""
WIDE: dict[str, Any] = {
    "clip_norm": None,
    "clip_value": None,
    "on_nonfinite": "apply",
    "max_nonfinite": None,
    "metrics": False,
    "backend": "auto",
}
"""Options of the whole optimizer, which a group may not override."""


def group_defaults(rule: Rule) -> dict[str, Any]:
    """Defaults of everything that a group may override."""
    return {
        **rule.defaults,
        **({} if "weight_decay" in rule.hypers else {"weight_decay": 0.0}),
        "decay": None,
        **STORAGE,
        **{name: hyper.default for name, hyper in WOVEN_HYPERS.items()},
        **FLAGS,
    }


def translate(rule: Rule, options: dict[str, Any], owner: str, inherited: str | None = None) -> dict[str, Any]:
    """The options with torch's ``decoupled_weight_decay`` turned into ``decay``.

    Args:
        rule: the method.
        options: as passed to the class or written in a group.
        owner: whose they are, for messages.
        inherited: the class's ``decay``, for a group.

    Raises:
        OptionError: if the two contradict each other.
    """
    options = dict(options)
    if "decoupled_weight_decay" not in options:
        return options
    decoupled = check_flag("decoupled_weight_decay", options.pop("decoupled_weight_decay"), owner)
    if decoupled == (resolve_decay(rule, {"decay": options.get("decay", inherited)}) == "decoupled"):
        return options
    if options.get("decay") is not None:
        raise OptionError(
            message(
                f"{owner}: decoupled_weight_decay={decoupled} and decay={options['decay']!r} contradict each other",
                do='Keep one; decoupled_weight_decay=True means decay="decoupled", False decay="l2"',
            )
        )
    return {**options, "decay": "decoupled" if decoupled else "l2"}


def check_group(rule: Rule, options: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """A group's options, each known and in range.

    Args:
        rule: the method.
        options: values by name, schedules included.
        owner: whose they are, for messages.

    Raises:
        OptionError: if a value is not allowed or contradicts another.
        UnknownOptionError: if no option has that name.
    """
    known = group_defaults(rule)
    checked: dict[str, Any] = {}
    for name, value in options.items():
        if name in WIDE:
            raise OptionError(
                message(f"{owner}: {name} holds for the whole optimizer", do=f"Pass {name}= to the class")
            )
        if name not in known:
            raise UnknownOptionError(f"{owner} has no option {name!r}. {did_you_mean(name, [*known, *WIDE])}")
        checked[name] = _check_option(rule, name, value, owner)
    _check_together(rule, {**known, **checked}, owner)
    return checked


def check_changed(rule: Rule, changed: Mapping[str, Any], group: Mapping[str, Any], owner: str) -> None:
    """Values that were written into a group, each alone and beside the group's others.

    Raises:
        OptionError: if one is not allowed or contradicts another.
    """
    for name, value in changed.items():
        _check_option(rule, name, value, owner)
    _check_together(rule, group, owner)


def _check_together(rule: Rule, group: Mapping[str, Any], owner: str) -> None:
    _check_decay(rule, group, owner)
    _check_woven(rule, group, owner)
    complaint = None
    if rule.check and not holds_schedule(group):
        complaint = rule.check({k: plain(v) if isinstance(v, Tensor) else v for k, v in group.items()})
    if complaint:
        raise OptionError(f"{owner}: {complaint}")


def _check_woven(rule: Rule, group: Mapping[str, Any], owner: str) -> None:
    used = find_woven(group)
    for name in sorted(used):
        if name in rule.refuses:
            raise OptionError(f"{owner}: {name}= makes no sense with {rule.name}: {rule.refuses[name]}. Leave it out.")
    if "clip_update" in used and "lr" not in rule.hypers:
        raise OptionError(
            message(
                f"{owner}: clip_update= measures the update without lr, and the formula {rule.name!r} has none",
                do="Call the formula's step size lr",
            )
        )


def _check_option(rule: Rule, name: str, value: Any, owner: str) -> Any:
    hypers = list_hypers(rule)
    if isinstance(value, Schedule):
        if name != "ema" and (name not in hypers or hypers[name].structural):
            raise OptionError(message(f"{owner}: {name} cannot follow a schedule", got=value, allowed="a number"))
        _check_option(rule, name, value.at(0), owner) if name == "ema" else hypers[name].check(value.at(0), owner)
        return value
    if name in hypers:
        hyper = hypers[name]
        if hyper.is_tuple and isinstance(value, tuple | list):
            plain = tuple(v.at(0) if isinstance(v, Schedule) else v for v in value)
            return tuple(value) if hyper.check(plain, owner) else value
        return hyper.check(value, owner)
    if name == "weight_decay":
        return check_number(name, value, owner, low=0.0)
    if name in STORAGE:
        return _check_storage(name, value, owner)
    if name == "decay" and value is not None and not (isinstance(value, str) and value in DECAYS):
        hint = "Did you mean weight_decay=?" if isinstance(value, int | float) else did_you_mean(str(value), DECAYS)
        raise OptionError(
            message(f"{owner}: decay", got=value, allowed=f"None, {', '.join(map(repr, DECAYS))}", do=hint)
        )
    if name in FLAGS and value is not None:
        check_flag(name, value, owner)
    return value


def _check_storage(name: str, value: Any, owner: str) -> Any:
    if name == "seed":
        if isinstance(value, bool) or not isinstance(value, int):
            raise OptionError(message(f"{owner}: seed", got=value, allowed="an integer"))
    elif name == "sparse":
        check_word(name, value, owner, ("exact", "lazy"))
    elif name == "rounding" and value is not None:
        check_word(name, value, owner, ROUNDINGS)
    elif name == "ema" and value is not None and check_number(name, value, owner, low=0.0) >= 1:
        raise OptionError(
            message(f"{owner}: ema", got=value, allowed="the average's decay, a number >= 0 and < 1, such as 0.999")
        )
    return value


def _check_decay(rule: Rule, full: Mapping[str, Any], owner: str) -> None:
    amount = full["weight_decay"]
    kind = resolve_decay(rule, full)
    if kind in ("decoupled", "independent", "corrected") and "lr" not in rule.hypers:
        raise OptionError(
            message(
                f"{owner}: decay={kind!r} follows lr, and the formula {rule.name!r} has none",
                allowed="decay='l2'",
                do="Call the formula's step size lr",
            )
        )
    if full["decay"] is None and rule.decay is None and not isinstance(amount, Schedule) and plain(amount) != 0.0:
        raise OptionError(
            message(
                f"{owner}: weight_decay={amount!r} without a kind of decay; the method has none of its own",
                allowed=f"decay={' | '.join(map(repr, DECAYS))}",
                do='Most people want decay="decoupled"',
            )
        )


def holds_schedule(options: Mapping[str, Any]) -> bool:
    """Whether a value, or a part of one, follows a schedule."""
    values = (part for v in options.values() for part in (v if isinstance(v, tuple) else (v,)))
    return any(type(part) is not float and isinstance(part, Schedule) for part in values)  # floats are the rule


def refuse_missing(owner: str, name: str) -> OptionError:
    """The refusal when somebody has taken an option out of a group."""
    return OptionError(message(f"{owner} has no {name!r} any more", do=f"Write group[{name!r}] = ... again"))


def check_wide(options: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """The options of the whole optimizer, checked.

    Raises:
        OptionError: if a value is not allowed.
    """
    wide = {**WIDE, **options}
    for name in ("clip_norm", "clip_value"):
        if wide[name] is not None:
            wide[name] = check_number(name, wide[name], owner, low=0.0, open_low=True)
    check_word("on_nonfinite", wide["on_nonfinite"], owner, ("apply", "skip", "raise"))
    check_word("backend", wide["backend"], owner, ("auto", "eager", "cpu"))
    check_flag("metrics", wide["metrics"], owner)
    if wide["max_nonfinite"] is not None:
        check_count("max_nonfinite", wide["max_nonfinite"], owner)
        if wide["on_nonfinite"] != "skip":
            raise OptionError(message(f"{owner}: max_nonfinite= limits skips in a row", do='Add on_nonfinite="skip"'))
    return wide


def resolve_decay(rule: Rule, group: Mapping[str, Any]) -> str | None:
    """What a group's weight decay means."""
    return group["decay"] or rule.decay
