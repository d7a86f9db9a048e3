"""From one method's state to another's, with a report of what each state was made of."""

import math
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from descend.backends.base import as_real
from descend.checkpoints.identify import Method, find_method, name_class
from descend.checkpoints.meanings import MEANINGS, Meaning, Options, number
from descend.checkpoints.quantities import Known, find
from descend.checkpoints.report import Carried, Conversion, tally
from descend.errors import OptionError, UnknownOptionError, did_you_mean, message
from descend.lang.rule import WOVEN_STATES, Rule, State
from descend.optim import options as option_checks
from descend.optim import shared
from descend.optim.checkpoint import required_states
from descend.optim.optimizer import Optimizer
from descend.optim.state_layout import check_layout, read_number


def convert_state(
    state_dict: Mapping[str, Any],
    to: Method,
    from_: Method | None = None,
    *,
    updates: int | None = None,
    **options: Any,
) -> Conversion:
    """Convert a state to another method, so that training goes on with what the first one has learnt.

        optimizer = descend.AdamW(model.named_parameters(), lr=1e-3)
        conversion = descend.convert_state(torch.load("sgd.pt"), to=optimizer)
        print(conversion)
        optimizer.load_state_dict(conversion.state_dict)

    A state is read as a quantity, such as the mean of the recent gradients, and written in the other method's form:
    SGD's buffer is 1 / (1 - momentum) of it, the classical form lr times that. The report says which states are
    exact, and what stands for one that was never kept. Learning rates and decays are not carried from one formula to
    another: a good rate of SGD is no good rate of Adam.

    Args:
        state_dict: of descend or of torch; see :func:`descend.import_state` for other libraries'.
        to: the optimizer that will load it, whose options are used; or a class or its name.
        from_: the method that it is of; by default found from its options and states.
        updates: how many were done, where the state does not say (torch's SGD).
        options: of the target, where ``to`` is a class: ``betas=(0.9, 0.95)``.

    Raises:
        CheckpointError: if it is no optimizer's state, or its method is not clear.
        OptionError: if an option is unknown or out of range, or ``to`` has other groups.
    """
    check_layout(state_dict, "convert_state()")
    target = name_class(to, "convert_state(to=)")
    source = name_class(from_, "convert_state(from_=)") if from_ is not None else find_method(state_dict)
    saved = state_dict["param_groups"]
    wanted = _target_options(to, target, source, saved, options)
    groups: list[dict[str, Any]] = []
    state: dict[Any, dict[str, Any]] = {}
    lines: list[Carried] = []
    for group, goal in zip(saved, wanted, strict=True):
        before, after = Side(source.rule, {**source.rule.defaults, **group}), Side(target.rule, goal)
        done = group.get("updates", updates)
        groups.append(_write_group(group, before, after, None if isinstance(to, Optimizer) else set(options), done))
        for key in group["params"]:
            entry = state_dict["state"].get(key)
            if entry:
                made, told = _convert_entry(before, after, entry, math.inf if done is None else float(done))
                state.update({key: made} if made else {})
                lines += told
    lost = [k for k in ("lr", "weight_decay") if k in saved[0] and k not in groups[0]]
    anew = shared.list_keys(target.rule) if source.rule.formula is not target.rule.formula else []
    lines += [Carried(k, "new", "begins at its start, one number for many tensors", 0) for k in anew]
    left = f"of {source.__name__}, not carried: the loading optimizer's applies"
    lines += [Carried(f"{k}={saved[0][k]!r}", "dropped", left, 0) for k in lost]
    return Conversion({"state": state, "param_groups": groups}, source.__name__, target.__name__, tuple(tally(lines)))


@dataclass(frozen=True)
class Side:
    """A method under the options of a group.

    Args:
        rule: the method.
        options: its hyper-parameters, and whatever else the group has.
        dims: number of the parameter's axes, on which the states of factored methods depend.
    """

    rule: Rule
    options: Options
    dims: int = 2

    @property
    def meanings(self) -> dict[str, Meaning]:
        """What its states mean; one that is not listed is a quantity of its own formula's."""
        name = self.rule.formula.__name__
        known = MEANINGS.get(name, {})
        states = self.rule.list_states(self.dims).values()
        return {s.key: known.get(s.key, Meaning(f"{s.key} of {name}")) for s in states}

    def list_states(self) -> list[State]:
        """The states that it keeps under these options: SGD without momentum has no buffer."""
        optional = [s for s in self.rule.list_states(self.dims).values() if s.optional]
        keeps = [self.meanings[s.key].keep for s in optional]
        used = [s for s, keep in zip(optional, keeps, strict=True) if keep is None or number(self.options, keep) != 0.0]
        return required_states(self.rule, dict(self.options), self.dims) + used


def _target_options(
    to: Method, target: type[Optimizer], source: type[Optimizer], saved: list[dict[str, Any]], given: dict[str, Any]
) -> list[dict[str, Any]]:
    """The options under which each group's states are written.

    Raises:
        OptionError: if the optimizer has other groups, or options contradict it.
        UnknownOptionError: if no option has a given name.
    """
    rule = target.rule
    if isinstance(to, Optimizer):
        if given:
            what = f"convert_state(): the optimizer has its own options, so {sorted(given)} cannot be given"
            raise OptionError(message(what, do="Write them into its groups, or pass its class"))
        sizes, own = [len(g["params"]) for g in saved], [len(g["params"]) for g in to.param_groups]
        if sizes != own:
            raise OptionError(
                message(f"convert_state(): the state's groups hold {sizes} parameters", allowed=f"{own}, as in to=")
            )
        return [dict(group) for group in to.param_groups]
    known = option_checks.group_defaults(rule)
    for name in given:
        if name not in known:
            raise UnknownOptionError(f"{target.__name__} has no option {name!r}. {did_you_mean(name, known)}")
    same = [
        {k: v for k, v in group.items() if k in rule.hypers} if source.rule.formula is rule.formula else {}
        for group in saved
    ]
    merged = [{**known, **carried, **given} for carried in same]
    for carried, group in zip(same, merged, strict=True):
        if group.get("momentum_form") == "classical" and "lr" not in {*carried, *given}:
            what = "convert_state(): momentum_form='classical' keeps a velocity of steps, whose size follows lr"
            raise OptionError(message(what, do="Pass lr=, or the optimizer that will load the state"))
    return [option_checks.check_group(rule, group, f"convert_state(to={target.__name__!r})") for group in merged]


def _write_group(
    own: Mapping[str, Any], before: Side, after: Side, given: set[str] | None, updates: int | None
) -> dict[str, Any]:
    """A group of the converted state. What it leaves out stays the loading optimizer's own.

    Args:
        own: the source's.
        before: the source.
        after: the target.
        given: options that were given for the target; None if it is an optimizer, whose own apply.
        updates: how many were done, if that is known.
    """
    group: dict[str, Any] = {k: deepcopy(own[k]) for k in ("params", "param_names") if k in own}
    if before.rule.formula is not after.rule.formula:  # what a group holds for all its tensors begins anew
        begun = {k: after.options[k] for k in shared.list_keys(after.rule) if k in after.options}
        group |= begun | shared.start_values(after.rule, {**after.options}, [])
    if updates is not None:
        group["updates"] = int(updates)
    if before.rule.formula is after.rule.formula:
        group |= {key: deepcopy(own[key]) for key in shared.list_keys(before.rule) if key in own}
    if given is None:
        return group | {k: after.options[k] for k in after.rule.hypers}
    group |= {k: own[k] for k in (*option_checks.STORAGE, "grokfast") if k in own}  # those that have states
    if before.rule.formula is after.rule.formula:
        kinds = {option_checks.resolve_decay(s.rule, {"decay": None, **s.options}) for s in (before, after)}
        decay = {"decay", "decoupled_weight_decay"} | ({"weight_decay"} if len(kinds) > 1 else set())
        left = decay if before.rule is not after.rule else set[str]()
        group |= {k: deepcopy(v) for k, v in own.items() if k not in {*group, *left}}
    written = {*after.rule.hypers, *given} - ({"lr", "weight_decay"} - given)
    return group | {k: v for k, v in after.options.items() if k in written}


def _convert_entry(
    before: Side, after: Side, entry: Mapping[str, Any], updates: float
) -> tuple[dict[str, Any], list[Carried]]:
    """One parameter's states in the target's form, and what they were made of; empty if it has to begin anew."""
    woven = {k: v for k, v in entry.items() if k in WOVEN_STATES and isinstance(v, Tensor)}
    kept = {k: v for k, v in entry.items() if k not in {"step", *woven} and isinstance(v, Tensor)}
    t = read_number(entry, "step", before.rule.name) if "step" in entry else updates
    dims = max((v.dim() for v in kept.values()), default=1) or 1
    before, after = replace(before, dims=dims), replace(after, dims=dims)
    read = _read(before, kept, t)
    like = next((as_real(v) for v in kept.values() if v.dim()), torch.zeros(()))
    states = after.list_states()
    found = {s.key: find(after.meanings[s.key].quantity, _arrange(read, after, s.key), like, t) for s in states}
    lacking = [s.key for s in states if found[s.key] is None and not s.optional]
    if lacking or not any(k and k.origins for k in found.values()):
        why = f"nothing in {before.rule.name} stands for {lacking[0]}" if lacking else "no state has a counterpart"
        return {}, [Carried("everything", "new", why, 1)]
    corrected = any(after.meanings[key].corrected(after.options) for key, k in found.items() if k)
    steps = min([t, *(k.steps for k in found.values() if corrected and k and k.steps is not None)])
    if math.isinf(steps):
        steps = max(1.0 / (1.0 - k.keep) for _, k in read)
    steps = float(round(steps))
    made: dict[str, Any] = {"step": torch.tensor(steps)} if after.rule.counts else {}
    lines: list[Carried] = []
    for state in states:
        k = found[state.key]
        lines.append(_describe(state.key, k, after))
        if k is not None:
            value = _write(before, after, state.key, k, kept, t, steps)
            paired = state.rate == "coordinate" and any(v.is_complex() for v in kept.values())
            made[state.key] = torch.view_as_complex(value.contiguous()) if paired else value
    for key, value in woven.items():
        made[key] = value.detach().clone()
        lines.append(Carried(key, "exact", "woven around the method, whichever it is", 1))
    used = {o for k in found.values() if k for o in k.origins}
    unused = f"{after.rule.name} keeps nothing of the kind"
    lines += [Carried(key, "dropped", unused, 1) for key in kept if key not in used]
    if after.rule.counts and steps != t:
        lines.append(Carried("step", "approximate", f"{steps:.0f}, as many as the states stand for", 1))
    return made, lines


def _describe(key: str, found: Known | None, after: Side) -> Carried:
    """A line of the report. A mean that fades at another rate is the same thing, averaged over another span."""
    if found is None:
        return Carried(key, "new", "begins with the next gradient", 1)
    keep = after.meanings[key].keep
    share = number(after.options, keep) if keep else found.keep
    if found.grade == "exact" and found.origins and found.keep != share:
        return Carried(key, "approximate", f"{found}; a step kept {found.keep:g} of it and keeps {share:g} now", 1)
    weights = after.meanings[key].weights(after.options)
    if found.grade == "exact" and found.origins and found.weights != weights:
        return Carried(key, "approximate", f"{found}; gradients were weighed: {found.weights}; now: {weights}", 1)
    return Carried(key, found.grade, str(found), 1)


def _read(before: Side, kept: Mapping[str, Tensor], t: float) -> list[tuple[str, Known]]:
    """The quantities that a method's states hold."""
    read: list[tuple[str, Known]] = []
    for key in [k for k in before.meanings if k in kept]:
        meaning, value = before.meanings[key], as_real(kept[key].detach())
        scale = meaning.scale(before.options, t)
        if scale != 0.0 and math.isfinite(scale):
            value = value.float() if value.dtype in (torch.float16, torch.bfloat16) else value
            share = number(before.options, meaning.keep) if meaning.keep else 0.0
            quantity = (value - meaning.offset(before.options)) / scale
            read.append((meaning.quantity, Known(quantity, (key,), share, meaning.weights(before.options))))
    return read


def _arrange(read: list[tuple[str, Known]], after: Side, key: str) -> dict[str, Known]:
    """By quantity; of several means of the same (AggMo's), the one that fades most nearly as the target's state."""
    keep = after.meanings[key].keep
    share = number(after.options, keep) if keep else 1.0
    return dict(sorted(reversed(read), key=lambda item: -abs(item[1].keep - share)))


def _write(
    before: Side, after: Side, key: str, found: Known, kept: Mapping[str, Tensor], t: float, steps: float
) -> Tensor:
    """A state in the target's form; copied as it is, to the bit, where both forms are the same."""
    meaning = after.meanings[key]
    scale, offset = meaning.scale(after.options, t), meaning.offset(after.options)
    if meaning.corrected(after.options) or math.isinf(scale):
        scale = meaning.scale(after.options, steps)
    if found.grade == "exact" and found.origins:
        origin = before.meanings[found.origins[0]]
        if (origin.scale(before.options, t), origin.offset(before.options)) == (scale, offset):
            return as_real(kept[found.origins[0]].detach()).clone()
    return found.value * scale + offset
