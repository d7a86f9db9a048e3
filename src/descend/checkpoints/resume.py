"""A self-test for training loops: whether a run that was saved and resumed goes on exactly as one that was not."""

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from descend.checkpoints.random_state import RandomState
from descend.errors import CheckpointError, OptionError, message

Objects = Mapping[str, Any]
Factory = Callable[[], tuple[Objects, Callable[[int], Any]]]
Snapshot = dict[str, Any]
"""Every number of every object by its path, ``optimizer.state.0.exp_avg``."""

_GENERATORS = "<generators>"
_GRADIENTS = "<gradients>"


@dataclass(frozen=True)
class ResumeReport:
    """What ``check_resume`` found; prints as text.

    Args:
        equal: whether the resumed run is the uninterrupted one, to the bit.
        steps: done before the checkpoint and after it.
        first: where the two runs first differ, or why the checkpoint could not be used.
        causes: what was not restored, as far as that can be told.
    """

    equal: bool
    steps: tuple[int, int]
    first: str = ""
    causes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """The same in words."""
        n, m = self.steps
        if self.equal:
            return f"Resumed after {n} steps, the next {m} are those of the uninterrupted run, to the bit."
        return "\n".join(
            [f"Resumed after {n} steps, the run is another one. {self.first}", *(f"  - {c}" for c in self.causes)]
        )


def check_resume(
    factory: Factory,
    *,
    before: int = 3,
    after: int = 3,
    save: Callable[[Objects], Any] | None = None,
    load: Callable[[Objects, Any], None] | None = None,
    raise_: bool = False,
) -> ResumeReport:
    """Find out whether a training goes on after a restart exactly as if it had not stopped.

        def factory():
            torch.manual_seed(0)
            model = make_model()
            optimizer = descend.AdamW(model.parameters(), lr=cosine(1000) * 1e-3)

            def step(k):                              # does step number k, returns the loss
                loss = model(batches[k]).mean()
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
                return loss

            return {"model": model, "optimizer": optimizer, "random": descend.RandomState()}, step

        print(descend.check_resume(factory))

    One run does ``before + after`` steps. Another does ``before`` and is saved with ``torch.save``; a third, new from
    the factory, loads that with ``torch.load(weights_only=True)`` and does the rest. Losses, the states of all objects
    and the random generators are compared bit by bit.

    Args:
        factory: makes a new training: its objects by name, and a function that does one step.
        before: steps before the checkpoint.
        after: steps after it.
        save: your own: takes the objects, returns the checkpoint; by default every object's ``state_dict()``.
        load: your own: takes new objects and the checkpoint.
        raise_: raise instead of returning a report of runs that differ.

    Raises:
        OptionError: if the factory does not return such a pair.
        CheckpointError: with ``raise_``, if the runs differ.
    """
    if before < 1 or after < 1:
        raise OptionError(message("check_resume(before=, after=)", got=(before, after), allowed="1 or more steps"))
    for name, function in (("factory", factory), ("save", save), ("load", load)):
        if not callable(function) and (name == "factory" or function is not None):
            raise OptionError(message(f"check_resume({name})", got=function, allowed="a function"))
    generators = RandomState().state_dict()
    try:
        report = _compare(_Trial(factory, generators, before, after), save or _save_all, load or _load_all)
    finally:
        RandomState().load_state_dict(generators)
    if raise_ and not report.equal:
        raise CheckpointError(str(report))
    return report


@dataclass(frozen=True)
class _Trial:
    """A factory, and where the generators stand when a process begins."""

    factory: Factory
    generators: Mapping[str, Any]
    before: int
    after: int

    def make(self) -> tuple[Objects, Callable[[int], Any]]:
        """A new training, as in a new process.

        Raises:
            OptionError: if the factory returns something else.
        """
        RandomState().load_state_dict(self.generators)
        made = self.factory()
        objects, step = made if isinstance(made, tuple) and len(made) == 2 else (None, None)
        if not isinstance(objects, Mapping) or not callable(step):
            allowed = "({'model': model, 'optimizer': optimizer}, step), where step(k) does one step"
            raise OptionError(message("check_resume(): the factory's result", got=type(made).__name__, allowed=allowed))
        silent = [name for name, item in objects.items() if not hasattr(item, "state_dict")]
        if silent:
            what = f"check_resume(): the factory's objects {silent} have no state_dict()"
            raise OptionError(message(what, do="Return what is to be saved, and give the rest to step by closure"))
        return objects, step

    def run(self) -> tuple[Snapshot, list[Any], Snapshot]:
        """An uninterrupted run: states at the checkpoint, losses behind it, states at the end."""
        objects, step = self.make()
        for k in range(self.before):
            step(k)
        saved = _take(objects)
        return saved, self.go_on(step), _take(objects)

    def go_on(self, step: Callable[[int], Any]) -> list[Any]:
        """The losses of the steps behind the checkpoint."""
        losses = [step(k) for k in range(self.before, self.before + self.after)]
        return [x.detach().clone() if isinstance(x, Tensor) else x for x in losses]


def _compare(trial: _Trial, save: Callable[[Objects], Any], load: Callable[[Objects, Any], None]) -> ResumeReport:
    saved, losses, last = trial.run()
    objects, step = trial.make()
    for k in range(trial.before):
        step(k)
    steps = (trial.before, trial.after)
    repeated = _take(objects)
    try:
        stored = _store(save(objects))
        objects, step = trial.make()
        load(objects, stored)
    except Exception as error:  # whatever the user's objects raise is the finding
        return ResumeReport(False, steps, f"The checkpoint cannot be used: {error}", tuple(_blame(objects)))
    restored = _take(objects)
    resumed = trial.go_on(step)
    final = _take(objects)
    other = next((i for i, (a, b) in enumerate(zip(losses, resumed, strict=True)) if not _same(a, b)), None)
    ends = [path for path in _differ(last, final) if not path.startswith((_GENERATORS, _GRADIENTS))]
    if other is None and not ends:
        return ResumeReport(True, steps)
    first = "All losses are the same, the states at the end are not."
    if other is not None:
        told = f"{_tell(resumed[other])} instead of {_tell(losses[other])}"
        first = f"Step {trial.before + other} is the first with another loss: {told}."
    if _differ(saved, repeated):
        causes = ["Two uninterrupted runs differ as well: seed everything in the factory, data order included."]
    else:
        causes = _find_causes(saved, restored, last)
    causes += [
        f"At the end {path} is {_tell(final.get(path))} instead of {_tell(last.get(path))}." for path in ends[:3]
    ]
    return ResumeReport(False, steps, first, tuple(causes))


def _find_causes(saved: Snapshot, restored: Snapshot, last: Snapshot) -> list[str]:
    """What the new objects do not have of what the old ones had, right after loading."""
    lost = _differ(saved, restored)
    causes: list[str] = []
    for name in dict.fromkeys(path.partition(".")[0] for path in lost):
        paths = [path for path in lost if path.partition(".")[0] == name]
        if name not in (_GENERATORS, _GRADIENTS):
            path = paths[0]
            more = f", and {len(paths) - 1} more" if len(paths) > 1 else ""
            causes.append(
                f"{name} was not restored: {path} is {_tell(restored.get(path))} after loading, it was "
                f"{_tell(saved.get(path))}{more}."
            )
    drawn = {path.split(".")[1] for path in _differ(saved, last) if path.startswith(_GENERATORS)}
    unset = {path.split(".")[1] for path in lost if path.startswith(_GENERATORS)}
    if drawn & unset:
        which = " and ".join(sorted(drawn & unset))
        causes.append(
            f"The random generator of {which} was not restored, and the steps draw from it: save a "
            "descend.RandomState() as well."
        )
    if causes:
        return causes
    if any(path.startswith(_GRADIENTS) for path in lost):
        causes.append("Gradients were left over at the checkpoint: save between zero_grad() and backward().")
    return [
        *causes,
        "Every object was restored, so what differs is kept outside of them: the place in the data, an optimizer, a "
        "scheduler, a gradient scaler, an average of weights, a counter.",
    ]


def _save_all(objects: Objects) -> dict[str, Any]:
    return {name: item.state_dict() for name, item in objects.items()}


def _load_all(objects: Objects, checkpoint: Mapping[str, Any]) -> None:
    for name, item in objects.items():
        item.load_state_dict(checkpoint[name])


def _store(checkpoint: Any) -> Any:
    """Through a file and back."""
    file = io.BytesIO()
    torch.save(checkpoint, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def _blame(objects: Objects) -> Iterator[str]:
    """The objects whose own states cannot be stored."""
    for name, item in objects.items():
        try:
            _store(item.state_dict())
        except Exception as error:  # any failure of a user's object counts
            yield f"{name}: {str(error).splitlines()[0]}"


def _take(objects: Objects) -> Snapshot:
    """A copy of everything that may differ between two runs."""
    parts: dict[str, Any] = {name: item.state_dict() for name, item in objects.items()}
    for name, item in objects.items():
        if isinstance(item, torch.nn.Module):
            gradients = {n: p.grad for n, p in item.named_parameters() if p.grad is not None and p.grad.any()}
            parts.setdefault(_GRADIENTS, {})[name] = gradients
    parts[_GENERATORS] = RandomState().state_dict()
    return dict(_flatten(parts, ""))


def _flatten(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flatten(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from _flatten(item, f"{path}.{i}")
    elif isinstance(value, Tensor):
        yield path, value.detach().clone()
    else:
        yield path, value.copy() if isinstance(value, np.ndarray) else value


def _differ(a: Snapshot, b: Snapshot) -> list[str]:
    """The paths under which two snapshots differ; options before tensors, since they say more."""
    keys = [k for k in {**a, **b} if k not in a or k not in b or not _same(a[k], b[k])]
    return sorted(keys, key=lambda k: isinstance(a.get(k), Tensor))


def _same(a: Any, b: Any) -> bool:
    """Equal to the bit; NaN is itself."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        bits = (x.detach().cpu().contiguous().reshape(-1).view(torch.uint8) for x in (a, b))
        return torch.equal(next(bits), next(bits))
    if isinstance(a, Tensor) or isinstance(b, Tensor) or type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return (a.shape, a.dtype, a.tobytes()) == (b.shape, b.dtype, b.tobytes())
    return bool(a == b or (a != a and b != b))


def _tell(value: Any) -> str:
    if not isinstance(value, Tensor):
        return "absent" if value is None else repr(value)
    return (
        f"{value.item()!r}" if value.numel() == 1 else f"a tensor of mean {value.detach().double().mean().item():.9g}"
    )
