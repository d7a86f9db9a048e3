"""Replicas: runs that differ in seed and learning rate alone, trained together.

The parameters of all replicas lie in one stack a tensor. The forward and backward pass run once over the stacks
(``torch.vmap``); to the optimizer every replica is a group of more tensors with a learning rate of its own, so that
one kernel call steps them all. Seeds, initial values, order of the data, looks at the validation part and the rules
of divergence are those of a run alone; sums may end in other digits.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial
from math import isfinite
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from descend.compare.contender import Contender
from descend.compare.protocol import Record, Trial
from descend.compare.runs import OnLook, Run, state_bytes
from descend.lang.fold import build_program
from descend.lang.weave import default_structure
from descend.optim.optimizer import Optimizer
from descend.tasks import Data, Evaluation, Part, Task
from descend.tasks.task import ROWS_AT_ONCE

MOST = 24
"""Replicas trained together at most: from here on a step takes as long a replica (measured on both digits tasks)."""
SMALL = 30_000
"""Parameters up to which a model gains: a larger one keeps the processor busy alone."""
COUPLING: dict[str, Any] = {"clip_norm": None, "on_nonfinite": "apply", "rounding": None}
"""Options that look at all tensors at once, or number them, unless they have these values."""
AGREE = 1e-4
"""How far losses and gradients may lie apart between together and alone, relative to their size."""


def train_together(
    task: Task,
    data: Data,
    contender: Contender,
    trials: Sequence[Trial],
    judge: Callable[[Trial], OnLook] | None = None,
) -> list[Record]:
    """Train one model a trial, all at once; the records are those of :func:`descend.compare.runs.train`.

    Args:
        task: what is trained; :func:`find_obstacle` has found nothing against it.
        data: of this task, loaded.
        contender: what trains it.
        trials: with any learning rates and seeds.
        judge: for each run what says after a look at the validation part whether to give it up.
    """
    with torch.random.fork_rng(devices=[]):
        # One replica alone takes other kernels, with other last digits, than two or more: it gets a twin.
        planned = list(trials) * 2 if len(trials) == 1 else list(trials)
        fitted = contender.fit(task)
        runs = [Run(fitted, data, contender, trial, None if judge is None else judge(trial)) for trial in planned]
        return Replicas(runs).train()[: len(trials)]


class Replicas:
    """Runs whose models share stacks of parameters."""

    def __init__(self, runs: Sequence[Run]) -> None:
        first = runs[0]
        self.runs, self.task, self.data = runs, first.task, first.data
        models = [run.model for run in runs]
        self._one = _lean(deepcopy(first.model))
        self._slots = _find_slots(self._one)
        self._stacks = _stack(models)
        self._trained = [whole for whole in self._stacks if whole.requires_grad]
        self._gradients = [torch.zeros_like(whole, requires_grad=False) for whole in self._trained]
        self._parameters = [[p for p in model.parameters() if p.requires_grad] for model in models]
        self._used: tuple[bool, ...] = ()
        seeds = list(dict.fromkeys(run.trial.seed for run in runs))
        self._batches = [self.task.batches(self.data.train, seed) for seed in seeds]
        self._batch_of = torch.tensor([seeds.index(run.trial.seed) for run in runs])

    def train(self) -> list[Record]:
        """All updates of the budget; a replica that diverges is dropped, the others go on."""
        contender, models = self.runs[0].contender, [run.model for run in self.runs]
        optimizer = contender.build_together(models, [run.trial.lr for run in self.runs], self.task.steps)
        for run in self.runs:
            run.look(0)
            run.together = len(self.runs)
        records: dict[int, Record] = {}
        going = list(range(len(self.runs)))
        rows: list[list[float]] = []  # losses of updates that the runs have not noted yet
        whole = step = 0.0
        while going:
            begin = perf_counter()
            losses = self.backward(going)
            before = perf_counter()
            optimizer.step()
            end = perf_counter()
            whole, step = whole + end - begin, step + end - before
            rows.append(losses.tolist())
            first = self.runs[going[0]]
            updates = len(first.losses) + len(rows)
            if updates > 1 and first.is_quiet(updates) and all(isfinite(rows[-1][k]) for k in going):
                continue
            found = self.evaluate() if first.looks_at(updates) else [None] * len(self.runs)
            for k in going:
                run = self.runs[k]
                run.add_time(whole / len(going), step / len(going))
                run.losses += [row[k] for row in rows[:-1]]
                run.note(rows[-1][k], found[k])
                if not run.goes_on:
                    records[k] = self._finish(k, optimizer)
            going = [k for k in going if k not in records]
            rows, whole, step = [], 0.0, 0.0
        return [records[k] for k in range(len(self.runs))]

    def backward(self, going: Sequence[int]) -> Tensor:
        """The losses of all replicas on their next batches; gradients for those that are still going."""
        parts = [next(batches) for batches in self._batches]
        inputs = torch.stack([part.inputs for part in parts]).index_select(0, self._batch_of)
        targets = torch.stack([part.targets for part in parts]).index_select(0, self._batch_of)
        losses = self._lose(inputs, targets)
        found = torch.autograd.grad(losses.sum(), self._trained, allow_unused=True)
        for kept, new in zip(self._gradients, found, strict=True):
            if new is not None:
                kept.copy_(new)
        used = tuple(new is not None for new in found)
        if used != self._used:
            self._used = used
            for k in going:
                self._give_gradients(k)
        return losses.detach()

    @torch.no_grad()
    def evaluate(self) -> list[Evaluation]:
        """What every replica reaches on the validation part."""
        part = self.data.validation
        self._one.eval()
        answer = torch.vmap(self._answer, in_dims=(0, None))
        outputs = torch.cat([answer(self._stacks, piece.inputs) for piece in part.pieces(ROWS_AT_ONCE)], dim=1)
        self._one.train()
        return [self.task.judge(own, part) for own in outputs]

    def _lose(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """The losses of all replicas."""
        if self.task.objective is None and self.task.loss is functional.cross_entropy and targets.dim() == 2:
            outputs = torch.vmap(self._answer)(self._stacks, inputs)  # mapped, the loss would be taken to pieces
            each = functional.cross_entropy(outputs.flatten(0, 1), targets.flatten(), reduction="none")
            return each.view(targets.shape).mean(1)
        return torch.vmap(self._lose_one)(self._stacks, inputs, targets)

    def _lose_one(self, values: list[Tensor], inputs: Tensor, targets: Tensor) -> Tensor:
        """The task's loss of one replica."""
        self._become(values)
        return self.task.batch_loss(self._one, Part(inputs, targets)).reshape(())

    def _answer(self, values: list[Tensor], inputs: Tensor) -> Tensor:
        """The outputs of one replica."""
        self._become(values)
        return self._one(inputs)

    def _become(self, values: list[Tensor]) -> None:
        """Let a replica's values stand in for the parameters and buffers of one model.

        ``torch.func.functional_call`` does the same with checks that cost a fifth of the step on a small model.
        """
        for slots, value in zip(self._slots, values, strict=True):
            for table, name in slots:
                table[name] = value

    def _give_gradients(self, k: int) -> None:
        """Point a replica's parameters at their rows of the stacked gradients, which stay where they are."""
        for p, gradient, used in zip(self._parameters[k], self._gradients, self._used, strict=True):
            p.grad = gradient[k] if used else None

    def _finish(self, k: int, optimizer: torch.optim.Optimizer) -> Record:
        """Take a replica out; without gradients the optimizer passes it by."""
        for p in self._parameters[k]:
            p.grad = None
        self.runs[k].state_bytes = state_bytes(optimizer) // len(self.runs)
        return self.runs[k].record()


def _lean(model: nn.Module) -> nn.Module:
    """A model whose linear layers are what they become over replicas: mapped as they are, they scale by 1 as well."""
    for layer in model.modules():
        if type(layer) is nn.Linear:
            layer.forward = partial(_multiply, layer)
    return model


def _multiply(layer: nn.Linear, input: Tensor) -> Tensor:
    product = input @ layer.weight.t()
    return product if layer.bias is None else product + layer.bias


def _tensors(model: nn.Module) -> list[Tensor]:
    """Parameters and buffers, each once."""
    return [*model.parameters(), *model.buffers()]


def _find_slots(model: nn.Module) -> list[list[tuple[dict[str, Any], str]]]:
    """For each parameter and buffer the places in which its modules keep it; tied ones have several."""
    tables = [table for module in model.modules() for table in (module._parameters, module._buffers)]
    places: list[tuple[dict[str, Any], str]] = [(table, name) for table in tables for name in table]
    return [[(table, name) for table, name in places if table[name] is tensor] for tensor in _tensors(model)]


def _stack(models: Sequence[nn.Module]) -> list[Tensor]:
    """One tensor for each parameter and buffer; the models' own become its rows."""
    stacks: list[Tensor] = []
    for column in zip(*map(_tensors, models), strict=True):
        whole = torch.stack([tensor.detach() for tensor in column])
        for k, tensor in enumerate(column):
            tensor.data = whole[k]
        stacks.append(whole.requires_grad_() if column[0].requires_grad else whole)
    return stacks


def find_obstacle(task: Task, data: Data) -> str | None:
    """Why the replicas of a task must train alone; None where together they do what each does alone.

    Tried out, not guessed: two models with different seeds take one batch forwards and backwards in both ways, and
    losses, gradients and buffers must agree.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        count = sum(p.numel() for p in task.model().parameters())
        if count > SMALL:
            return f"its model has {count:,} parameters, and more than {SMALL:,} keep a processor busy alone"
        if task.clip_norm is not None:
            return "it clips the norm of one model's gradients"
        if task.experience is not None:
            return "each model gains experience of its own"
        if task.predict is not None:
            return "its predictions are made by a function of its own"
        trials = [Trial(task.name, "", "", 1.0, seed, "search") for seed in (0, 1)]
        nobody = Contender("probe", "probe", "SGD", (1.0,))
        try:
            expected = [_probe_alone(Run(task, data, nobody, trial)) for trial in trials]
            runs = [Run(task, data, nobody, trial) for trial in trials]
            replicas = Replicas(runs)
            losses, looks = replicas.backward(range(2)).tolist(), replicas.evaluate()
            found = [_read(run.model, loss, look) for run, loss, look in zip(runs, losses, looks, strict=True)]
        except Exception as error:  # whatever a model does that cannot be mapped over replicas
            return f"its model cannot be mapped over replicas ({type(error).__name__})"
        if not all(map(_agree, expected, found)):
            return "together its replicas give other losses or gradients than alone"
    return None


def _probe_alone(run: Run) -> list[Tensor]:
    loss = run.task.batch_loss(run.model, next(run.task.batches(run.data.train, run.trial.seed)))
    loss.backward()
    return _read(run.model, float(loss.detach()), run.task.evaluate(run.model, run.data.validation))


def _read(model: nn.Module, loss: float, look: Evaluation) -> list[Tensor]:
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters()]
    return [torch.tensor(loss), torch.tensor(look.loss), *gradients, *(b.detach() for b in model.buffers())]


def _agree(expected: Sequence[Tensor], found: Sequence[Tensor]) -> bool:
    """Whether each tensor agrees to rounding; a gradient that cancels to nothing is judged by the others' size."""
    largest = max(_size(t) for t in expected)
    gaps = (_size(a.double() - b.double()) for a, b in zip(expected, found, strict=True))
    return all(gap <= AGREE * (_size(t) + largest / 10) for gap, t in zip(gaps, expected, strict=True))


def _size(values: Tensor) -> float:
    return float(values.detach().abs().max()) if values.numel() else 0.0


def can_share(contender: Contender) -> bool:
    """Whether a contender steps every replica as it would step it alone.

    A method that sums over all its tensors, as clipping by the norm does, would sum over all replicas; one that is
    measured elsewhere than at its parameters would move all of them for one look; of a class that is not ours it is
    not known.
    """
    cls = contender.cls
    if not (issubclass(cls, Optimizer) and cls.step is Optimizer.step):
        return False
    if any(contender.options.get(key, plain) != plain for key, plain in COUPLING.items()):
        return False
    rule = cls.rule
    if rule.evaluation is not None or any(state.shared for state in rule.states.values()):
        return False
    fixed = {key: value for key, value in contender.options.items() if key in rule.hypers}
    sums = build_program(rule, default_structure(rule, **fixed)).totals
    return all(node.name == "nonfinite" for node in sums)
