"""Which contenders take part: from names, classes and ready-made contenders."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import torch

from descend.compare.contender import Contender, check_fair, from_class
from descend.compare.search import CONTENDERS, DEFAULT
from descend.errors import OptionError, UnknownOptionError, did_you_mean, message
from descend.optim.arguments import check_count
from descend.optim.catalogue import get, optimizers

Choice = str | type[torch.optim.Optimizer] | Contender
_CHOICES = "names such as 'adamw', optimizer classes, or contenders"
TRIALS = 7
"""Learning rates tried for each contender unless told otherwise."""


SAMPLED = 20
"""Trials that a sampler gives each contender unless told otherwise."""


def contenders(
    choices: Iterable[Choice] | None = None,
    trials: int = TRIALS,
    lrs: Mapping[str, Sequence[float]] | None = None,
    *,
    sampled: bool = False,
) -> list[Contender]:
    """The contenders that were asked for, in that order; the nine of ``search.DEFAULT`` for None.

    Args:
        choices: names from the table of ``search.py``, names of optimizers, classes, or contenders.
        trials: learning rates for each; fewer than the table has are taken from the middle of its grid.
            Contenders that you made yourself keep theirs.
        lrs: learning rates to try in place of the table's, in rising order, for each contender's name.
        sampled: keep only the lowest and the highest of each, between which a sampler chooses.

    Raises:
        UnknownOptionError: a name is not known; with a "did you mean".
        OptionError: none were chosen, two share a name, or their numbers of trials differ.
    """
    check_count("trials", trials, "compare")
    if isinstance(choices, str | type | Contender):
        choices = [choices]
    if not isinstance(choices, Iterable | None):
        raise OptionError(message("optimizers", got=choices, allowed=_CHOICES))
    chosen = [_contender(choice, trials) for choice in (DEFAULT if choices is None else choices)]
    if not chosen:
        raise OptionError(message("no optimizers to compare", do="Name at least one, such as adam."))
    own = dict(lrs or {})
    chosen = [replace(one, lrs=tuple(own.pop(one.name))) if one.name in own else one for one in chosen]
    for name in own:
        do = did_you_mean(name, [one.name for one in chosen])
        raise UnknownOptionError(message("learning rates of an optimizer that does not take part", got=name, do=do))
    if sampled:
        chosen = [replace(one, lrs=_find_ends(one)) for one in chosen]
    check_fair(chosen)
    return chosen


def _find_ends(contender: Contender) -> tuple[float, float]:
    if len(contender.lrs) < 2:
        do = "Give the lowest and the highest to sample between, or search on the grid."
        raise OptionError(message(f"contender {contender.name!r} has a single learning rate", do=do))
    return contender.lrs[0], contender.lrs[-1]


def _contender(choice: Choice, trials: int) -> Contender:
    if isinstance(choice, Contender):
        return choice
    if isinstance(choice, type) and issubclass(choice, torch.optim.Optimizer):
        return from_class(choice, trials)
    if not isinstance(choice, str):
        raise OptionError(message("an optimizer to compare", got=choice, allowed=_CHOICES))
    wanted = choice.strip().lower()
    for contender in CONTENDERS:
        if wanted in (contender.name, contender.title.lower()):
            return replace(contender, lrs=_middle(contender, trials))
    classes = {name.lower(): name for name in optimizers()}
    if wanted in classes:
        name = classes[wanted]
        return replace(from_class(get(name), trials), optimizer=name, title=name)
    known = {c.name for c in CONTENDERS} | set(classes)
    raise UnknownOptionError(message(f"there is no optimizer {choice!r}", do=did_you_mean(wanted, known)))


def _middle(contender: Contender, trials: int) -> Sequence[float]:
    lrs = contender.lrs
    if trials > len(lrs):
        do = "Sample with --search tpe (or search=), or make contenders: descend.compare.Contender(..., lrs=(...))."
        raise OptionError(message(f"trials of {contender.name}", got=trials, allowed=f"1 to {len(lrs)}", do=do))
    first = (len(lrs) - trials + 1) // 2
    return lrs[first : first + trials]
