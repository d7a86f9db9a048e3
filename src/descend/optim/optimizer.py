"""The optimizer: the one step loop of every method, with the whole surface of ``torch.optim.Optimizer``."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.optim.optimizer as torch_optimizer
from torch import Tensor

from descend.errors import OptionError, ParameterError, message
from descend.lang.rule import Rule
from descend.optim import checkpoint, evaluation, groups, hooks, nonfinite, options, shared
from descend.optim.arguments import check_closure
from descend.optim.clock import Clock
from descend.optim.load_report import LoadReport
from descend.optim.look_ahead import LookAhead
from descend.optim.lost_updates import LostUpdates
from descend.optim.states import StateTable

# What steps and explains is imported when it is first asked for, so that importing descend stays quick.
if TYPE_CHECKING:
    from descend.optim.batches import Unit
    from descend.optim.explain import Explanation, PassCost
    from descend.optim.metrics import Metrics
    from descend.optim.missed_rows import MissedRows
    from descend.optim.row_unit import RowUnit
    from descend.optim.step_plan import StepPlan


class Optimizer(evaluation.TwoPoints, torch.optim.Optimizer):
    """Base of every method: steps the parameters of a rule. Make subclasses with ``descend.optimizer(rule)``.

    Args:
        params: tensors, ``(name, tensor)`` pairs, groups as in torch, or a module.
        given: options that were passed, by name; the others take their defaults.

    Attributes:
        skipped: steps that ``on_nonfinite="skip"`` or a ``GradScaler`` has skipped.
        nonfinite: by the parameter's name, how many elements of its gradients were not finite.
    """

    rule: ClassVar[Rule]
    _step_supports_amp_scaling = True

    def __init__(self, params: Any, **given: Any) -> None:
        name = type(self).__name__
        given = options.translate(self.rule, given, name)
        self.wide = options.check_wide({k: v for k, v in given.items() if k in options.WIDE}, name)
        own = {k: v for k, v in given.items() if k not in options.WIDE}
        self.defaults = {**options.group_defaults(self.rule), **options.check_group(self.rule, own, name)}
        self._reset()
        self.param_groups: list[dict[str, Any]] = []
        self.state = {}
        for group in groups.collect(params, name):
            self.param_groups.append(self._make_group(group))
        groups.refuse_duplicates(self.param_groups, name)
        evaluation.remind(self, params)

    def _reset(self) -> None:
        """What is never saved: hooks, the plan, counters."""
        hooks.open_tables(self)
        self._plan: StepPlan | None = None
        self._missed: dict[Tensor, MissedRows] = {}
        self._repeat: Callable[[], int] | None = None
        self.clock = Clock()
        self._lost_updates = LostUpdates()
        self.look_ahead = LookAhead(self)
        self.skipped = 0
        self.skipped_in_a_row = 0
        self.nonfinite: dict[str, int] = {}
        self._zero_grad_profile_name = f"Optimizer.zero_grad#{type(self).__name__}.zero_grad"
        self._warned_capturable_if_run_uncaptured = True

    def _drop_plan(self) -> None:
        """The next step is planned anew; nothing of the old plan is held."""
        if self._plan is not None:
            self._plan.repetition.drop()
        self._plan = None

    @property
    def state(self) -> StateTable:
        """Each parameter's states by key, as in torch; edits, replacements and moves are noticed."""
        if not self._state.handed_out:
            self._state.handed_out = True
            self._state.changed()
        return self._state

    @state.setter
    def state(self, states: Any) -> None:
        self._state = StateTable(self._drop_plan, states)
        self._drop_plan()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with options of their own.

        Args:
            param_group: ``params`` and any of the rule's and torch's options; ``start="now"`` lets the group's
                schedules begin at 0 now instead of following the optimizer's clock.

        Raises:
            ParameterError: if the parameters cannot be served or stand in two groups.
            OptionError: if an option is unknown or out of range.
        """
        evaluation.refuse_step(self)
        made = self._make_group(param_group)
        groups.refuse_duplicates([*self.param_groups, made], type(self).__name__)
        self.param_groups.append(made)
        self._drop_plan()

    def _make_group(self, param_group: dict[str, Any]) -> dict[str, Any]:
        """A checked group with every option filled in."""
        name = f"{type(self).__name__}, group {len(self.param_groups)}"
        if not isinstance(param_group, dict) or "params" not in param_group:
            raise OptionError(message(f"{name}: a group", got=param_group, allowed='a dict with the key "params"'))
        group = options.translate(self.rule, param_group, name, self.defaults["decay"])
        tensors, names = groups.split_names(group.pop("params"), group.pop("param_names", None), name)
        start = group.pop("start", "clock")
        kept = {k: group.pop(k) for k in (*options.GROUP_ONLY, *shared.list_keys(self.rule)) if k in group}
        made: dict[str, Any] = {"params": tensors, **kept}
        if names is not None:
            made["param_names"] = names
        made |= {**self.defaults, **options.check_group(self.rule, {**self.defaults, **group}, name)}
        labels = [groups.label_of(made, len(self.param_groups), i) for i in range(len(tensors))]
        groups.check_tensors(tensors, labels, bool(made["differentiable"]), name)
        self.clock.adopt(made, start, name)
        return evaluation.start_mode(self.rule) | made | shared.start_values(self.rule, made, self.param_groups)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient.

        Args:
            closure: reevaluates the model and returns the loss; optional.

        Returns:
            What the closure returned, else None.

        Raises:
            OptionError: if a value written into a group is not allowed, or ``closure`` is no function.
            ParameterError: if a gradient cannot be served.
            NonFiniteError: if ``on_nonfinite`` asks to stop.
        """
        if closure is None and self._repeat is not None and (outcome := self._repeat()):
            return self._note(outcome) if outcome > 1 else None  # the usual is quicker without another call
        arguments: hooks.Arguments = ((self,) if closure is None else (self, closure), {})
        if self._optimizer_step_pre_hooks or torch_optimizer._global_optimizer_pre_hooks:
            first = chain(torch_optimizer._global_optimizer_pre_hooks.values(), self._optimizer_step_pre_hooks.values())
            arguments, closure = hooks.run_before(first, self, arguments)
        if self.rule.evaluation:
            evaluation.refuse_step(self)
        loss = None
        if closure is not None:
            check_closure(closure, type(self).__name__)
            with self.look_ahead.move() if self.look_ahead.wanted else nullcontext(), torch.enable_grad():
                loss = closure()
        if self.look_ahead.possible:
            self.look_ahead.use()
        self._step()
        if self._optimizer_step_post_hooks or torch_optimizer._global_optimizer_post_hooks:
            self._optimizer_step_code()
            for hook in chain(
                self._optimizer_step_post_hooks.values(),
                torch_optimizer._global_optimizer_post_hooks.values(),
            ):
                hook(self, *arguments)
        return loss

    step.hooked = True  # type: ignore[attr-defined]  # hooks are run above; torch's wrapper costs 10 us a step

    def _step(self) -> None:
        own = self.__dict__  # a GradScaler sets these two for a step, and must not find them otherwise
        found, scale = own.get("found_inf"), own.get("grad_scale")
        if found is not None and float(found) != 0.0:
            self.skipped += 1
            return
        moves = self.clock.write(self.param_groups)
        plan = self._find_plan(scale is not None)
        if moves and (outcome := plan.repetition.take(plan)):
            return self._note(outcome)
        plan, units = self._take_gradients(plan)
        if not moves:  # a learning rate of 0 for one step: states come to be, nothing moves
            return
        if not units:
            self.clock.retract()
            return
        plan.begin(units, scale)
        guarded = self.wide["on_nonfinite"] != "apply"
        for index in range(plan.passes):
            for unit in units:
                unit.runner.run(index)
            if plan.shared.exist:
                plan.shared.gather(index)
            if index == 0 and plan.totals[0] != 0.0:
                plan.totals[0] = 0.0
                if guarded:
                    self.clock.retract()
                    for unit in units:
                        unit.release()
                nonfinite.meet(self, units)
                if guarded:
                    return
        self.skipped_in_a_row = 0
        if plan.shared.exist:
            plan.shared.store()
        for unit in units:
            unit.commit()
        self.clock.advance()
        plan.repetition.arm(plan, units)
        if plan.counts_lost:
            self._lost_updates.judge(units, type(self).__name__, self.clock.updates)

    def _note(self, outcome: int) -> None:
        """Compiled code has taken the step, with this ``Outcome``."""
        from descend.backends.cpu.repetition_template import Outcome

        self.clock.settle()
        if outcome == Outcome.NOT_FINITE:
            nonfinite.meet(self, self._plan.units if self._plan else [])

    def _find_plan(self, scaled: bool) -> "StepPlan":
        """A plan that holds for the groups' present values."""
        plan, counted = self._plan, self.clock.updates == self._lost_updates.at
        if plan is not None and plan.unscales == scaled and plan.counts_lost == counted and plan.notice_changes():
            return plan
        return self._make_plan(scaled)

    def _take_gradients(self, plan: "StepPlan") -> "tuple[StepPlan, list[Unit | RowUnit]]":
        """The plan, or a new one if it does not hold for this step's gradients; and its batches that have some."""
        plan.repetition.disarm()
        units = plan.take()
        if units is None:
            plan = self._make_plan(plan.unscales)
            units = plan.take()
            assert units is not None, "a plan holds for the step that it was made for"
        return plan, units

    def _make_plan(self, unscales: bool) -> "StepPlan":
        from descend.optim.step_plan import StepPlan

        self._drop_plan()
        updates = self.clock.updates
        self._plan = plan = StepPlan(self, unscales, updates == self._lost_updates.at)
        self._lost_updates.follow(plan, updates)
        return plan

    def ahead(self) -> AbstractContextManager[None]:
        """Within the block the parameters of groups with ``nesterov="lookahead"`` are at the point ahead.

        Gradients computed there are the next step's; ``step(closure)`` does the same by itself::

            with optimizer.ahead():
                loss(model(x), y).backward()
            optimizer.step()

        Raises:
            OptionError: on entering, if no group looks ahead.
            ParameterError: on leaving, if no gradient was computed within.
        """
        return self.look_ahead.move()

    def catch_up(self, parameter: Tensor | None = None, rows: Tensor | None = None) -> None:
        """Let rows take the steps that sparse gradients left them out of, so that they are as if gradients were dense.

        ``state_dict()`` does so for all. Before evaluating or saving the model call it yourself; for a forward pass
        that reads nothing stale, pass the rows that it will read.

        Args:
            parameter: of an embedding; None for all.
            rows: their numbers, integers of any shape; None for all.

        Raises:
            ParameterError: if the parameter is none of this optimizer's.
        """
        if parameter is not None and not any(p is parameter for group in self.param_groups for p in group["params"]):
            what, allowed = f"{type(self).__name__}.catch_up(parameter)", "a parameter of this optimizer"
            raise ParameterError(message(what, got=type(parameter).__name__, allowed=allowed))
        for p, missed in self._missed.items():
            if parameter is None or p is parameter:
                missed.catch_up(None if rows is None else torch.as_tensor(rows).unique())

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Reset all gradients.

        Args:
            set_to_none: drop them instead of filling them with zeros.
        """
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if set_to_none:
                    p.grad = None
                elif p.grad.grad_fn is not None:
                    p.grad = p.grad.detach().zero_()
                else:
                    p.grad.requires_grad_(False).zero_()

    def explain(self) -> "Explanation":
        """Which backend serves which tensors and why, bytes of state, bytes moved a step."""
        from descend.optim.explain import explain

        return explain(self, self._plan or self._make_plan(False))

    @property
    def metrics(self) -> "Metrics":
        """The last step in numbers: norms of gradients, parameters and updates, per tensor and per group.

        Raises:
            OptionError: without ``metrics=True``, or before the first step.
        """
        from descend.optim.metrics import read_metrics

        return read_metrics(self, self._plan.units if self._plan else [])

    @classmethod
    def cost(cls, **options: Any) -> "list[PassCost]":
        """Bytes and operations a coordinate of each pass, for float32 parameters.

        Args:
            options: hyper-parameters off their defaults, such as ``momentum=0.9``.
        """
        from descend.optim.explain import price

        return price(cls.rule, **options)

    def state_bytes(self) -> int:
        """Bytes of state that the optimizer holds now."""
        kept = [t for s in self._state.values() for k, t in s.items() if isinstance(t, Tensor) and k != "step"]
        kept += [m.taken for m in self._missed.values()]
        return sum(t.numel() * t.element_size() for t in kept) + shared.count_bytes(self.rule, self.param_groups)

    def state_dict(self, *, copy: bool = True) -> dict[str, Any]:
        """The state as torch lays it out, which loads here and in torch.

        Args:
            copy: whether tensors are copied; False is for code that writes them away at once.
        """
        return checkpoint.save(self, copy=copy)

    def load_state_dict(  # pyright: ignore[reportIncompatibleMethodOverride]  # torch's returns None
        self, state_dict: dict[str, Any], strict: bool = True
    ) -> LoadReport:
        """Load a state of this method, saved here or by torch. Tensors are copied, dtypes of states kept.

        Parameters are matched by name where both sides have names, else by place. A state of another method goes
        through :func:`descend.convert_state` first.

        Args:
            state_dict: what ``state_dict()`` gave.
            strict: refuse it, and change nothing, if parameters or states are missing, unexpected or of another
                shape. ``False`` loads what fits; a parameter whose state does not fit begins anew.

        Returns:
            What did not fit, what was narrowed and which options were changed; prints as a table.

        Raises:
            CheckpointError: if the state does not fit, or belongs to another method.
        """
        return checkpoint.load(self, state_dict, strict=strict)

    def __getstate__(self) -> dict[str, Any]:
        self.catch_up()
        return {
            "defaults": self.defaults,
            "wide": self.wide,
            "param_groups": self.param_groups,
            "state": {p: dict(s) for p, s in self.state.items()},  # tensors alone, not their watchers
            "updates": self.clock.updates,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({k: state[k] for k in ("defaults", "wide", "param_groups")})
        self._reset()
        self.clock.resume(state["updates"], self.param_groups)
        self.state = state["state"]  # pyright: ignore[reportIncompatibleVariableOverride]

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {k}: {group[k]}" for k in sorted(group) if k not in ("params", "lr_start", "lr_max")]
        return "\n".join([*lines, ")"])
