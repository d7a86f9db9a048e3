"""What a method serves, asked of its rule, its programs and the checks of its options; nothing is listed by hand."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from descend.errors import OptionError
from descend.lang.fold import build_program, fold_zeros, split_options
from descend.lang.idle import count_moves, find_idle_map
from descend.lang.rule import Rule
from descend.lang.trace import Structure
from descend.lang.weave import default_structure
from descend.optim.missed_rows import LIMIT, MARGIN
from descend.optim.options import DECAYS, check_group
from descend.optim.row_unit import find_idle_structure, find_obstacle

LEAST = 2.0**-23 * MARGIN
"""Share of a float32 parameter below which a move is no longer taken step by step."""
WOVEN_VALUES: Mapping[str, Any] = {
    "cautious": True,
    "grokfast": (0.98, 2.0),
    "centralize": True,
    "clip_adaptive": 0.01,
    "clip_update": 1.0,
}
"""The woven options, each with a usual value."""
FIRST_MOMENTS: Mapping[str, float] = {"momentum": 0.9, "beta1": 0.9}
"""Options that give a method its first moment where it has none by default, each with a usual value."""


def find_structure(rule: Rule) -> Structure:
    """The structure of a rule's default options, with the zeros folded that save something."""
    structure = default_structure(rule)
    _, numbers = split_options(rule, rule.defaults)
    zeros = frozenset(k for k, v in numbers.items() if v == 0 and k not in ("lr", "weight_decay"))
    return fold_zeros(rule, structure, zeros)


def find_refusal(rule: Rule, **options: Any) -> str | None:
    """Why a method refuses options of a group; None if it takes them."""
    try:
        check_group(rule, options, rule.name)
    except OptionError as error:
        return str(error).removeprefix(f"{rule.name}: ")
    return None


def list_decays(rule: Rule) -> list[str]:
    """The values of ``decay=`` that a method takes."""
    return [kind for kind in DECAYS if not find_refusal(rule, decay=kind, weight_decay=0.1)]


def find_condition(rule: Rule, option: str) -> str | None:
    """The option that a woven one must stand beside: ``""`` if none, None if the method refuses it anyway."""
    value = {option: WOVEN_VALUES[option]}
    if not find_refusal(rule, **value):
        return ""
    moments = {name: keep for name, keep in FIRST_MOMENTS.items() if name in rule.hypers}
    return next((name for name, keep in moments.items() if not find_refusal(rule, **value, **{name: keep})), None)


def unscales(rule: Rule) -> bool:
    """Whether the step itself divides gradients by a ``GradScaler``'s scale."""
    program = build_program(rule, replace(find_structure(rule), unscale=True))
    return "grad_scale" in program.inputs


def list_complex(rule: Rule) -> list[str]:
    """Of vectors and matrices those that may be complex: where no value belongs to a row of pairs."""
    return [
        kind for dims, kind in enumerate(("vectors", "matrices"), start=1)
        if not build_program(rule, replace(find_structure(rule), dims=dims)).axes
    ]  # fmt: skip


def describe_sparse(rule: Rule) -> str:
    """Whether a method takes sparse gradients, and how the rows that these leave out are made up for."""
    structure = find_structure(rule)
    if find_obstacle(rule, build_program(rule, structure), structure):
        return "no"
    idle_program = build_program(rule, find_idle_structure(structure, {"weight_decay": 0.0}))
    idle = find_idle_map(idle_program)
    if idle.identity:
        return "yes, nothing to make up for"
    if idle.exact:
        return "yes, in one product"
    _, numbers = split_options(rule, rule.defaults)
    fades = idle.settles and count_moves(idle_program, numbers, LEAST, LIMIT)
    return f"yes, {fades} steps, then one product" if fades else "yes, step by step"
