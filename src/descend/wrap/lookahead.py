"""Lookahead: slow weights that follow the fast weights of any optimizer."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor

from descend.errors import OptionError, message
from descend.optim.arguments import check_count, check_number, check_word
from descend.optim.state_layout import read_count
from descend.optim.states import state_dtype
from descend.wrap.restoration import restored
from descend.wrap.wrapper import Wrapper

INNER_STATES = ("keep", "pull", "reset")
MOMENTA = ("momentum_buffer", "exp_avg")
"""States that average gradients, which ``inner_state="pull"`` interpolates like the weights."""
SLOW = "lookahead_slow"


class Lookahead(Wrapper):
    """k steps forward, one step back: every k steps the weights return part of the way to where they began.

    Zhang, Lucas, Hinton & Ba 2019, Algorithm 1: after each k steps of the inner optimizer, φ ← φ + α(θ − φ) and
    θ ← φ. The slow weights φ begin at the parameters that the first step finds. A step that the inner optimizer skips
    (a ``GradScaler``, ``on_nonfinite="skip"``) does not count.

    Args:
        optimizer: the inner optimizer, whose steps are the fast ones.
        k: fast steps between two slow ones, >= 1.
        alpha: share of the way that a slow step goes, > 0 and <= 1; at 1 the wrapper changes nothing.
        inner_state: what becomes of the inner optimizer's state at a slow step: ``"keep"`` it; ``"pull"`` its momentum
            back as the weights are (slow momentum begins at 0; second moments are kept); ``"reset"`` it, step counts
            included.

    Raises:
        OptionError: if an option is out of range.
        ParameterError: if ``optimizer`` is none.
    """

    _per_parameter = (SLOW,)
    _per_group = MappingProxyType({"lookahead_steps": 0})

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        k: int = 5,
        alpha: float = 0.5,
        inner_state: Literal["keep", "pull", "reset"] = "keep",
    ) -> None:
        super().__init__(optimizer)
        inner = optimizer
        while isinstance(inner, Wrapper):
            if isinstance(inner, Lookahead):
                raise OptionError(
                    message("Lookahead around a Lookahead", do="Wrap once, with k and alpha of one of them")
                )
            inner = inner.optimizer
        check_count("k", k, "Lookahead")
        check_number("alpha", alpha, "Lookahead", low=0.0, open_low=True)
        if alpha > 1:
            raise OptionError(message("Lookahead: alpha", got=alpha, allowed="a number > 0 and <= 1"))
        check_word("inner_state", inner_state, "Lookahead", INNER_STATES)
        self.k, self.alpha, self.inner_state = k, float(alpha), inner_state
        self.steps = 0
        self._slow: dict[Tensor, dict[str, Tensor]] = {}

    def _step(self, closure: Callable[[], Any] | None) -> Any:
        for group in self.param_groups:
            for p in group["params"]:
                if p.requires_grad and p not in self._slow:
                    self._slow[p] = {SLOW: p.detach().to(state_dtype(p), copy=True)}
        loss, advanced = self._step_inner(closure)
        if advanced:
            self.steps += 1
            if self.steps % self.k == 0:
                self._go_back()
        return loss

    @torch.no_grad()
    def _go_back(self) -> None:
        """The slow step."""
        for p, kept in self._slow.items():
            _pull(p, kept[SLOW], self.alpha)
        if self.inner_state == "pull":
            self._pull_momentum()
        elif self.inner_state == "reset":
            self.state.clear()

    def _pull_momentum(self) -> None:
        found = False
        for p, kept in self._slow.items():
            for key, value in self.state[p].items() if p in self.state else ():
                if key in MOMENTA and value is not None:
                    slow = kept.setdefault(f"{SLOW}_{key}", torch.zeros_like(value, dtype=state_dtype(value)))
                    _pull(value, slow, self.alpha)
                    found = True
        if not found:
            raise OptionError(
                message(
                    f'Lookahead: inner_state="pull" finds no momentum in {type(self.optimizer).__name__}',
                    allowed=f"an inner optimizer with a state {' or '.join(map(repr, MOMENTA))}",
                    do='Use inner_state="keep" or "reset"',
                )
            )

    @contextmanager
    def swap(self) -> Iterator[None]:
        """Within the block the parameters are the slow weights, for evaluation; afterwards they are as before."""
        with restored(self._slow):
            with torch.no_grad():
                for p, kept in self._slow.items():
                    p.copy_(kept[SLOW])
            yield

    def _save_parameter(self, p: Tensor) -> dict[str, Tensor]:
        return self._slow.get(p, {})

    def _save_group(self) -> dict[str, Any]:
        return {"lookahead_steps": self.steps}

    def _load(self, parameters: dict[Tensor, dict[str, Tensor]], group: dict[str, Any]) -> None:
        self.steps = read_count(group, "lookahead_steps", "Lookahead")
        self._slow = {
            p: {k: v.detach().to(p.device, state_dtype(p), copy=True) for k, v in kept.items()}
            for p, kept in parameters.items()
        }

    def _describe(self) -> str:
        return f"Lookahead(k={self.k}, alpha={self.alpha}, inner_state={self.inner_state!r})"


def _pull(fast: Tensor, slow: Tensor, alpha: float) -> None:
    """Slow weights go part of the way to the fast ones, which then return to them."""
    slow.add_(fast.detach().to(slow.dtype) - slow, alpha=alpha)
    fast.copy_(slow)
