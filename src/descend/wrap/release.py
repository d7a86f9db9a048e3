"""Gradient release: each parameter is updated during backward as soon as its gradient is there, which is then freed."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from descend.errors import OptionError, ParameterError, message
from descend.optim.arguments import check_number
from descend.optim.groups import label_of
from descend.optim.optimizer import Optimizer
from descend.wrap.wrapper import Wrapper, count_processes

OWN_KEYS = ("params", "param_names", "schedules", "schedule_start")
"""What a parameter's own optimizer does not take over from its group: schedules are read once a backward."""


class GradientRelease(Wrapper):
    """Updates each parameter during ``backward()``, so that the gradients never exist all at once.

    Lv, Yang, Liu, Gao, Guo & Qiu 2023 (LOMO), section 3.1, here for any method that treats each tensor by itself.
    Peak memory of gradients falls from that of all parameters to that of about one layer. The loop stays as it was;
    ``step()`` ends the update: schedules advance, hooks run::

        optimizer = GradientRelease(descend.AdamW(model.parameters(), lr=1e-3), clip_norm=1.0)
        for x, y in loader:
            loss(model(x), y).backward()                # updates
            optimizer.step()                            # one step() for each backward()

    A parameter that the model uses several times is updated once, with the sum of its gradients, when all of them
    are there. The bits are those of the inner optimizer. What needs all gradients at once is refused: a norm over all
    of them, accumulation, ``GradScaler`` (use bfloat16), SAM, methods that add over all tensors; and training by
    several processes, whose gradients are not averaged yet when they arrive.

    Args:
        optimizer: the inner optimizer, one of descend's; this wrapper is the outermost one.
        clip_norm: bound on the norm of each tensor's gradient, > 0; None for none.

    Raises:
        OptionError: if an option or the method needs all gradients at once.
        ParameterError: if ``optimizer`` is no optimizer of descend.
    """

    _outermost = True

    def __init__(self, optimizer: torch.optim.Optimizer, clip_norm: float | None = None) -> None:
        super().__init__(optimizer)
        if not isinstance(optimizer, Optimizer):
            raise ParameterError(
                message("GradientRelease: optimizer", got=type(optimizer).__name__, allowed="an optimizer of descend")
            )
        if clip_norm is not None:
            check_number("clip_norm", clip_norm, "GradientRelease", low=0.0, open_low=True)
        if count_processes() > 1:
            raise OptionError(
                message(
                    "GradientRelease with several processes, whose gradients are not averaged yet when they arrive",
                    do="Step the inner optimizer after backward()",
                )
            )
        _refuse_whole(optimizer)
        self._whole, self.clip_norm = optimizer, clip_norm
        self._attach()

    def _attach(self) -> None:
        """Make each parameter's own optimizer, and let gradients call it."""
        self._parts: dict[Tensor, tuple[int, int, Optimizer]] = {}
        self._handles: dict[Tensor, RemovableHandle] = {}
        self._arrived: set[Tensor] = set()
        self._moves = True
        self._share_states()
        for index in range(len(self.param_groups)):
            self._attach_group(index)

    def _attach_group(self, index: int) -> None:
        for place, p in enumerate(self.param_groups[index]["params"]):
            part = object.__new__(type(self._whole))
            wide = {**self._whole.wide, "clip_norm": self.clip_norm}
            own = {"params": [p], "param_names": [_Label(label_of(self.param_groups[index], index, place))]}
            part.__setstate__(
                {"defaults": self._whole.defaults, "wide": wide, "param_groups": [own], "state": {}, "updates": 0}
            )
            self._parts[p] = (index, place, part)
            self._listen(p)

    def _listen(self, p: Tensor) -> None:
        if p.requires_grad and p not in self._handles:
            self._handles[p] = p.register_post_accumulate_grad_hook(self._update)

    def _share_states(self) -> None:
        """All parameters' optimizers keep their states in the inner optimizer's table, and notice edits of it."""
        table = self._whole._state
        table.changed = self._forget_plans
        table.notice()

    def _forget_plans(self) -> None:
        for _, _, part in self._parts.values():
            part._drop_plan()

    def _update(self, p: Tensor) -> None:
        """Update a parameter whose gradient has arrived, and free the gradient."""
        index, place, part = self._parts[p]
        group = self.param_groups[index]
        if p in self._arrived:
            raise OptionError(
                message(
                    f"GradientRelease: {label_of(group, index, place)} got a second gradient, and the first is spent",
                    do="Call optimizer.step() after each backward(); gradients cannot be accumulated here. A tensor "
                    "shared between checkpoints needs use_reentrant=False",
                )
            )
        if not self._arrived:
            self._moves = self._whole.clock.write(self.param_groups)
        self._arrived.add(p)
        if self._whole._state.changed != self._forget_plans:
            self._share_states()
        if part._state is not self._whole._state:
            part._state = self._whole._state
            part._drop_plan()
        own = part.param_groups[0]
        own.update({k: v for k, v in group.items() if k not in OWN_KEYS})
        part.clock.updates = self._whole.clock.updates
        if self._moves:
            part._step()
        else:
            part._take_gradients(part._find_plan(False))
        if part._lost_updates.warned and part._lost_updates is not self._whole._lost_updates:
            for one in (self._whole, *(part for _, _, part in self._parts.values())):
                one._lost_updates = part._lost_updates  # one warning is enough
        group["lr_max"] = own["lr_max"]
        # Kernels write past autograd, which must refuse a backward that would still need the old value.
        torch.autograd.graph.increment_version(p)
        p.grad = None

    def _step(self, closure: Callable[[], Any] | None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for p in self._parts:
            self._listen(p)  # it may have been frozen before
            if p.requires_grad and p.grad is not None:  # it was, or the gradient was written by hand
                self._update(p)
        if self._arrived and self._moves:
            self._whole.clock.advance()
        self._arrived.clear()
        return loss

    @property
    def _step_supports_amp_scaling(self) -> bool:
        raise OptionError(
            message(
                "GradientRelease under a GradScaler: backward() has already updated, with scaled gradients",
                do="Begin anew without a scaler; bfloat16 autocast needs none",
            )
        )

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group to the inner optimizer."""
        super().add_param_group(param_group)
        self._attach_group(len(self.param_groups) - 1)

    def remove(self) -> None:
        """End it: gradients stay where backward leaves them, and the inner optimizer can be stepped as before."""
        for handle in self._handles.values():
            handle.remove()
        self._handles = {}
        self._parts = {}
        self._whole.state = dict(self._whole._state)

    def __getstate__(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer, "_whole": self._whole, "clip_norm": self.clip_norm}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._attach()

    def _describe(self) -> str:
        return f"GradientRelease(clip_norm={self.clip_norm})"


class _Label(str):
    """What messages and noise call a parameter: here as in the inner optimizer, whether it is a name or a place."""

    __repr__ = str.__str__


def _refuse_whole(optimizer: Optimizer) -> None:
    """Refuse options and methods that need all gradients at once.

    Raises:
        OptionError: naming the first of them.
    """
    name, wide = type(optimizer).__name__, optimizer.wide
    if wide["clip_norm"] is not None:
        raise OptionError(
            message(
                f"GradientRelease of {name}(clip_norm={wide['clip_norm']}), a norm over all gradients",
                do="Clip each tensor by itself: GradientRelease(optimizer, clip_norm=...); or use clip_value=",
            )
        )
    for option, fine in (("on_nonfinite", "apply"), ("metrics", False)):
        if wide[option] != fine:
            raise OptionError(
                message(
                    f"GradientRelease of {name}({option}={wide[option]!r}), which looks at all gradients",
                    allowed=f"{option}={fine!r}",
                )
            )
    if optimizer.look_ahead.wanted:
        raise OptionError(
            message(f'GradientRelease of {name}(nesterov="lookahead"), whose gradients are those of another point',
                    allowed="nesterov=True")
        )  # fmt: skip
    if any(group["differentiable"] for group in optimizer.param_groups):
        raise OptionError(message(f"GradientRelease of {name}(differentiable=True)", allowed="differentiable=False"))
    plan = optimizer._make_plan(unscales=False)
    # one total is the count of non-finite gradients
    if any(len(unit.program.totals) > 1 or unit.program.group_sums for unit in plan.units):
        raise OptionError(
            message(f"GradientRelease of {name}, whose formula adds over many tensors", allowed="any other method")
        )
