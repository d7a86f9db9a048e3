"""The plan of a step: which batches there are, which structure each group has, and which numbers each row holds."""

from collections.abc import Mapping
from dataclasses import replace
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from descend.backends.cpu import runner as cpu
from descend.errors import BackendError, OptionError, ParameterError, message
from descend.lang.fold import build_program, fold_zeros, split_options
from descend.lang.rule import Rule
from descend.lang.trace import Structure
from descend.optim.batches import Unit
from descend.optim.groups import label_of
from descend.optim.options import check_group, resolve_decay
from descend.optim.states import state_dtype

if TYPE_CHECKING:
    from descend.optim.optimizer import Optimizer


class StepPlan:
    """Everything about a step that stays until a group's structure, a parameter's place or a state changes.

    Args:
        optimizer: whose step.
        unscale: whether gradients carry a loss scale.
    """

    def __init__(self, optimizer: "Optimizer", unscale: bool) -> None:
        self.rule: Rule = optimizer.rule
        self.unscale = unscale
        self._wide = optimizer.wide
        self._scales = [1.0]
        self._optimizer = optimizer
        self._owner = type(optimizer).__name__
        self._keys = list(dict.fromkeys([*self.rule.hypers, "weight_decay", "decay", "maximize", "differentiable"]))
        self._getter = itemgetter(*self._keys)
        self._seen = [self._getter(g) for g in optimizer.param_groups]
        for i, values in enumerate(self._seen):
            check_group(self.rule, dict(zip(self._keys, values, strict=True)), f"{self._owner}, group {i}")
        self._live = [any(_is_live(v) for v in seen) for seen in self._seen]
        self._structures = [self.structure(g) for g in optimizer.param_groups]
        self.units = self._make_units()
        self.members = [list(g["params"]) for g in optimizer.param_groups]
        self.passes = max((len(u.program.passes) for u in self.units), default=0)
        self.totals = self._make_totals()

    def structure(self, group: dict[str, Any]) -> Structure:
        """The structure of a group: which branches its formula takes, which zeros fold away."""
        fixed, numbers = split_options(self.rule, group)
        wide = self._wide
        structure = Structure(
            options=fixed,
            decay=resolve_decay(self.rule, group),
            maximize=bool(group["maximize"]),
            unscale=self.unscale,
            clip_norm=wide["clip_norm"] is not None,
            clip_value=wide["clip_value"] is not None,
            guard=wide["on_nonfinite"] != "apply",
        )
        moving = group.get("schedules", {})
        own = structure.decay == "own"
        zeros = {
            k for k, v in numbers.items() if not isinstance(v, Tensor) and v == 0 and k not in moving and k != "lr"
        }
        zeros = frozenset(z for z in zeros if own or z != "weight_decay")
        folded = fold_zeros(self.rule, structure, zeros)
        dropped = set(build_program(self.rule, structure).states) - set(build_program(self.rule, folded).states)
        keys = {self.rule.states[letter].key for letter in dropped}
        in_use = any(keys & self._optimizer.state[p].keys() for p in group["params"] if p in self._optimizer.state)
        return structure if in_use else folded

    def notice_changes(self) -> bool:
        """Take over group values that were written since the last step.

        Returns:
            Whether the plan still holds; if not, it must be made anew.

        Raises:
            OptionError: if a written value is not allowed.
        """
        groups = self._optimizer.param_groups
        if len(groups) != len(self._seen):
            return False
        for i, group in enumerate(groups):
            members = self.members[i]
            if len(group["params"]) != len(members) or not all(
                a is b for a, b in zip(group["params"], members, strict=True)
            ):
                return False
            values = self._getter(group)
            if self._live[i] or values != self._seen[i]:
                check_group(self.rule, dict(zip(self._keys, values, strict=True)), f"{self._owner}, group {i}")
                self._seen[i] = values
                self._live[i] = any(_is_live(v) for v in values)
                if not self._still_serves(self._structures[i], group):
                    return False
                self.refresh(group)
        return True

    def refresh(self, group: dict[str, Any]) -> None:
        """Write a group's numbers into the rows of every batch."""
        for unit in self.units:
            for i, own in enumerate(unit.rows.groups):
                if own is group:
                    unit.rows.refresh(i)

    def refresh_wide(self, scale: float) -> None:
        """Write the whole optimizer's numbers, after one of them has changed."""
        self._scales[0] = scale
        for group in self._optimizer.param_groups:
            self.refresh(group)

    def zero_totals(self) -> None:
        """Forget the last step's sums over all tensors."""
        if isinstance(self.totals, np.ndarray):
            self.totals.fill(0.0)
        else:
            self.totals = [0.0] * len(self.totals)

    def read_numbers(self, group: dict[str, Any]) -> dict[str, Any]:
        """A group's numbers by the name of their host input."""
        _, numbers = split_options(self.rule, group)
        numbers["weight_decay"] = group["weight_decay"]
        lr = numbers.get("lr", 0.0)
        plain = float(lr.detach()) if isinstance(lr, Tensor) else float(lr)
        start = float(group.get("initial_lr", group["lr_start"]))
        numbers["lr_ratio"] = plain / start if start else 0.0
        group["lr_max"] = max(group["lr_max"], plain)
        numbers["lr_over_max"] = plain / group["lr_max"] if group["lr_max"] else 0.0
        numbers["clip_norm"], numbers["clip_value"] = (
            self._wide["clip_norm"] or 0.0,
            self._wide["clip_value"] or 0.0,
        )
        numbers["grad_scale"] = self._scales[0]
        return numbers

    def _still_serves(self, structure: Structure, group: dict[str, Any]) -> bool:
        """Whether the program made for a structure serves a group's present values."""
        fixed, numbers = split_options(self.rule, group)
        left = {z for z in structure.zeros if isinstance(numbers.get(z), Tensor) or numbers.get(z) != 0}
        now = replace(structure, options=fixed, decay=resolve_decay(self.rule, group), maximize=bool(group["maximize"]))
        return not left and now == structure

    def _make_units(self) -> list[Unit]:
        optimizer = self._optimizer
        buckets: dict[tuple[Any, ...], list[tuple[Tensor, tuple[int, dict[str, Any], str]]]] = {}
        for i, (group, structure) in enumerate(zip(optimizer.param_groups, self._structures, strict=True)):
            for j, p in enumerate(group["params"]):
                label = label_of(group, i, j)
                self._check_dtype(p, label)
                backend, reason = choose_backend(p, group, self._wide["backend"], label)
                key = (p.device, p.dtype, structure, backend, reason, bool(group["differentiable"]))
                buckets.setdefault(key, []).append((p, (i, group, label)))
        return [self._make_unit(key, entries) for key, entries in buckets.items()]

    def _make_unit(self, key: tuple[Any, ...], entries: list[tuple[Tensor, tuple[int, dict[str, Any], str]]]) -> Unit:
        _, _, structure, backend, reason, differentiable = key
        program = build_program(self.rule, structure)
        params = [p for p, _ in entries]
        state = self._optimizer.state
        steps = torch.tensor(
            [float(state[p].get("step", 0.0)) if p in state else 0.0 for p in params], dtype=torch.float32
        )
        keys = {letter: self.rule.states[letter].key for letter in program.states}
        states = {letter: [state[p].get(k) if p in state else None for p in params] for letter, k in keys.items()}
        unit = Unit(
            self.rule,
            program,
            [m for _, m in entries],
            params,
            steps,
            states,
            backend,
            reason,
            self.read_numbers,
            state,
            differentiable,
        )
        for j, p in enumerate(params):
            if p in state:
                state.adopt(p, "step", steps[j])
        return unit

    def _make_totals(self) -> Any:
        sizes = {len(u.program.totals) for u in self.units}
        if len(sizes) > 1:
            raise OptionError(
                message(
                    f"{self.rule.name}: groups whose options differ take different sums over all tensors",
                    do="Give every group the same structural options",
                )
            )
        size = max(sizes, default=0)
        return np.zeros(size) if any(u.backend == "cpu" for u in self.units) else [0.0] * size

    def _check_dtype(self, p: Tensor, label: str) -> None:
        """A parameter whose dtype changed under its states is refused: they would silently have another meaning."""
        state = self._optimizer.state.get(p, {})
        for rule_state in self.rule.states.values():
            kept = state.get(rule_state.key)
            if kept is not None and rule_state.rate == "coordinate" and kept.dtype != state_dtype(p):
                raise ParameterError(
                    message(
                        f"{label} has become {p.dtype} while its {rule_state.key!r} is {kept.dtype}",
                        do="Change the dtype first, make the optimizer afterwards; load_state_dict() carries the state",
                    )
                )
            if kept is not None and rule_state.rate == "coordinate" and kept.shape != p.shape:
                raise ParameterError(
                    message(
                        f"{label} has shape {tuple(p.shape)} while its {rule_state.key!r} has {tuple(kept.shape)}",
                        do="Make a new optimizer for the new parameter",
                    )
                )


def choose_backend(p: Tensor, group: Mapping[str, Any], wanted: str, label: str) -> tuple[str, str]:
    """The backend of a parameter, and why, in words.

    Raises:
        BackendError: if the wanted backend cannot serve it.
    """
    obstacle = "differentiable=True was asked for" if group["differentiable"] else cpu.serves(p)
    if wanted == "cpu" and obstacle:
        raise BackendError(f'backend="cpu" cannot step {label}: {obstacle}. Use backend="auto" or backend="eager".')
    if wanted == "eager":
        return "eager", 'backend="eager" was asked for'
    return ("eager", obstacle) if obstacle else ("cpu", "dense tensors in this machine's memory")


def _is_live(value: Any) -> bool:
    """Whether a value can change without being replaced."""
    return isinstance(value, Tensor) or (isinstance(value, tuple) and any(isinstance(v, Tensor) for v in value))
