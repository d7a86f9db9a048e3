"""The page of all methods, written from the rules.

python -m descend.optim.overview > docs/methods.md
"""

import sys
from inspect import signature

from descend.lang.fold import build_program
from descend.lang.rule import Rule, State
from descend.optim.capabilities import (
    WOVEN_VALUES,
    describe_sparse,
    find_condition,
    find_refusal,
    find_structure,
    list_complex,
    list_decays,
    unscales,
)
from descend.optim.catalogue import optimizers
from descend.optim.explain import price
from descend.optim.optimizer import Optimizer
from descend.optim.options import DECAYS, ROUNDINGS

COLUMNS = (
    "class", "passes", "bytes moved", "state bytes", "bf16", "complex", "sparse", "AMP", "closure", "maximize",
    "decay", *(f"`{name}`" for name in WOVEN_VALUES),
)  # fmt: skip
HEAD = f"""# The methods

Written by `python -m descend.optim.overview` from the rules, their programs and the checks of their options; tests \
compare the page with these, and each cell with steps that are taken or refused.

Every method has compiled kernels on CPU and torch operations elsewhere, computes in float32 at least whatever its \
parameters are stored in, and takes `clip_norm`, `clip_value`, `on_nonfinite`, `metrics`, `ema`, and a schedule of any \
of its numbers. The table says the rest, at default options and for float32 parameters. What it means is \
[below](#what-the-columns-mean), then [what is refused and why](#what-is-refused-and-why), then each method's formula, \
states and source.

| {" | ".join(COLUMNS)} |
|{"---|" * len(COLUMNS)}
"""
LEGEND = """
## What the columns mean

- *passes* over memory a step, *bytes moved* and *state bytes* for one coordinate; states of a row, a column or a \
tensor are not counted.
- *bf16*: bfloat16 and float16 parameters, rounded to nearest, stochastically or with compensation (`rounding=`).
- *complex*: as pairs of reals, as in torch. *vectors* means that rows have values, which are not defined for pairs: \
complex matrices are refused.
- *sparse*: whether the method takes sparse gradients (`nn.Embedding(sparse=True)`), and how a row that they leave out \
makes up for the steps that it has missed, without weight decay; [conventions](conventions.md#sparse-gradients) says \
more.
- *AMP*: `GradScaler`; gradients are unscaled within the step, and a step that it skips moves nothing and is not \
counted.
- *closure*: `step(closure)` calls it once with gradients enabled, and returns its loss.
- *decay*: the values of `decay=`; **bold** is what `weight_decay=` means without it, *own* that it stands inside the \
method's update.
- The last five are the options of that name. *with `momentum`* means that the option needs a first moment, which the \
method has only if asked for. These options, `ema` and stochastic and compensated `rounding` need all rows in every \
step: beside them sparse gradients are refused. `centralize` and `clip_adaptive` look at rows: beside them complex \
matrices are.
"""
FORMULAS = """
## What is refused and why

{reasons}

## Formulas, states and sources

{formulas}"""


def write_overview() -> str:
    """The text of ``docs/methods.md``."""
    classes = optimizers().items()
    rows = "\n".join(f"| {' | '.join(_fill_row(name, cls))} |" for name, cls in classes)
    reasons = "\n".join(line for name, cls in classes for line in _list_reasons(name, cls.rule))
    formulas = "\n".join(_describe(name, cls.rule) for name, cls in classes)
    return HEAD + rows + "\n" + LEGEND + FORMULAS.format(reasons=reasons, formulas=formulas)


def _fill_row(name: str, cls: type[Optimizer]) -> list[str]:
    rule = cls.rule
    costs = price(rule)
    kinds = list_complex(rule)
    own = [f"**{rule.decay}**"] if rule.decay == "own" else []
    decays = [f"**{kind}**" if kind == rule.decay else kind for kind in DECAYS if kind in list_decays(rule)]
    return [
        f"`{name}`",
        str(len(costs)),
        str(sum(c.bytes_read + c.bytes_written for c in costs)),
        str(4 * sum(s.rate == "coordinate" for s in _list_states(rule))),
        _say(not any(find_refusal(rule, rounding=kind) for kind in ROUNDINGS)),
        "yes" if "matrices" in kinds else " ".join(kinds) or "no",
        describe_sparse(rule),
        _say(unscales(rule)),
        _say("closure" in signature(cls.step).parameters),
        _say(not find_refusal(rule, maximize=True)),
        ", ".join([*own, *decays]),
        *(_say_condition(find_condition(rule, option)) for option in WOVEN_VALUES),
    ]


def _say(yes: bool) -> str:
    return "yes" if yes else "no"


def _say_condition(option: str | None) -> str:
    return "no" if option is None else f"with `{option}`" if option else "yes"


def _list_reasons(name: str, rule: Rule) -> list[str]:
    """A line for each reason, with the options that are refused for it."""
    tried = {f"`{o}`": find_refusal(rule, **{o: value}) for o, value in WOVEN_VALUES.items() if o in rule.refuses}
    tried |= {f"`decay={kind!r}`": find_refusal(rule, decay=kind, weight_decay=0.1) for kind in DECAYS}
    reasons: dict[str, list[str]] = {}
    for option, complaint in tried.items():
        if complaint:
            _, consequence, forgotten = complaint.partition(" would ")
            told = complaint.partition(f"makes no sense with {rule.name}: ")[2] or f"it{consequence}{forgotten}"
            reasons.setdefault(told.partition(". ")[0], []).append(option)
    return [f"- `{name}` refuses {', '.join(options)}: {reason}." for reason, options in reasons.items()]


def _list_states(rule: Rule) -> list[State]:
    program = build_program(rule, find_structure(rule))
    return [rule.find_state(letter) for letter in (*program.states, *program.shared)]


def _describe(name: str, rule: Rule) -> str:
    """A method's formula, what it remembers and where it comes from."""
    kept = ", ".join(f"`{s.key}`" + _say_rate(s) for s in _list_states(rule)) or "nothing"
    return f"### {name}\n\n```\n{rule.text()}\n```\n\nRemembers {kept}. Source: {' '.join(rule.sources)}\n"


def _say_rate(state: State) -> str:
    if state.rate in ("coordinate", "all"):
        return "" if state.rate == "coordinate" else " (one number for all)"
    return (
        f" (one number a {state.rate})"
        if isinstance(state.rate, str)
        else f" (one for each index of axis {state.rate})"
    )


if __name__ == "__main__":
    sys.stdout.write(write_overview())
