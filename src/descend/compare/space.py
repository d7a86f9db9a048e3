"""What a sampler chooses from: a range or a list of choices for each setting, and contenders with what it chose."""

import inspect
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from descend.compare.contender import Contender, Range
from descend.compare.search import OWN_RANGES, RANGES
from descend.compare.variants import OWN, SHORT, vary
from descend.errors import OptionError, did_you_mean, message

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial

Ranges = Mapping[str, Range]
Tuned = Mapping[str, Range | None] | Iterable[str]
"""What is sampled beside the learning rate: names of the table ``search.RANGES``, or names with their ranges."""

DIGITS = 3
"""Of the numbers that are tried: so many that the line to paste is what was run, few enough to read."""
_ALLOWED = "a pair (lowest, highest) of numbers, or a list of choices"


def check_ranges(ranges: Ranges) -> dict[str, Range]:
    """The ranges, each of them well formed.

    Raises:
        OptionError: names the range.
    """
    if not isinstance(ranges, Mapping):
        raise OptionError(message("ranges", got=ranges, allowed=f"for each name {_ALLOWED}"))
    for name, values in ranges.items():
        if not isinstance(values, Sequence):
            raise OptionError(message(f"range of {name}", got=values, allowed=_ALLOWED))
        pair = isinstance(values, tuple) and len(values) == 2
        numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v)]
        if isinstance(values, str) or not values or (pair and (len(numbers) < 2 or not numbers[0] < numbers[1])):
            raise OptionError(message(f"range of {name}", got=values, allowed=_ALLOWED))
        if name == "lr" and (not pair or values[0] <= 0):
            raise OptionError(message("range of lr", got=values, allowed="a pair of numbers above 0"))
    return {name: v if isinstance(v, tuple) and len(v) == 2 else list(v) for name, v in ranges.items()}


def read_tuned(tuned: Tuned) -> dict[str, Range | None]:
    """What was asked for: names with their ranges, or with None where the table's is meant.

    Raises:
        OptionError: it has none of the forms that are understood.
    """
    if isinstance(tuned, str):
        return {tuned: None}
    if not isinstance(tuned, Iterable):
        raise OptionError(message("what to tune", got=tuned, allowed='names, or {"name": (lowest, highest)}'))
    return dict(tuned) if isinstance(tuned, Mapping) else dict.fromkeys(tuned)


def find_ranges(asked: Mapping[str, Range | None], optimizer: str = "") -> dict[str, Range]:
    """The ranges that were asked for, in full or by names of the table, where an optimizer may have its own.

    Raises:
        OptionError: a range is malformed, or a name has none in the table.
    """
    usual = RANGES | OWN_RANGES.get(optimizer, {})
    for name, values in asked.items():
        if name == "lr":
            do = "It is searched in any case; give its ends with --lrs adamw=1e-5,1e-2 (or lrs=)."
            raise OptionError(message("what to tune", got="lr", do=do))
        if values is None and name not in RANGES:
            do = f"{did_you_mean(str(name), RANGES)} Or give a range: {name}=LOW..HIGH or {name}=A,B.".strip()
            raise OptionError(message(f"there is no usual range of {name!r}", allowed=", ".join(RANGES), do=do))
    return check_ranges({name: usual[name] if values is None else values for name, values in asked.items()})


def add_spaces(contenders: Sequence[Contender], tuned: Tuned, varied: Iterable[str] = ()) -> list[Contender]:
    """Each contender with all that is sampled: its learning rate, and what it takes of the settings to tune.

    The learning rate goes from the first to the last of the contender's own. Ranges that a contender has brought with
    it stand before the common ones.

    Args:
        contenders: each with two learning rates at least.
        tuned: what is sampled beside the learning rate.
        varied: settings in which the contenders differ on purpose.

    Raises:
        OptionError: a range is malformed, no contender takes it, one refuses what it has brought itself, or a setting
            is both varied and tuned.
    """
    asked, taken, spaced = read_tuned(tuned), set[str](), list[Contender]()
    ranges = find_ranges(asked)
    double = sorted(ranges.keys() & set(varied))
    if double:
        raise OptionError(message("both varied and tuned", got=", ".join(double), do="Do one of the two."))
    for contender in contenders:
        usual = find_ranges(asked, contender.optimizer if isinstance(contender.optimizer, str) else "")
        own = {name: values for name, values in usual.items() if takes(contender, name, values)}
        taken |= own.keys()
        ends = (contender.lrs[0], contender.lrs[-1])
        spaced.append(replace(contender, lrs=ends, space={"lr": ends, **own, **_check_brought(contender)}))
    for name in ranges.keys() - taken:
        arrange(contenders[0], {"lr": contenders[0].lrs[0], name: ranges[name][0]})[0].check_options()
        raise OptionError(message("no optimizer takes all of this range", got=f"{name}={ranges[name]}"))
    return spaced


def _check_brought(contender: Contender) -> dict[str, Range]:
    """The ranges that a contender has brought with it."""
    brought = check_ranges(contender.space)
    if "lr" in brought:
        do = "Its range goes from the first to the last of lrs."
        raise OptionError(message(f"space of contender {contender.name!r} contains 'lr'", do=do))
    for name, values in brought.items():
        for value in values:
            arrange(contender, {"lr": contender.lrs[0], name: value})[0].check_options()
    return brought


def takes(contender: Contender, name: str, values: Range) -> bool:
    """Whether the optimizer accepts every choice, or both ends, and means the same by them: three betas are no pair."""
    if name not in OWN:
        parameters = inspect.signature(contender.cls).parameters
        known = parameters.get(SHORT.get(name, name))
        if known is None:
            return False
        pair = isinstance(known.default, tuple) and len(known.default)
        if any((isinstance(value, tuple) and len(value)) != pair for value in values):
            return False
    try:
        for value in values:
            arrange(contender, {"lr": contender.lrs[0], name: value})[0].check_options()
    except OptionError:
        return False
    return True


def arrange(contender: Contender, values: Mapping[str, Any]) -> tuple[Contender, float]:
    """The contender and the learning rate of some settings; choices that were written out are read again."""
    if values.keys() == {"lr"} and not contender.space:
        return contender, float(values["lr"])
    meant = {name: read_choice(contender.space.get(name, ()), value) for name, value in values.items() if name != "lr"}
    return replace(vary(contender, meant), name=contender.name, space={}), float(values["lr"])


def read_choice(values: Range, written: Any) -> Any:
    """What :func:`write_choice` has written."""
    return next((value for value in values if write_choice(value) == written), written)


def write_choice(value: Any) -> Any:
    """A choice as it is kept: what is no number, word, flag or None is written out."""
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)


def distribute(values: Range) -> "BaseDistribution":
    """Optuna's distribution over a range; over a decade or more it is even in the logarithm."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not isinstance(values, tuple):
        return CategoricalDistribution([write_choice(value) for value in values])
    low, high = values
    log = low > 0 and high >= 10 * low
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(low, high, log=log)


def suggest(trial: "Trial", space: Ranges) -> dict[str, Any]:
    """Settings to try, as Optuna gives them."""
    found: dict[str, Any] = {}
    for name, values in space.items():
        over: Any = distribute(values)
        if not isinstance(values, tuple):
            found[name] = trial.suggest_categorical(name, over.choices)
        elif isinstance(over.low, int):
            found[name] = trial.suggest_int(name, over.low, over.high, log=over.log)
        else:
            found[name] = trial.suggest_float(name, over.low, over.high, log=over.log)
    return found


def shorten(values: Mapping[str, Any], space: Ranges) -> dict[str, Any]:
    """Settings with numbers of a few digits, still within their ranges."""
    short: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(space[name], tuple) and isinstance(value, float):
            value = min(max(float(f"{value:.{DIGITS}g}"), space[name][0]), space[name][1])
        short[name] = value
    return short
