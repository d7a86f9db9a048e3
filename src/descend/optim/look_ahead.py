"""Nesterov's look-ahead: gradients taken where the momentum alone would carry the parameters."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from descend.backends.base import WORK, as_real
from descend.errors import OptionError, ParameterError, message
from descend.lang.fold import build_program, split_options
from descend.lang.graph import Node, walk
from descend.lang.rule import Rule
from descend.lang.trace import Structure
from descend.optim.numbers import Numbers, plain

if TYPE_CHECKING:
    from descend.optim.optimizer import Optimizer


class LookAhead:
    """Keeps an optimizer's ``nesterov="lookahead"``: where gradients were taken, and whether a step may use them.

    Args:
        optimizer: whose.
    """

    def __init__(self, optimizer: "Optimizer") -> None:
        self._optimizer = optimizer
        nesterov = optimizer.rule.hypers.get("nesterov")
        self.possible = nesterov is not None and "lookahead" in nesterov.choices
        self._inside = self._evaluated = False

    @property
    def wanted(self) -> bool:
        """Whether any group takes its gradient at the point ahead."""
        chosen = [group["nesterov"] for group in self._optimizer.param_groups] if self.possible else []
        return any(isinstance(word, str) and word == "lookahead" for word in chosen)

    @contextmanager
    def move(self) -> Iterator[None]:
        """Within the block the parameters are at the point ahead; afterwards exactly where they were.

        Raises:
            OptionError: if no group looks ahead, or it is entered twice.
            ParameterError: if no gradient was computed within.
        """
        owner = type(self._optimizer).__name__
        if not self.wanted:
            raise OptionError(message(f"{owner}.ahead(): no group looks ahead", do='Pass nesterov="lookahead"'))
        if self._inside:
            raise OptionError(message(f"{owner}.ahead() was entered within itself", do="Leave the first block before"))
        before = self._move_parameters()
        self._inside, self._evaluated = True, False
        try:
            yield
        finally:
            self._inside = False
            with torch.no_grad():
                for p, old in before:
                    p.copy_(old)
        if all(p.grad is None for group in self._optimizer.param_groups for p in group["params"]):
            raise ParameterError(
                message(f"{owner}.ahead(): no gradient was computed within the block", do="Call backward() inside")
            )
        self._evaluated = True

    def use(self) -> None:
        """A step uses the gradients.

        Raises:
            OptionError: if they were not taken at the point ahead.
        """
        if not self.wanted:
            return
        owner = type(self._optimizer).__name__
        if self._inside:
            raise OptionError(message(f"{owner}.step() was called within ahead()", do="Call it behind the block"))
        # A learning rate of 0 moves nothing: distributed checkpointing takes such a step to allocate states.
        moves = any(float(group["lr"]) != 0.0 for group in self._optimizer.param_groups)
        if moves and not self._evaluated:
            raise OptionError(
                message(
                    f'{owner}.step(): nesterov="lookahead" needs the gradients of the point ahead',
                    do="Pass a closure, or compute them within ahead(); nesterov=True needs neither",
                )
            )
        self._evaluated = False

    @torch.no_grad()
    def _move_parameters(self) -> list[tuple[Tensor, Tensor]]:
        """Move the parameters that have momentum to the point ahead; their old values."""
        optimizer = self._optimizer
        optimizer.clock.write(optimizer.param_groups)  # the momentum moves them by this step's rate
        numbers, before = Numbers(optimizer.rule, optimizer.wide), []
        for group in optimizer.param_groups:
            for p in group["params"]:
                state = optimizer._state.get(p, {})
                if group["nesterov"] == "lookahead" and state:
                    before.append((p, p.detach().clone()))
                    as_real(p).copy_(_coast(optimizer.rule, group, p, state, numbers.read(group)))
        return before


def _coast(rule: Rule, group: dict[str, Any], p: Tensor, state: dict[str, Any], numbers: dict[str, Any]) -> Tensor:
    """Where the rule would take a parameter in a step without gradient and decay: -mu v or -lr mu v from where it is.

    Args:
        rule: the method.
        group: the parameter's.
        p: the parameter.
        state: its states by key.
        numbers: the group's by the name of their host input.
    """
    from descend.backends.eager import apply_word  # not needed to import descend

    work = WORK[p.dtype]
    root = build_program(rule, Structure(options=split_options(rule, group)[0], idle=True)).step.p
    known: dict[Node, Any] = {}
    for node in walk([root]):
        if node.op == "input" and node.name in ("p", *rule.states):
            known[node] = as_real(p if node.name == "p" else state[rule.states[node.name].key]).to(work)
        elif node.op == "input":
            known[node] = 0.0 if node.name.startswith("fresh[") else plain(numbers[node.name])
        elif node.op != "const":
            known[node] = apply_word(node, known, work)
    return known[root]
