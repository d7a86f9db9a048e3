"""Saving and loading an optimizer's state: torch's layout, matched by name where names exist, checked."""

import warnings
from collections.abc import Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from descend.errors import CheckpointError, message
from descend.lang.fold import build_program, split_options
from descend.lang.rule import Rule, State
from descend.lang.trace import Structure
from descend.lang.woven import list_hypers, list_states
from descend.optim import evaluation, hooks, options, shared
from descend.optim.groups import label_of
from descend.optim.load_report import Finding, LoadReport, refuse_misfits
from descend.optim.names import align
from descend.optim.numbers import plain
from descend.optim.state_layout import check_layout, read_count
from descend.optim.states import empty_state, state_dtype, state_shape

if TYPE_CHECKING:
    from descend.optim.optimizer import Optimizer

NOWHERE = -1
"""The number of a parameter that a checkpoint does not have."""
_OURS = ("params", "param_names", "decoupled_weight_decay", "updates")
"""Keys of a saved group that do not replace this optimizer's."""
Pair = tuple[Tensor, int, str, int]
"""A parameter, its number in the checkpoint (``NOWHERE`` for none), what messages call it, and its group."""


def save(optimizer: "Optimizer", *, copy: bool) -> dict[str, Any]:
    """The state as torch lays it out.

    Args:
        optimizer: whose.
        copy: whether tensors are copied.
    """
    optimizer.catch_up()
    for hook in optimizer._optimizer_state_dict_pre_hooks.values():
        hook(optimizer)
    numbers: dict[int, int] = {}
    packed = []
    for group in optimizer.param_groups:
        for p in group["params"]:
            numbers.setdefault(id(p), len(numbers))
        extra = {
            "updates": optimizer.clock.updates,
            "decoupled_weight_decay": options.resolve_decay(optimizer.rule, group) == "decoupled",
        }
        alike = {k: plain(group[k]) for k in shared.list_keys(optimizer.rule)}
        own = {k: deepcopy(v) for k, v in group.items() if k != "params" and k not in alike} | alike
        packed.append({**own, **extra, "params": [numbers[id(p)] for p in group["params"]]})
    state: dict[int, dict[str, Any]] = {}
    kept = optimizer._state if copy else optimizer.state  # what is not copied is handed out
    for group in optimizer.param_groups:
        for p in group["params"]:
            entry = _pack(optimizer.rule, kept.get(p), copy)
            if entry:
                state[numbers[id(p)]] = entry
    result: dict[str, Any] = {"state": state, "param_groups": packed}
    return hooks.amend(optimizer._optimizer_state_dict_post_hooks.values(), optimizer, result)


def _pack(rule: Rule, own: Mapping[str, Any] | None, copy: bool) -> dict[str, Any]:
    """One parameter's states under torch's keys."""
    return {
        k: (v.clone() if copy or k == "step" else v) if isinstance(v, Tensor) else v
        for k, v in (own or {}).items()
        if k != "step" or rule.counts
    }


def required_states(rule: Rule, group: dict[str, Any], dims: int) -> list[State]:
    """The states that a checkpoint must have for a group's options and a parameter of so many axes."""
    fixed, _ = split_options(rule, group)
    program = build_program(rule, Structure(options=fixed, decay=options.resolve_decay(rule, group), dims=dims))
    return [s for s in map(rule.find_state, program.states) if not s.optional]


def load(optimizer: "Optimizer", state_dict: dict[str, Any], *, strict: bool) -> LoadReport:
    """Load a state. The optimizer is left as it was if it is refused.

    Args:
        optimizer: whose.
        state_dict: torch's layout.
        strict: refuse a state that does not fit everywhere; else load what fits, and the rest begins anew.

    Raises:
        CheckpointError: if it belongs to other parameters or to another method.
    """
    name = type(optimizer).__name__
    if isinstance(state_dict, Mapping):
        state_dict = hooks.amend(optimizer._optimizer_load_state_dict_pre_hooks.values(), optimizer, dict(state_dict))
    check_layout(state_dict, name)
    saved, findings = state_dict["param_groups"], list[Finding]()
    pairs = _pair(optimizer, saved, findings)
    sources = _source_groups(optimizer, saved, pairs, findings)
    made = [_load_group(optimizer, i, s, bool(state_dict["state"]), findings) for i, s in enumerate(sources)]
    findings += shared.load_values(optimizer, [g for g, _ in made], saved, pairs, bool(state_dict["state"]))
    states: dict[Tensor, dict[str, Any]] = {}
    for p, key, label, index in pairs:
        (group, same), entry = made[index], state_dict["state"].get(key)
        loaded = _load_state(optimizer.rule, group, p, entry, label, findings) if entry and same else None
        if loaded is not None:
            states[p] = loaded
        elif state_dict["state"]:
            findings.append(Finding("anew", label, "begins without a state"))
    if strict:
        refuse_misfits(name, findings)
    narrowed = [f"{f.name} {f.what}" for f in findings if f.kind == "narrowed"]
    if narrowed:
        warnings.warn(
            f"{name}: states were narrowed on loading: {', '.join(narrowed[:5])}.",
            RuntimeWarning,
            stacklevel=3,
        )
    updates = _count_updates(saved[0], states)
    for i, (group, (new, _)) in enumerate(zip(optimizer.param_groups, made, strict=True)):
        findings += _list_changes(optimizer.rule, i, group, new)
        group.clear()
        group.update(new)
    optimizer._state.clear()
    optimizer._missed.clear()
    for p, entry in states.items():
        optimizer._state[p] = entry
    optimizer.clock.resume(updates, optimizer.param_groups)
    for hook in optimizer._optimizer_load_state_dict_post_hooks.values():
        hook(optimizer)
    return LoadReport(name, sum(len(g["params"]) for g in optimizer.param_groups), len(states), tuple(findings))


def _count_updates(saved: Mapping[str, Any], states: Mapping[Tensor, dict[str, Any]]) -> int:
    """How many updates the checkpoint's optimizer had done; torch's does not say, but each parameter counts."""
    done = max((float(s["step"]) for s in states.values()), default=0.0)
    return read_count({"updates": done, **saved}, "updates", "group 0")


def match(optimizer: "Optimizer", saved: list[dict[str, Any]], *, strict: bool) -> list[Pair]:
    """Which saved number belongs to which parameter: by name where both sides have names, else by place.

    Raises:
        CheckpointError: if groups or names do not fit; without ``strict`` only where there are no names.
    """
    findings: list[Finding] = []
    pairs = _pair(optimizer, saved, findings)
    if strict:
        refuse_misfits(type(optimizer).__name__, findings)
    return pairs


def _pair(optimizer: "Optimizer", saved: list[dict[str, Any]], findings: list[Finding]) -> list[Pair]:
    """Match what can be matched, and note the rest.

    Raises:
        CheckpointError: if there are no names and the numbers of parameters differ.
    """
    ours, name = optimizer.param_groups, type(optimizer).__name__
    entries = [
        (p, label_of(g, i, j), i, (g.get("param_names") or [None] * len(g["params"]))[j])
        for i, g in enumerate(ours)
        for j, p in enumerate(g["params"])
    ]
    if all("param_names" in g for g in (*ours, *saved)):
        keys = {str(n): k for g in saved for n, k in zip(g["param_names"], g["params"], strict=True)}
        wanted, found = align([str(n) for *_, n in entries], keys)
        do = "Rename the checkpoint's param_names, or save and load with the same model"
        for missing in sorted(wanted.keys() - found.keys()):
            findings.append(Finding("missing", repr(missing), "no parameter of this name is in the checkpoint", do))
        for unexpected in sorted(found.keys() - wanted.keys()):
            findings.append(Finding("unexpected", repr(unexpected), "no parameter of this name is here", do))
        if len(ours) != len(saved):
            what = f"the checkpoint has {len(saved)} parameter groups, {len(ours)} here"
            findings.append(Finding("mismatched", "groups", what, "Make the optimizer with the same groups"))
        number = {name: keys[found[plain]] for plain, name in wanted.items() if plain in found}
        return [(p, number.get(str(n), NOWHERE), label, i) for p, label, i, n in entries]
    if len(ours) != len(saved):
        raise CheckpointError(
            message(
                f"{name}: the checkpoint has {len(saved)} parameter groups",
                allowed=f"{len(ours)}, as here",
                do="Make the optimizer with the same groups, and from model.named_parameters() to match by name",
            )
        )
    for i, (own, other) in enumerate(zip(ours, saved, strict=True)):
        if len(own["params"]) != len(other["params"]):
            raise CheckpointError(
                message(
                    f"{name}: group {i} of the checkpoint has {len(other['params'])} parameters",
                    allowed=f"{len(own['params'])}, as here",
                    do="Make the optimizer from model.named_parameters() to match by name",
                )
            )
    numbers = [k for g in saved for k in g["params"]]
    return [(p, k, label, i) for (p, label, i, _), k in zip(entries, numbers, strict=True)]


def _source_groups(
    optimizer: "Optimizer", saved: list[dict[str, Any]], pairs: list[Pair], findings: list[Finding]
) -> list[dict[str, Any] | None]:
    """The saved group whose options each group takes: that of its place.

    Where the numbers of groups differ, it is the one that all its parameters come from.
    """
    if len(saved) == len(optimizer.param_groups):
        return list(saved)
    group_of = {k: i for i, g in enumerate(saved) for k in g["params"]}
    sources: list[dict[str, Any] | None] = []
    for index in range(len(optimizer.param_groups)):
        found = sorted({group_of[k] for _, k, _, i in pairs if i == index and k in group_of})
        sources.append(saved[found[0]] if len(found) == 1 else None)
        if len(found) != 1:
            what = f"keeps its options: its parameters come from {len(found)} groups of the checkpoint"
            findings.append(Finding("mismatched", f"group {index}", what, "Make the optimizer with the same groups"))
    return sources


def _load_group(
    optimizer: "Optimizer", index: int, saved: dict[str, Any] | None, started: bool, findings: list[Finding]
) -> tuple[dict[str, Any], bool]:
    """A group with the checkpoint's options, and whether the checkpoint's states mean here what they meant there.

    An option that decides the meaning of a state and that the checkpoint does not mention takes the rule's
    default: a checkpoint of torch holds torch's kind of momentum.
    """
    rule, where = optimizer.rule, f"{type(optimizer).__name__}, group {index} of the checkpoint"
    own = optimizer.param_groups[index]
    if saved is None:
        return dict(own), True
    known = {*optimizer.defaults, *shared.list_keys(rule)}
    from descend.optim.catalogue import list_every_hyper  # it imports this module

    foreign = [k for k in saved if k not in known and k in list_every_hyper()]
    if foreign:
        raise CheckpointError(
            message(
                f"{where} has the options {foreign}, which {rule.name} does not have: it belongs to another method",
                do="Load it into an optimizer of its own method, or convert it with descend.convert_state",
            )
        )
    new, same = dict(own), True
    if started:
        new |= {k: h.default for k, h in rule.hypers.items() if h.structural}
    new |= {k: v for k, v in deepcopy(saved).items() if k not in _OURS}
    new |= {k: own[k] for k in ("rounding", "ema") if new[k] is None}  # switched on since, or never chosen
    if "decay" not in saved and "decoupled_weight_decay" in saved:
        new["decay"] = "decoupled" if saved["decoupled_weight_decay"] and rule.decay != "decoupled" else None
    if "lr_start" not in saved:
        new["lr_start"] = new["lr_max"] = float(new.get("initial_lr", new.get("lr", 0.0)))
    if "schedules" not in saved:
        for key in ("lr",) if "lr" in own.get("schedules", {}) else ():
            new[key] = own[key]
    for state in rule.states.values() if started else ():
        if state.meaning and new[state.meaning] != own[state.meaning]:
            what = (
                f"is {new[state.meaning]!r} in the checkpoint, under which {state.key!r} means another thing than "
                f"under {own[state.meaning]!r}, as here"
            )
            do = f"Make the optimizer with {state.meaning}={new[state.meaning]!r}, or use descend.convert_state"
            findings.append(Finding("mismatched", f"{state.meaning} of group {index}", what, do))
            new[state.meaning] = own[state.meaning]
            same = False
    for key in list_hypers(rule):
        if isinstance(new[key], list):
            new[key] = tuple(new[key])
    options.check_group(rule, {k: v for k, v in new.items() if k in optimizer.defaults}, where)
    return new, same


def _list_changes(rule: Rule, index: int, own: dict[str, Any], new: dict[str, Any]) -> list[Finding]:
    """The options that loading changes."""
    keys = [k for k in (*rule.hypers, "weight_decay", "decay", "maximize") if k in new and k in own]
    told = [(k, str(own[k]), str(new[k])) for k in dict.fromkeys(keys)]
    return [Finding("changed", f"{k} of group {index}", f"{a} -> {b}") for k, a, b in told if a != b]


def _load_state(
    rule: Rule, group: dict[str, Any], p: Tensor, saved: Mapping[str, Any], label: str, findings: list[Finding]
) -> dict[str, Any] | None:
    """One parameter's states, copied, in this optimizer's dtypes; None if keys or shapes do not fit.

    A state of which a part is missing is left out whole: moments that do not belong to each other, or to the count of
    steps, make steps of any size.
    """
    dims = max(p.dim(), 1)
    known = {s.key: s for s in list_states(rule, dims).values() if s.find_axes(dims) is not None and not s.shared}
    away = [] if group.get(evaluation.MODE, True) else [evaluation.KEY]
    known |= {key: State(key) for key in away}
    unknown = sorted(k for k, v in saved.items() if k not in known and k != "step" and v is not None)
    present = {k for k, v in saved.items() if v is not None}
    missing = sorted({*(s.key for s in required_states(rule, group, dims)), *away} - present)
    do = f"{rule.name} has {', '.join(['step', *known])}; descend.convert_state converts another method's state"
    if unknown:
        findings.append(Finding("unexpected", label, f"states of another method or of other options: {unknown}", do))
    if missing:
        findings.append(Finding("missing", label, f"states that are not in the checkpoint: {missing}", do))
    step = _read_tensor(saved.get("step", 1.0 if saved else 0.0), "step", label, number=True)
    loaded: dict[str, Any] = {"step": step.to(torch.float32)}
    fits = not missing
    for key, value in saved.items():
        if key not in known or value is None:
            continue
        if known[key].rate == "tensor":
            loaded[key] = _read_tensor(value, key, label, number=True)
            continue
        tensor = _read_tensor(value, key, label)
        shape = state_shape(known[key], p)
        if tensor.shape != shape:
            what = f"{key!r} has shape {tuple(tensor.shape)} in the checkpoint, {shape} here"
            findings.append(Finding("mismatched", label, what, "Load into the model that it was saved from"))
            fits = False
            continue
        dtype = p.dtype if key in away else state_dtype(p)
        if torch.promote_types(tensor.dtype, dtype) != dtype:
            findings.append(Finding("narrowed", f"{key} of {label}", f"from {tensor.dtype} to {dtype}"))
        loaded[key] = empty_state(known[key], p).to(dtype).copy_(tensor)
    return loaded if fits else None


def _read_tensor(value: Any, key: str, label: str, *, number: bool = False) -> Tensor:
    """A saved value without its graph; one number as a float64 copy on the host.

    Raises:
        CheckpointError: if it is no tensor, or not one number where that is wanted.
    """
    try:
        tensor = torch.as_tensor(value).detach()
        return tensor.to("cpu", torch.float64, copy=True).reshape(()) if number else tensor
    except (TypeError, ValueError, RuntimeError) as error:
        allowed = "one number" if number else "a tensor"
        raise CheckpointError(message(f"The checkpoint's {key!r} of {label}", got=value, allowed=allowed)) from error
