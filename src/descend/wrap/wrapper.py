"""The base of optimizers around an optimizer: groups, state, hooks, scaling and checkpoints of the inner one."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from descend.errors import CheckpointError, OptionError, ParameterError, message
from descend.optim import checkpoint, hooks
from descend.optim.arguments import check_closure
from descend.optim.groups import label_of
from descend.optim.load_report import Finding, LoadReport, refuse_misfits
from descend.optim.optimizer import Optimizer
from descend.optim.state_layout import check_layout

_SAME_MODEL = "Load into the model that it was saved from"


class Wrapper(torch.optim.Optimizer):
    """An optimizer that steps another one, whose groups and state are its own.

    ``param_groups``, ``state``, ``defaults`` and what a ``GradScaler`` writes are the inner optimizer's: a scheduler
    built on either sees the same. Hooks registered here run around the whole step, those of the inner optimizer and
    torch's global ones around the inner step.

    Args:
        optimizer: the inner optimizer, of descend, of torch, or another wrapper.

    Attributes:
        optimizer: the inner optimizer.
    """

    _per_parameter: tuple[str, ...] = ()
    """Beginnings of the keys under which a wrapper adds tensors to a parameter's entry in ``state_dict()``."""
    _per_group: Mapping[str, Any] = MappingProxyType({})
    """Keys that it adds to each group there, each with its value at the beginning."""
    _indivisible = False
    """Whether what it keeps for some parameters is of no use without the rest."""
    _outermost = False
    """Whether no wrapper may stand around it."""
    _evaluates = False
    """Whether a step evaluates the whole batch itself."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise ParameterError(
                message(
                    f"{type(self).__name__}: optimizer",
                    got=optimizer.__name__ if isinstance(optimizer, type) else type(optimizer).__name__,
                    allowed="an optimizer that holds parameters, as in descend.AdamW(model.parameters())",
                )
            )
        if isinstance(optimizer, Wrapper) and optimizer._outermost:
            inner = type(optimizer).__name__
            raise OptionError(message(f"{type(self).__name__} around {inner}", do=f"Make {inner} the outermost one"))
        self.optimizer = optimizer
        self._reset()

    def _reset(self) -> None:
        hooks.open_tables(self)
        self._warned_capturable_if_run_uncaptured = True

    @property
    def param_groups(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The inner optimizer's groups."""
        return self.optimizer.param_groups

    @property
    def state(self) -> Any:  # type: ignore[override]
        """The inner optimizer's state."""
        return self.optimizer.state

    @property
    def defaults(self) -> dict[str, Any]:
        """The inner optimizer's defaults."""
        return self.optimizer.defaults

    @property
    def _step_supports_amp_scaling(self) -> bool:
        return bool(getattr(self.optimizer, "_step_supports_amp_scaling", False))

    @property
    def grad_scale(self) -> Any:
        """The loss scale that a ``GradScaler`` lends for one step."""
        return self.optimizer.grad_scale  # type: ignore[attr-defined]

    @grad_scale.setter
    def grad_scale(self, value: Any) -> None:
        self.optimizer.grad_scale = value  # type: ignore[attr-defined]

    @grad_scale.deleter
    def grad_scale(self) -> None:
        del self.optimizer.grad_scale  # type: ignore[attr-defined]

    @property
    def found_inf(self) -> Any:
        """Whether a ``GradScaler`` has found infinite gradients, lent for one step."""
        return self.optimizer.found_inf  # type: ignore[attr-defined]

    @found_inf.setter
    def found_inf(self, value: Any) -> None:
        self.optimizer.found_inf = value  # type: ignore[attr-defined]

    @found_inf.deleter
    def found_inf(self) -> None:
        del self.optimizer.found_inf  # type: ignore[attr-defined]

    @property
    def _inner_evaluates(self) -> bool:
        """Whether the inner optimizer evaluates the whole batch itself, at other points than the present one."""
        inner = self.optimizer
        if isinstance(inner, Wrapper):
            return inner._evaluates or inner._inner_evaluates
        return inner.look_ahead.wanted if isinstance(inner, Optimizer) else isinstance(inner, torch.optim.LBFGS)

    @property
    def _inner_copies(self) -> bool:
        """Whether the inner optimizer copies tensors when it saves and loads; torch's shares them."""
        return isinstance(self.optimizer, Optimizer | Wrapper)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group to the inner optimizer."""
        self.optimizer.add_param_group(param_group)

    def eval(self) -> None:
        """Put the parameters to where the model is measured, if the inner optimizer trains elsewhere."""
        if isinstance(self.optimizer, Optimizer | Wrapper):
            self.optimizer.eval()

    def train(self) -> None:
        """Put the parameters back to where gradients are taken."""
        if isinstance(self.optimizer, Optimizer | Wrapper):
            self.optimizer.train()

    def evaluation(self) -> AbstractContextManager[None]:
        """Within the block the parameters are where the model is used, whatever the inner optimizer."""
        return self.optimizer.evaluation() if isinstance(self.optimizer, Optimizer | Wrapper) else nullcontext()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Reset all gradients.

        Args:
            set_to_none: drop them instead of filling them with zeros.
        """
        self.optimizer.zero_grad(set_to_none)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Step the inner optimizer, and do what the wrapper is for.

        Args:
            closure: reevaluates the model and returns the loss.

        Returns:
            What the closure returned, else None.

        Raises:
            OptionError: if ``closure`` is no function.
        """
        check_closure(closure, type(self).__name__)
        arguments: hooks.Arguments = ((self, closure), {})
        arguments, closure = hooks.run_before(self._optimizer_step_pre_hooks.values(), self, arguments)
        loss = self._step(closure)
        for hook in self._optimizer_step_post_hooks.values():
            hook(self, *arguments)
        return loss

    step.hooked = True  # type: ignore[attr-defined]  # torch's global hooks run once, in the inner step

    def _step(self, closure: Callable[[], Any] | None) -> Any:
        raise NotImplementedError

    def _step_inner(self, closure: Callable[[], Any] | None = None) -> tuple[Any, bool]:
        """Step the inner optimizer.

        Returns:
            What the closure returned, else None; and whether the step was taken, not skipped.
        """
        found = getattr(self.optimizer, "found_inf", None)
        before = count_updates(self.optimizer)
        loss = self.optimizer.step() if closure is None else self.optimizer.step(closure)
        if before is None:
            return loss, found is None or float(found) == 0.0
        return loss, count_updates(self.optimizer) != before

    def _save_parameter(self, p: Tensor) -> dict[str, Tensor]:
        """What the wrapper keeps for a parameter, by key."""
        return {}

    def _save_group(self) -> dict[str, Any]:
        """What the wrapper keeps once, by key."""
        return {}

    def _load(self, parameters: dict[Tensor, dict[str, Tensor]], group: dict[str, Any]) -> None:
        """Take over what ``_save_parameter`` and ``_save_group`` gave."""

    def state_dict(self) -> dict[str, Any]:
        """The inner optimizer's state in torch's layout; what the wrapper keeps stands in the same entries.

        All tensors are copies.
        """
        for hook in self._optimizer_state_dict_pre_hooks.values():
            hook(self)
        inner = self.optimizer.state_dict()
        state = {number: dict(e) if self._inner_copies else deepcopy(e) for number, e in inner["state"].items()}
        groups = [{**deepcopy(group), **self._save_group()} for group in inner["param_groups"]]
        for own, saved in zip(self.param_groups, groups, strict=True):
            for p, number in zip(own["params"], saved["params"], strict=True):
                kept = self._save_parameter(p)
                if kept:
                    state[number] = {**state.get(number, {}), **{k: v.clone() for k, v in kept.items()}}
        result: dict[str, Any] = {**inner, "state": state, "param_groups": groups}
        return hooks.amend(self._optimizer_state_dict_post_hooks.values(), self, result)

    def load_state_dict(  # pyright: ignore[reportIncompatibleMethodOverride]  # torch's returns None
        self, state_dict: dict[str, Any], strict: bool = True
    ) -> LoadReport:
        """Load a state that the same kind of wrapper around the same kind of optimizer has saved. Tensors are copied.

        Args:
            state_dict: what ``state_dict()`` gave.
            strict: refuse it, and change nothing, if anything does not fit. ``False`` loads what fits: what the wrapper
                keeps begins anew where it is missing or of another shape, so that the inner optimizer's own state
                loads too; the inner optimizer does as its own ``strict=False`` says, one of torch refuses as ever.

        Returns:
            What did not fit, the wrapper's part first, then the inner optimizer's report.

        Raises:
            CheckpointError: if it does not fit, or is another optimizer's. Nothing is changed then.
        """
        name = type(self).__name__
        if isinstance(state_dict, Mapping):
            state_dict = hooks.amend(self._optimizer_load_state_dict_pre_hooks.values(), self, dict(state_dict))
        check_layout(state_dict, name)
        inner, kept = self._split(state_dict)
        findings: list[Finding] = []
        numbers = self._match_numbers(inner["param_groups"], strict)
        parameters, group = self._fit(state_dict["param_groups"], kept, numbers, findings)
        if strict:
            refuse_misfits(name, findings)
        report = self._load_inner(inner, strict)
        self._load(parameters, group)
        for hook in self._optimizer_load_state_dict_post_hooks.values():
            hook(self)
        return replace(report, findings=(*findings, *report.findings))

    def _split(self, state_dict: dict[str, Any]) -> tuple[dict[str, Any], dict[int, dict[str, Tensor]]]:
        """The inner optimizer's part of a state, and the wrapper's tensors by parameter number."""
        state: dict[int, dict[str, Any]] = {}
        kept: dict[int, dict[str, Tensor]] = {}
        for number, entry in state_dict["state"].items():
            own = {k: v for k, v in entry.items() if self._per_parameter and k.startswith(self._per_parameter)}
            rest = {k: v for k, v in entry.items() if k not in own}
            if own:
                kept[number] = own
            if rest:
                state[number] = rest
        groups = [{k: v for k, v in g.items() if k not in self._per_group} for g in state_dict["param_groups"]]
        return {**state_dict, "state": state, "param_groups": groups}, kept

    def _match_numbers(self, saved: list[dict[str, Any]], strict: bool) -> list[tuple[Tensor, int, str]]:
        """Which saved number belongs to which parameter, as the inner optimizer matches them, and what it is called.

        Raises:
            CheckpointError: if groups or names do not fit.
        """
        innermost = unwrap(self)
        if isinstance(innermost, Optimizer):
            return [(p, number, label) for p, number, label, _ in checkpoint.match(innermost, saved, strict=strict)]
        own = self.param_groups
        sizes, wanted = [len(g["params"]) for g in saved], [len(g["params"]) for g in own]
        if sizes != wanted:
            raise CheckpointError(
                message(
                    f"{type(self).__name__}: the checkpoint's groups hold {sizes} parameters",
                    allowed=f"{wanted}, as here",
                    do="Make the optimizer with the same groups",
                )
            )
        return [
            (p, number, label_of(mine, i, j))
            for i, (mine, other) in enumerate(zip(own, saved, strict=True))
            for j, (p, number) in enumerate(zip(mine["params"], other["params"], strict=True))
        ]

    def _fit(
        self,
        saved: list[dict[str, Any]],
        kept: dict[int, dict[str, Tensor]],
        numbers: list[tuple[Tensor, int, str]],
        findings: list[Finding],
    ) -> tuple[dict[Tensor, dict[str, Tensor]], dict[str, Any]]:
        """What of the wrapper's part fits, for ``_load``; what does not is noted and begins anew."""
        name = type(self).__name__
        missing = [key for key in self._per_group if any(key not in group for group in saved)]
        what, do = f"{name} has not saved this checkpoint", f"Load it into {name}(...).optimizer"
        findings += [Finding("missing", repr(key), what, do) for key in missing]
        parameters: dict[Tensor, dict[str, Tensor]] = {}
        for p, number, label in numbers:
            entry = kept.get(number, {})
            wrong = {key: tuple(tensor.shape) for key, tensor in entry.items() if tensor.shape != p.shape}
            for key, shape in wrong.items():
                what, do = f"{key!r} has shape {shape} in the checkpoint, {tuple(p.shape)} here", _SAME_MODEL
                findings.append(Finding("mismatched", label, what, do))
            if entry and not wrong:
                parameters[p] = entry
        known = {number for _, number, _ in numbers}
        whole = not findings and checkpoint.NOWHERE not in known and kept.keys() <= known
        if missing or (self._indivisible and not whole):
            return {}, dict(self._per_group)
        return parameters, {key: saved[0][key] for key in self._per_group}

    def _load_inner(self, state: dict[str, Any], strict: bool) -> LoadReport:
        inner = self.optimizer
        if isinstance(inner, Optimizer | Wrapper):
            return inner.load_state_dict(state, strict)
        inner.load_state_dict(deepcopy(state))
        return LoadReport(type(inner).__name__, sum(len(g["params"]) for g in inner.param_groups), len(inner.state))

    def __getstate__(self) -> dict[str, Any]:
        skipped = {*hooks.TABLES, "step", "_warned_capturable_if_run_uncaptured"}
        return {k: v for k, v in self.__dict__.items() if k not in skipped}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()

    def _describe(self) -> str:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{self._describe()} of {self.optimizer!r}"


def unwrap(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """The optimizer inside all wrappers."""
    while isinstance(optimizer, Wrapper):
        optimizer = optimizer.optimizer
    return optimizer


def count_updates(optimizer: torch.optim.Optimizer) -> int | None:
    """Updates that an optimizer has done, skipped steps left out; None if it does not count them, as torch's."""
    innermost = unwrap(optimizer)
    return innermost.clock.updates if isinstance(innermost, Optimizer) else None


def count_processes() -> int:
    """How many processes train together."""
    distributed = torch.distributed
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1
