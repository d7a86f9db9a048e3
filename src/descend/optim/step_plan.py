"""The plan of a step: which batches there are, which structure each group has, and what has changed since."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from operator import is_, itemgetter
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from descend.backends.cpu import runner as cpu
from descend.backends.cpu.inspection.contents import Contents, can_look_inside
from descend.backends.cpu.tiles.short_axes import choose_inner, list_short
from descend.errors import BackendError, OptionError, ParameterError, message
from descend.lang.fold import build_program, fold_zeros, split_options
from descend.lang.program import Program
from descend.lang.rule import Rule
from descend.lang.symbol import describe
from descend.lang.trace import Structure
from descend.lang.woven import BY_ROWS, find_woven, list_hypers, list_states
from descend.optim.batches import Moved, Unit
from descend.optim.groups import label_of, refuse_duplicates
from descend.optim.memory import Spans
from descend.optim.numbers import Numbers
from descend.optim.options import STORAGE, check_changed, check_group, holds_schedule, refuse_missing, resolve_decay
from descend.optim.repetition import Repetition
from descend.optim.row_unit import RowUnit, is_sparse
from descend.optim.shared import SharedValues
from descend.optim.states import StateTable, fit_state, state_dtype, state_shape
from descend.storage.noise import BLOCK
from descend.storage.rounding import NARROW

if TYPE_CHECKING:
    from descend.optim.optimizer import Optimizer

_PARAMS = itemgetter("params")
_STILL = frozenset((float, int, bool, str, type(None)))  # asking for these first is quicker than for what is live
Entry = tuple[Tensor, tuple[int, dict[str, Any], str]]


class StepPlan:
    """Everything about a step that stays until a group's structure, a parameter's place or a state changes.

    Args:
        optimizer: whose step.
        unscales: whether gradients carry a loss scale.
        counts_lost: whether the updates that rounding takes away are counted.
    """

    def __init__(self, optimizer: "Optimizer", unscales: bool, counts_lost: bool) -> None:
        self.rule: Rule = optimizer.rule
        self.unscales, self.counts_lost = unscales, counts_lost
        self.numbers = Numbers(self.rule, optimizer.wide)
        self._optimizer = optimizer
        self._wide = optimizer.wide
        self._owner = type(optimizer).__name__
        hypers = list_hypers(self.rule)
        self._keys = list(dict.fromkeys([*hypers, "weight_decay", "decay", *STORAGE, "maximize", "differentiable"]))
        self._getter = itemgetter(*self._keys)
        groups = optimizer.param_groups
        refuse_duplicates(groups, self._owner)
        self._spans = Spans(p for g in groups for p in g["params"])
        for i, values in enumerate(self._read_groups(groups)):
            check_group(self.rule, dict(zip(self._keys, values, strict=True)), f"{self._owner}, group {i}")
            optimizer.clock.take_over(i, groups[i])
        self._seen = self._read_groups(groups)
        self.live = self._find_live()
        self._structures = [self.structure(g) for g in groups]
        self.differentiable = any(g["differentiable"] for g in groups)
        self.units = self._make_units()
        self.rounds_unasked = any(p.dtype in NARROW for g in groups if g["rounding"] is None for p in g["params"])
        self.batches = [unit for unit in self.units if isinstance(unit, Unit)]
        self.compiled = any(unit.backend == "cpu" for unit in self.units) and can_look_inside()
        self._groups, self._lists = groups, list(map(_PARAMS, groups))
        self._members = Contents([groups, *self._lists], self.compiled)
        self._values = Contents(groups, self.compiled)
        self.contents = (self._members, self._values)
        self.shared = SharedValues(self.rule, self.batches, groups, self._owner)
        self.passes = max((len(u.program.passes) for u in self.units), default=0)
        self.totals = self._make_totals()
        self._no_totals = [0.0] * len(self.totals)
        self._clears = len(self.totals) > 1  # the first is the number of non-finite gradients: it is 0 once read
        self.repetition = Repetition(optimizer, self)

    def structure(self, group: dict[str, Any]) -> Structure:
        """The structure of a group: which branches its formula takes, which zeros fold away."""
        fixed, numbers = split_options(self.rule, group)
        structure = Structure(
            options=fixed,
            decay=resolve_decay(self.rule, group),
            maximize=bool(group["maximize"]),
            unscale=self.unscales,
            clip_norm=self._wide["clip_norm"] is not None,
            clip_value=self._wide["clip_value"] is not None,
            guard=self._wide["on_nonfinite"] != "apply",
            watch=self._wide["metrics"],
            rounding=group["rounding"],
            ema=group["ema"] is not None,
            woven=find_woven(group),
        )
        still = {"lr", *group.get("schedules", {}), *(() if structure.decay == "own" else ("weight_decay",))}
        zeros = frozenset(k for k, v in numbers.items() if k not in still and not isinstance(v, Tensor) and v == 0)
        folded = fold_zeros(self.rule, structure, zeros)
        dropped = set(build_program(self.rule, structure).states) - set(build_program(self.rule, folded).states)
        keys = {list_states(self.rule, structure.dims)[letter].key for letter in dropped}
        in_use = any(keys & self._optimizer._state[p].keys() for p in group["params"] if p in self._optimizer._state)
        return structure if in_use else folded

    def take(self) -> list[Unit | RowUnit] | None:
        """Take over a step's gradients.

        Returns:
            The batches that have some; None if the plan no longer holds and must be made anew.

        Raises:
            ParameterError: if a gradient cannot be served.
        """
        active: list[Unit | RowUnit] = []
        try:
            for unit in self.units:
                if unit.take():
                    active.append(unit)
        except Moved:
            return None
        return active

    def notice_changes(self) -> bool:
        """Take over group values that were written since the last step.

        Returns:
            Whether the plan still holds; if not, it must be made anew.

        Raises:
            OptionError: if a written value is not allowed.
        """
        groups = self._groups
        if self._optimizer.param_groups is not groups or not self._members.are_same():
            return False
        touched = not self._values.are_same()
        if not touched and not self.live:
            return True
        if not all(map(is_, map(_PARAMS, groups), self._lists)):
            return False
        present = self._read_groups(groups)
        live = bool(self.live)
        for i in self._find_edited(present):
            pairs = zip(self._keys, present[i], self._seen[i], strict=True)
            changed = {k: a for k, a, b in pairs if a is not b or (i in self.live and _is_live(a))}
            live = live or any(map(_is_live, changed.values()))
            check_changed(self.rule, changed, groups[i], f"{self._owner}, group {i}")
            if holds_schedule(changed) or not self._still_serves(self._structures[i], groups[i], changed):
                return False
            self.refresh(groups[i])
        if touched:
            self._values.renew()
        self._seen = present
        if live:
            self.live = self._find_live()
        return True

    def refresh(self, group: dict[str, Any]) -> None:
        """Write a group's numbers into the rows of every batch."""
        for unit in self.units:
            unit.rows.refresh(group)

    def begin(self, units: list[Unit | RowUnit], scale: Tensor | None) -> None:
        """Start a step, without the last one's sums and with present values of what all tensors share.

        Args:
            units: the batches that step.
            scale: of the loss, where gradients carry one.
        """
        if scale is not None and float(scale) != self.numbers.scale:
            self.numbers.scale = float(scale)
            for group in self._optimizer.param_groups:
                self.refresh(group)
        if self._clears:
            self.totals[:] = self._no_totals
        for unit in units:
            unit.begin(self.totals)
        if self.shared.exist:
            self.shared.begin()

    def _read_groups(self, groups: list[dict[str, Any]]) -> list[Any]:
        try:
            return list(map(self._getter, groups))
        except KeyError as error:
            name = error.args[0]
            index = next(i for i, group in enumerate(groups) if name not in group)
            raise refuse_missing(f"{self._owner}, group {index}", name) from None

    def _find_edited(self, present: list[Any]) -> list[int]:
        """Groups with a value that has been written, or may have changed."""
        pairs = enumerate(zip(present, self._seen, strict=True))
        return [i for i, (new, old) in pairs if i in self.live or not all(map(is_, new, old))]

    def _find_live(self) -> frozenset[int]:
        """Groups with a value that can change without being replaced."""
        return frozenset(i for i, values in enumerate(self._seen) if any(map(_is_live, values)))

    def _still_serves(self, structure: Structure, group: dict[str, Any], changed: dict[str, Any]) -> bool:
        """Whether the program made for a structure serves a group's changed values."""
        hypers = self.rule.hypers
        plain = all(k in hypers and not hypers[k].structural and not hypers[k].optional for k in changed)
        if plain and not structure.zeros:
            return True
        self._refuse_new_meaning(group, changed)
        if "differentiable" in changed or "sparse" in changed:
            return False
        fixed, numbers = split_options(self.rule, group)
        if any(isinstance(numbers.get(z), Tensor) or numbers.get(z) != 0 for z in structure.zeros):
            return False
        decay, maximize = resolve_decay(self.rule, group), bool(group["maximize"])
        now = {"rounding": group["rounding"], "ema": group["ema"] is not None, "woven": find_woven(group)}
        return structure == replace(structure, options=fixed, decay=decay, maximize=maximize, **now)

    def _refuse_new_meaning(self, group: dict[str, Any], changed: dict[str, Any]) -> None:
        """Refuse an option that would give the states that exist another meaning."""
        for own in self.rule.states.values():
            if own.meaning in changed and any(own.key in self._optimizer._state.get(p, {}) for p in group["params"]):
                raise OptionError(
                    message(
                        f"{self._owner}: {own.meaning} was changed to {changed[own.meaning]!r} while {own.key!r} holds "
                        "values of the other kind",
                        do=f"Delete {own.key!r} from optimizer.state to begin it anew, or make a new optimizer",
                    )
                )

    def _make_units(self) -> list[Unit | RowUnit]:
        buckets: dict[tuple[Any, ...], list[Entry]] = {}
        alone: list[Unit | RowUnit] = []
        missed = self._optimizer._missed
        for i, (group, structure) in enumerate(zip(self._optimizer.param_groups, self._structures, strict=True)):
            wide, narrow = self._fit(structure)
            for j, p in enumerate(group["params"]):
                label = label_of(group, i, j)
                self._check_states(p, label)
                own = fit_structure(self.rule, narrow if p.dtype in NARROW else wide, p)
                backend, reason = choose_backend(p, group, self._wide["backend"], label, build_program(self.rule, own))
                if is_sparse(p) or (p.grad is None and p in missed):
                    alone.append(self._make_row_unit(own, backend, p, (i, group, label)))
                    continue
                if p in missed:
                    missed.pop(p).catch_up()
                key = (p.device, p.dtype, own, backend, reason, bool(group["differentiable"]))
                buckets.setdefault(key, []).append((p, (i, group, label)))
        return [*(self._make_unit(key, entries) for key, entries in buckets.items()), *alone]

    def _make_row_unit(
        self, structure: Structure, backend: str, p: Tensor, member: tuple[int, dict[str, Any], str]
    ) -> RowUnit:
        home = cast(StateTable, self._optimizer._state)
        for declared in build_program(self.rule, structure).declared.values():
            fit_state(declared, p, home)
        return RowUnit(
            rule=self.rule,
            structure=structure,
            member=member,
            p=p,
            steps=torch.tensor([float(home[p].get("step", 0.0)) if p in home else 0.0], dtype=torch.float32),
            backend=backend,
            read=partial(self.numbers.read, dtype=p.dtype),
            home=home,
            missed=self._optimizer._missed,
        )

    def _fit(self, structure: Structure) -> tuple[Structure, Structure]:
        """A group's structure for parameters that are stored as they are computed, and for those that are rounded."""
        count = self.counts_lost and structure.rounding is None
        return replace(structure, rounding=None), replace(structure, narrow=True, count_lost=count)

    def _make_unit(self, key: tuple[Any, ...], entries: list[Entry]) -> Unit:
        _, _, structure, backend, reason, differentiable = key
        program = build_program(self.rule, structure)
        params = [p for p, _ in entries]
        home = cast(StateTable, self._optimizer._state)
        done = [float(home[p].get("step", 0.0)) if p in home else 0.0 for p in params]
        steps = torch.tensor(done, dtype=torch.float32)
        states = {letter: [fit_state(s, p, home) for p in params] for letter, s in program.declared.items()}
        for j, p in enumerate(params):
            if p in home:
                home.adopt(p, "step", steps[j])
        return Unit(
            rule=self.rule,
            program=program,
            members=[m for _, m in entries],
            params=params,
            steps=steps,
            states=states,
            backend=backend,
            reason=reason,
            read=partial(self.numbers.read, dtype=params[0].dtype),
            home=home,
            spans=self._spans,
            differentiable=differentiable,
        )

    def _make_totals(self) -> Any:
        # by the groups' options alone: what a matrix adds up may be written otherwise than what a vector does
        kinds = {tuple(map(describe, build_program(self.rule, s).totals)) for s in self._structures}
        if len(kinds) > 1:
            raise OptionError(
                message(
                    f"{self._owner}: groups whose options differ take different sums over all tensors",
                    do="Give every group the same structural options",
                )
            )
        if len({u.program.find_passes(u.program.totals) for u in self.units}) > 1:
            what = f"{self._owner}: tensors of different numbers of axes add up over all tensors in different passes"
            raise OptionError(message(what, do="Give tensors with other numbers of axes optimizers of their own"))
        size = max(map(len, kinds), default=0)
        return np.zeros(size) if any(u.backend == "cpu" for u in self.units) else [0.0] * size

    def _check_states(self, p: Tensor, label: str) -> None:
        """Refuse a parameter that changed under its states: they would silently have another meaning."""
        state = self._optimizer._state.get(p, {})
        for own in list_states(self.rule, max(p.dim(), 1)).values():
            kept = state.get(own.key)
            if kept is None or own.rate == "tensor":
                continue
            if kept.dtype != state_dtype(p):
                raise ParameterError(
                    message(
                        f"{label} has become {p.dtype} while its {own.key!r} is {kept.dtype}",
                        do="Change the dtype first, make the optimizer afterwards; load_state_dict() carries the state",
                    )
                )
            if kept.shape != state_shape(own, p):
                raise ParameterError(
                    message(
                        f"{label} has shape {tuple(p.shape)} while its {own.key!r} has {tuple(kept.shape)}",
                        do="Make a new optimizer for the new parameter",
                    )
                )


def fit_structure(rule: Rule, structure: Structure, p: Tensor) -> Structure:
    """A group's structure for one of its parameters: the number of axes decides where the formula looks at it.

    Where it looks at rows and columns too, so do axes of length 1, such as those of 1 x 1 convolutions: along them
    there is nothing to add up. Not where that would drop a state or take a sum over many tensors in another pass.
    """
    if not (rule.sees_dims or structure.woven & BY_ROWS):
        return structure
    fitted = replace(structure, dims=max(p.dim(), 1))
    program = build_program(rule, fitted)
    if not program.axes or p.is_complex() or is_sparse(p) or not p.is_contiguous():
        return fitted
    inner = choose_inner(p.shape)
    fitted = replace(fitted, inner=inner, short=list_short(p.shape, inner))
    lean = replace(fitted, singletons=frozenset(d for d, n in enumerate(p.shape) if n == 1))
    other = build_program(rule, lean)
    kept, left = ((set(made.states), made.find_passes((*made.totals, *made.group_sums))) for made in (program, other))
    return lean if left == kept else fitted


def choose_backend(p: Tensor, group: Mapping[str, Any], wanted: str, label: str, program: Program) -> tuple[str, str]:
    """The backend of a parameter, and why, in words.

    Raises:
        BackendError: if the wanted backend cannot serve it.
        ParameterError: if no backend can.
    """
    if program.axes and p.is_complex():
        raise ParameterError(
            message(
                f"{label} is complex, and the step takes values of rows or columns, which are not defined for pairs",
                do="Optimize torch.view_as_real() of it, or use a method without rows and columns, and neither "
                "centralize= nor clip_adaptive=",
            )
        )
    obstacle = "differentiable=True was asked for" if group["differentiable"] else cpu.serves(p)
    if program.axes and not obstacle and not p.is_contiguous():
        obstacle = "its rows do not follow one another in memory"
    if program.axes and not obstacle and p.numel() > 1 << BLOCK:
        obstacle = "a row may lie in two blocks of the random numbers for rounding"
    if wanted == "cpu" and obstacle:
        raise BackendError(f'backend="cpu" cannot step {label}: {obstacle}. Use backend="auto" or backend="eager".')
    if wanted == "eager":
        return "eager", 'backend="eager" was asked for'
    return ("eager", obstacle) if obstacle else ("cpu", "dense tensors in this machine's memory")


def _is_live(value: Any) -> bool:
    """Whether a value can change without being replaced."""
    if type(value) in _STILL:
        return False
    return isinstance(value, Tensor) or (isinstance(value, tuple) and any(isinstance(v, Tensor) for v in value))
