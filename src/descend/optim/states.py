"""Where states live: torch's ``optimizer.state``, but one that tells the optimizer when a user edits it."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from descend.backends.base import WORK, as_real
from descend.lang.rule import State


class ParameterState(dict[str, Any]):
    """One parameter's states by key. Writing to it tells the optimizer, whose kernels hold addresses."""

    changed: Callable[[], None] = staticmethod(lambda: None)

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        self.changed()

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        self.changed()

    def clear(self) -> None:
        """Forget everything."""
        super().clear()
        self.changed()

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Write several states."""
        super().update(*args, **kwargs)
        self.changed()

    def pop(self, key: str, *default: Any) -> Any:
        """Take a state away."""
        value = super().pop(key, *default)
        self.changed()
        return value

    def popitem(self) -> tuple[str, Any]:
        """Take the last state away."""
        item = super().popitem()
        self.changed()
        return item

    def setdefault(self, key: str, default: Any = None) -> Any:
        """A state, written first if it is missing."""
        value = super().setdefault(key, default)
        self.changed()
        return value

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


class StateTable(defaultdict[Any, Any]):
    """All parameters' states by parameter.

    Args:
        changed: told after any edit.
        states: what to start with.
    """

    def __init__(self, changed: Callable[[], None], states: dict[Any, dict[str, Any]] | None = None) -> None:
        super().__init__(dict)
        self._changed = changed
        for p, state in (states or {}).items():
            self[p] = state

    def __missing__(self, p: Any) -> ParameterState:
        self[p] = {}
        return self[p]

    def __setitem__(self, p: Any, state: dict[str, Any]) -> None:
        own = ParameterState(state)
        own.changed = self._changed
        super().__setitem__(p, own)
        self._changed()

    def __delitem__(self, p: Any) -> None:
        super().__delitem__(p)
        self._changed()

    def clear(self) -> None:
        """Forget all states."""
        super().clear()
        self._changed()

    def pop(self, p: Any, *default: Any) -> Any:
        """Take a parameter's states away."""
        value = super().pop(p, *default)
        self._changed()
        return value

    def adopt(self, p: Tensor, key: str, value: Tensor) -> None:
        """Enter a state that the optimizer itself has made and already knows."""
        if p not in self:
            own = ParameterState()
            own.changed = self._changed
            super().__setitem__(p, own)
        dict.__setitem__(self[p], key, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, ({p: dict(s) for p, s in self.items()},)


def state_dtype(p: Tensor) -> torch.dtype:
    """The dtype of a parameter's coordinate states: its own, float32 at least."""
    return p.dtype if p.is_complex() else WORK.get(p.dtype, torch.float32)


def allocate_state(state: State, p: Tensor, group: dict[str, Any]) -> Tensor:
    """A new state with its start value.

    Args:
        state: what the rule declares.
        p: the parameter.
        group: where a start value that is a hyper-parameter is found.
    """
    start = group[state.start] if isinstance(state.start, str) and state.start != "p" else state.start
    if state.rate == "tensor":
        return torch.tensor(float(start), dtype=torch.float64)
    if start == "p":
        return p.detach().to(state_dtype(p), copy=True)
    made = torch.empty_like(p, dtype=state_dtype(p), memory_format=torch.preserve_format, requires_grad=False)
    # both parts of a complex state are filled: a rule sees pairs of reals
    as_real(made).fill_(float(start))
    return made
