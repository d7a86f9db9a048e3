"""Words about a step: which backend serves which tensors and why, what it stores and what it moves."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from descend.backends.base import WORK
from descend.backends.cpu.runner import CpuRunner
from descend.lang.fold import build_program, fold_zeros, split_options
from descend.lang.rule import Rule
from descend.lang.weave import default_structure
from descend.optim.shared import count_bytes
from descend.optim.states import state_shape

if TYPE_CHECKING:
    from descend.optim.optimizer import Optimizer
    from descend.optim.step_plan import StepPlan


@dataclass(frozen=True)
class Part:
    """One batch of tensors that are stepped together.

    Args:
        backend: ``"cpu"`` or ``"eager"``.
        reason: why, in words.
        dtype: of the parameters.
        tensors: how many.
        coordinates: how many numbers they hold.
        passes: over memory, a step.
        bytes_moved: read and written a step: parameters, gradients and states, in each pass that uses them.
        scratch_bytes: held beside the states for values of rows and columns within a step; forgotten after it, and
            not in ``bytes_moved``.
        operations: arithmetic a step.
        state_keys: what is remembered between steps.
    """

    backend: str
    reason: str
    dtype: str
    tensors: int
    coordinates: int
    passes: int
    bytes_moved: int
    scratch_bytes: int
    operations: int
    state_keys: tuple[str, ...]


@dataclass(frozen=True)
class PassCost:
    """What one pass over memory costs a coordinate of a float32 parameter.

    Args:
        bytes_read: from memory.
        bytes_written: to memory.
        operations: arithmetic.
    """

    bytes_read: int
    bytes_written: int
    operations: int


def price(rule: Rule, **options: object) -> list[PassCost]:
    """The cost of each pass of a rule.

    Args:
        rule: the method.
        options: hyper-parameters off their defaults.
    """
    values = {**rule.defaults, **options}
    _, numbers = split_options(rule, values)
    structure = default_structure(rule, **options)
    zeros = {
        k for k, v in numbers.items() if v == 0 and k != "lr" and (k != "weight_decay" or structure.decay == "own")
    }
    program = build_program(rule, fold_zeros(rule, structure, frozenset(zeros)))
    widths = dict.fromkeys(program.streams, 4)
    return [PassCost(*step.count_bytes(widths), step.operations) for step in program.passes if step.walks]


@dataclass(frozen=True)
class Explanation:
    """What ``optimizer.explain()`` returns; prints as text.

    Args:
        name: of the optimizer.
        parts: one for each batch.
        state_bytes: held now, from step to step; scratch is not in it.
        state_bytes_full: held once every parameter has had a gradient.
    """

    name: str
    parts: tuple[Part, ...]
    state_bytes: int
    state_bytes_full: int

    @property
    def scratch_bytes(self) -> int:
        """Held by the kernels beside the states, for values within one step."""
        return sum(part.scratch_bytes for part in self.parts)

    def __repr__(self) -> str:
        """The same in words."""
        lines = [
            f"{self.name}: {self.state_bytes:,} bytes of state now, {self.state_bytes_full:,} once all have stepped."
        ]
        if self.scratch_bytes:
            lines.append(f"  {self.scratch_bytes:,} bytes of scratch beside it, for rows and columns within a step.")
        for part in self.parts:
            states = ", ".join(part.state_keys) or "nothing"
            tensors = f"{part.tensors} {part.dtype} tensor{'s' * (part.tensors > 1)}"
            lines.append(
                f"  {tensors} ({part.coordinates:,} numbers) on the {part.backend} backend, because {part.reason}: "
                f"{part.passes} pass{'es' * (part.passes > 1)}, {part.bytes_moved:,} bytes moved and "
                f"{part.operations:,} operations a step; remembers {states}."
            )
        return "\n".join(lines)


def explain(optimizer: "Optimizer", plan: "StepPlan") -> Explanation:
    """Describe an optimizer's step.

    Args:
        optimizer: whose.
        plan: its present plan.
    """
    parts, full = [], count_bytes(optimizer.rule, optimizer.param_groups)
    for unit in plan.units:
        first = unit.params[0]
        own = first.element_size()
        width = WORK[first.dtype].itemsize * (2 if first.is_complex() else 1)
        size = sum(p.numel() for p in unit.params)
        widths = {s: own if s in ("p", "g") else width for s in unit.program.streams}
        moved = sum(sum(step.count_bytes(widths)) for step in unit.program.passes)
        operations = sum(step.operations for step in unit.program.passes) * (2 if first.is_complex() else 1)
        kept, slices = list(unit.program.declared.values()), 0
        for letter, s in unit.program.declared.items():
            held = sum(math.prod(state_shape(s, p) or ()) for p in unit.params)
            slices += held * width if letter in unit.program.slice_states else 0
            full += 8 * len(unit.params) if s.rate == "tensor" else held * width
        parts.append(
            Part(
                unit.backend,
                unit.reason,
                str(first.dtype).removeprefix("torch."),
                len(unit.params),
                size,
                sum(step.walks for step in unit.program.passes),
                moved * size + 2 * slices,  # states of rows and columns are read once and written once
                unit.runner.scratch_bytes if isinstance(unit.runner, CpuRunner) else 0,
                operations * size,
                tuple(s.key for s in (*kept, *(optimizer.rule.states[k] for k in unit.program.shared))),
            )
        )
    return Explanation(type(optimizer).__name__, tuple(parts), optimizer.state_bytes(), full)
