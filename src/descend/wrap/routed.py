"""Several methods in one optimizer: each parameter group goes to the method that it names."""

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import torch
from torch import Tensor

from descend.errors import CheckpointError, OptionError, message
from descend.lang.weave import CLIP_EPS
from descend.optim import groups, hooks
from descend.optim.arguments import check_closure, check_number
from descend.optim.catalogue import get
from descend.optim.load_report import LoadReport
from descend.optim.optimizer import Optimizer
from descend.optim.state_layout import check_layout
from descend.wrap.sam import multiply

ROUTE = "method"
"""The key of a group that names its method, when the optimizer is made and in its checkpoints."""


class Routed(torch.optim.Optimizer):
    """One optimizer made of several methods: matrices to one, the rest to another, each group to the one it names.

        parts = descend.groups(model, kinds={"weight": dict(method="Lion", lr=1e-4)}, lr=1e-3, weight_decay=0.1)
        optimizer = descend.Routed(parts, method="AdamW")
        print(optimizer.explain())

    Each method steps its groups as if it stood alone. Outside it is one optimizer: for schedules, which all read the
    same count of updates, for torch's schedulers, ``GradScaler``, checkpoints and the wrappers around an optimizer.

    Args:
        params: tensors, ``(name, tensor)`` pairs, groups as in torch or of :func:`descend.groups`, or a module. A
            group's ``method`` is a name such as ``"Lion"``, or a class of descend.
        method: of groups that name none.
        clip_norm: bound on the norm of all gradients together, > 0, which are scaled where they lie, as
            ``torch.nn.utils.clip_grad_norm_`` does; None for none.
        options: of all groups that do not set them; every method here must have them.

    Attributes:
        parts: the optimizer of each method, by its name.

    Raises:
        OptionError: if a method is unknown, an option is unknown to one of them, ``on_nonfinite`` would let one method
            step and another not, or a method takes its gradients elsewhere than it leaves the parameters
            (schedule-free ones, ``nesterov="lookahead"``).
        ParameterError: if the parameters cannot be served or stand in two groups.
    """

    _step_supports_amp_scaling = True

    def __init__(
        self,
        params: Any,
        method: str | type[Optimizer] = "AdamW",
        *,
        clip_norm: float | None = None,
        **options: Any,
    ) -> None:
        if options.get("on_nonfinite", "apply") != "apply":
            what = (
                f"Routed(on_nonfinite={options['on_nonfinite']!r}), which each method would judge by its own gradients"
            )
            raise OptionError(message(what, do="Look at descend.clip.find_nonfinite(model) before step()"))
        if clip_norm is not None:
            check_number("clip_norm", clip_norm, "Routed", low=0.0, open_low=True)
            if options.get("metrics"):
                what = "Routed(clip_norm=, metrics=True): each method would tell of gradients that are clipped already"
                raise OptionError(message(what, do="Leave one of them out; descend.clip.clip_norm gives the norm"))
        self.clip_norm = clip_norm
        self.parts: dict[str, Optimizer] = {}
        self._places: list[tuple[str, int]] = []
        self._method, self._options = method, options
        self._reset()
        for group in groups.collect(params, "Routed"):
            self.add_param_group(group)

    def _reset(self) -> None:
        hooks.open_tables(self)
        self._zero_grad_profile_name = "Optimizer.zero_grad#Routed.zero_grad"
        self._warned_capturable_if_run_uncaptured = True

    @property
    def param_groups(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The groups of all methods, in the order in which they were given."""
        return [self.parts[name].param_groups[index] for name, index in self._places]

    @property
    def state(self) -> "MutableMapping[Tensor, Any]":  # type: ignore[override]
        """Each parameter's states, kept by its method."""
        return _States(self)

    @property
    def defaults(self) -> dict[str, Any]:
        """The options that were given for all groups."""
        return self._options

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters to the method that ``param_group["method"]`` names.

        Raises:
            OptionError: if the method or an option is unknown.
            ParameterError: if the parameters cannot be served or stand in two groups.
        """
        if not isinstance(param_group, dict) or "params" not in param_group:
            raise OptionError(message("Routed: a group", got=param_group, allowed='a dict with the key "params"'))
        given = dict(param_group)
        # Listed once: two optimizers read them, and a generator gives them one time.
        given["params"], names = groups.split_names(given["params"], given.pop("param_names", None), "Routed")
        given |= {} if names is None else {"param_names": names}
        cls = self._find(given.pop(ROUTE, self._method))
        name = cls.__name__
        made = cls([given], **self._options)
        if cls.rule.evaluation or made.look_ahead.wanted:
            what = f"Routed: {name} takes its gradients elsewhere than it leaves the parameters"
            raise OptionError(message(what, do="Use it alone, as an optimizer of its own"))
        groups.refuse_duplicates([*self.param_groups, *made.param_groups], "Routed")
        part = self.parts.get(name)
        if part is None:
            part = self.parts[name] = made
            part.clock.updates = max((p.clock.updates for p in self.parts.values()), default=0)
        else:
            part.add_param_group(given)
        self._places.append((name, len(part.param_groups) - 1))

    def _find(self, method: Any) -> type[Optimizer]:
        """A method by its name, or as it is.

        Raises:
            OptionError: if it is neither a known name nor a class of descend.
        """
        if isinstance(method, str):
            return type(self.parts[method]) if method in self.parts else get(method)
        if not (isinstance(method, type) and issubclass(method, Optimizer)):
            allowed = 'a name such as "Lion", or a class of descend'
            raise OptionError(message("Routed: method", got=method, allowed=allowed))
        return method

    @property
    def grad_scale(self) -> Any:
        """The loss scale that a ``GradScaler`` lends for one step."""
        return self._first.grad_scale  # type: ignore[attr-defined]

    @grad_scale.setter
    def grad_scale(self, value: Any) -> None:
        self._lend("grad_scale", value)

    @grad_scale.deleter
    def grad_scale(self) -> None:
        self._take_back("grad_scale")

    @property
    def found_inf(self) -> Any:
        """Whether a ``GradScaler`` has found infinite gradients, lent for one step."""
        return self._first.found_inf  # type: ignore[attr-defined]

    @found_inf.setter
    def found_inf(self, value: Any) -> None:
        self._lend("found_inf", value)

    @found_inf.deleter
    def found_inf(self) -> None:
        self._take_back("found_inf")

    @property
    def _first(self) -> Optimizer:
        return next(iter(self.parts.values()))

    def _lend(self, key: str, value: Any) -> None:
        for part in self.parts.values():
            setattr(part, key, value)

    def _take_back(self, key: str) -> None:
        for part in self.parts.values():
            delattr(part, key)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Step every method; see :meth:`descend.Optimizer.step`.

        Args:
            closure: reevaluates the model and returns the loss; called once.

        Returns:
            What the closure returned, else None.
        """
        check_closure(closure, "Routed")
        arguments: hooks.Arguments = ((self, closure), {})
        arguments, closure = hooks.run_before(self._optimizer_step_pre_hooks.values(), self, arguments)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if self.clip_norm is not None:
            self._clip(self.clip_norm)
        before = {name: part.clock.updates for name, part in self.parts.items()}
        for part in self.parts.values():
            part.step()
        waiting = [part for name, part in self.parts.items() if part.clock.updates == before[name]]
        if len(waiting) < len(self.parts):
            for part in waiting:  # it had no gradients, and its schedules go on all the same
                if part.clock.write(part.param_groups):
                    part.clock.advance()
        for hook in self._optimizer_step_post_hooks.values():
            hook(self, *arguments)
        return loss

    step.hooked = True  # type: ignore[attr-defined]  # torch's global hooks run in each part's step

    @torch.no_grad()
    def _clip(self, limit: float) -> None:
        """Scale all gradients so that their norm, without a ``GradScaler``'s scale, is within the limit."""
        lent, scale = (getattr(self._first, key, None) for key in ("found_inf", "grad_scale"))
        found = [
            p.grad for group in self.param_groups for p in group["params"] if p.requires_grad and p.grad is not None
        ]
        if not found or (lent is not None and float(lent) != 0.0):
            return
        values = [g.coalesce().values() if g.is_sparse else g for g in found]
        norm = multiply(values, values).sqrt() / (1.0 if scale is None else float(scale))
        factor = torch.clamp(limit / (norm + CLIP_EPS), max=1.0)
        for g in found:
            g.mul_(factor.to(g.device))

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Reset all gradients.

        Args:
            set_to_none: drop them instead of filling them with zeros.
        """
        for part in self.parts.values():
            part.zero_grad(set_to_none)

    def explain(self) -> str:
        """For each method what :meth:`descend.Optimizer.explain` says."""
        return "\n".join(str(part.explain()) for part in self.parts.values())

    def state_dict(self) -> dict[str, Any]:
        """The state in torch's layout; each group says its method. All tensors are copies."""
        for hook in self._optimizer_state_dict_pre_hooks.values():
            hook(self)
        saved = {name: part.state_dict() for name, part in self.parts.items()}
        state: dict[int, Any] = {}
        packed: list[dict[str, Any]] = []
        count = 0
        for name, index in self._places:
            group = saved[name]["param_groups"][index]
            numbers = range(count, count + len(group["params"]))
            count += len(numbers)
            entries = saved[name]["state"]
            state |= {new: entries[old] for new, old in zip(numbers, group["params"], strict=True) if old in entries}
            packed.append({**group, ROUTE: name, "params": list(numbers)})
        result: dict[str, Any] = {"state": state, "param_groups": packed}
        return hooks.amend(self._optimizer_state_dict_post_hooks.values(), self, result)

    def load_state_dict(  # pyright: ignore[reportIncompatibleMethodOverride]  # torch's returns None
        self, state_dict: dict[str, Any], strict: bool = True
    ) -> LoadReport:
        """Load a state that an optimizer of the same methods has saved; see :meth:`descend.Optimizer.load_state_dict`.

        Raises:
            CheckpointError: if it does not fit. Nothing is changed then.
        """
        if isinstance(state_dict, dict):
            state_dict = hooks.amend(self._optimizer_load_state_dict_pre_hooks.values(), self, dict(state_dict))
        check_layout(state_dict, "Routed")
        routes = [group.get(ROUTE) for group in state_dict["param_groups"]]
        own = [name for name, _ in self._places]
        if routes != own:
            do = "Make the optimizer with the same groups, each with the same method"
            raise CheckpointError(message("Routed: the methods of the groups", got=routes, allowed=str(own), do=do))
        before = {name: part.state_dict() for name, part in self.parts.items()}
        reports: list[LoadReport] = []
        try:
            for name, part in self.parts.items():
                reports.append(part.load_state_dict(_select(state_dict, name), strict))
        except Exception:
            for name, part in list(self.parts.items())[: len(reports)]:
                part.load_state_dict(before[name])
            raise
        for hook in self._optimizer_load_state_dict_post_hooks.values():
            hook(self)
        found = tuple(finding for report in reports for finding in report.findings)
        return LoadReport("Routed", sum(r.parameters for r in reports), sum(r.loaded for r in reports), found)

    def __getstate__(self) -> dict[str, Any]:
        kept = {key: self.__dict__[key] for key in ("parts", "_places", "_method", "_options", "clip_norm")}
        if isinstance(self._method, type):  # a class of a rule is found again through its part alone
            kept["_method"] = self._method.__name__
        return kept

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()

    def __repr__(self) -> str:
        return "Routed (\n" + "\n".join(repr(part) for part in self.parts.values()) + "\n)"


def _select(state_dict: dict[str, Any], name: str) -> dict[str, Any]:
    """One method's part of a saved state."""
    chosen = [{k: v for k, v in g.items() if k != ROUTE} for g in state_dict["param_groups"] if g[ROUTE] == name]
    numbers = {number for group in chosen for number in group["params"]}
    state = {number: entry for number, entry in state_dict["state"].items() if number in numbers}
    return {"state": state, "param_groups": chosen}


class _States(MutableMapping[Tensor, Any]):
    """The states of all parts as one mapping."""

    def __init__(self, whole: Routed) -> None:
        self._whole = whole

    def _of(self, p: Tensor) -> Any:
        for part in self._whole.parts.values():
            if any(p is own for group in part.param_groups for own in group["params"]):
                return part.state
        raise KeyError(p)

    def __getitem__(self, p: Tensor) -> Any:
        return self._of(p)[p]

    def __setitem__(self, p: Tensor, entry: Any) -> None:
        self._of(p)[p] = entry

    def __delitem__(self, p: Tensor) -> None:
        del self._of(p)[p]

    def __iter__(self) -> Iterator[Tensor]:
        return (p for part in self._whole.parts.values() for p in part.state)

    def __len__(self) -> int:
        return sum(len(part.state) for part in self._whole.parts.values())
