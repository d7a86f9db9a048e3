"""The base of averages of a model's weights over training: what is averaged, swapped in, copied, saved and loaded."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, Literal

import torch
from torch import Tensor, nn

from descend.errors import CheckpointError, OptionError, ParameterError, message
from descend.optim.arguments import check_word
from descend.optim.names import align
from descend.optim.state_layout import read_count
from descend.optim.states import state_dtype
from descend.wrap.restoration import restored
from descend.wrap.wrapper import count_updates

BUFFERS = ("average", "keep")


class WeightAverage(ABC):
    """A running average of a model's parameters; :class:`EMA` and :class:`SWA` say how much a new value counts.

    Averages are kept in float32 at least. Tied parameters are averaged once.

    Args:
        model: whose weights.
        buffers: ``"average"`` floating-point buffers (batch-norm statistics) like weights and take over the others
            as they are; or ``"keep"`` the model's own, for use with ``recalibrate``.

    Attributes:
        updates: how many values went into the average.
    """

    _saved: tuple[str, ...] = ("kind", "updates", "averages")

    def __init__(self, model: nn.Module, *, buffers: Literal["average", "keep"] = "average") -> None:
        name = type(self).__name__
        if not isinstance(model, nn.Module):
            raise ParameterError(message(f"{name}: model", got=type(model).__name__, allowed="a torch.nn.Module"))
        check_word("buffers", buffers, name, BUFFERS)
        self.model = model
        self.buffers = buffers
        self.updates = 0
        self._swapped = False
        self._network: nn.Module | None = None
        self._kept = {n: _start(t) for n, t in self._own().items()}
        if not self._averages():
            raise ParameterError(message(f"{name}: {type(model).__name__} has no parameters"))

    @classmethod
    def _kind(cls) -> str:
        """What its checkpoints are called."""
        return cls.__name__

    @abstractmethod
    def _share(self) -> float:
        """How much the value that comes now counts against the average so far, from 0 to 1."""

    def _live(self) -> dict[str, Tensor]:
        """The model's tensors that are averaged, by name."""
        return dict(self.model.named_parameters()) if self.buffers == "keep" else _name_tensors(self.model)

    def _own(self) -> dict[str, Tensor]:
        """Those of which the average is kept here."""
        return self._live()

    def _averages(self) -> dict[str, Tensor]:
        """All averages by name."""
        return self._kept

    def _pairs(self) -> list[tuple[Tensor, Tensor]]:
        """The model's tensors and their averages.

        Raises:
            ParameterError: if the model has changed.
        """
        live, averages = self._live(), self._averages()
        changed = sorted(live.keys() ^ averages.keys())
        changed += [n for n, t in live.items() if n in averages and t.shape != averages[n].shape]
        if changed:
            raise ParameterError(
                message(
                    f"{type(self).__name__}: the model's tensors {changed[:5]} came, went or changed their shape",
                    do="Make a new average for the new model",
                )
            )
        return [(t, averages[n]) for n, t in live.items()]

    @torch.no_grad()
    def update(self) -> None:
        """Take the model's present weights into the average; call it behind the optimizer's step, or ``attach`` it.

        Raises:
            OptionError: within ``swap()``, where the model's weights are the average itself.
            ParameterError: if the model's tensors are no longer those that are averaged.
        """
        if self._swapped:
            raise OptionError(message(f"{type(self).__name__}.update() within swap()", do="Call it outside"))
        self._pairs()
        self._take_in(self._own())

    def _take_in(self, values: Mapping[str, Tensor]) -> None:
        """Take values into the averages that are kept here."""
        share = self._share()
        self.updates += 1
        for name, live in values.items():
            average = self._kept[name]
            if average.device != live.device:
                average.data = average.to(live.device)
            if average.is_floating_point() or average.is_complex():
                average.lerp_(live.detach().to(average.dtype), share)
            else:
                average.copy_(live)
        self._refresh_network()

    def attach(self, optimizer: torch.optim.Optimizer) -> Callable[[], None]:
        """Update behind each step of an optimizer that was not skipped.

        Args:
            optimizer: of this model.

        Returns:
            A function that ends it.
        """
        seen = count_updates(optimizer)

        def follow(stepped: torch.optim.Optimizer, *_: Any) -> None:
            nonlocal seen
            found, now = getattr(stepped, "found_inf", None), count_updates(stepped)
            if now is None:
                skipped = found is not None and float(found) != 0.0
            else:
                skipped, seen = now == seen, now
            if not skipped:
                self.update()

        return optimizer.register_step_post_hook(follow).remove

    @torch.no_grad()
    def copy_to(self, model: nn.Module | None = None) -> None:
        """Write the average into a model for good.

        Args:
            model: of the same tensors; by default the one that is averaged.

        Raises:
            ParameterError: if ``model`` has other tensors.
        """
        if model is None:
            pairs = self._pairs()
        else:
            theirs = _name_tensors(model)
            missing = [n for n, t in self._averages().items() if n not in theirs or theirs[n].shape != t.shape]
            if missing:
                raise ParameterError(
                    message(f"{type(self).__name__}.copy_to: the model lacks {missing[:5]} of these shapes")
                )
            pairs = [(theirs[n], t) for n, t in self._averages().items()]
        for live, average in pairs:
            live.copy_(average)

    @contextmanager
    def swap(self) -> Iterator[None]:
        """Within the block the model has the averaged weights; afterwards its own, and its own buffers, to the bit.

        Raises:
            OptionError: if it is entered twice.
        """
        if self._swapped:
            raise OptionError(message(f"{type(self).__name__}.swap() within itself", do="Leave the first block before"))
        with restored([*self.model.parameters(), *self.model.buffers()]):
            self.copy_to()
            self._swapped = True
            try:
                yield
            finally:
                self._swapped = False

    def network(self) -> nn.Module:
        """A frozen copy of the model in evaluation mode that holds the average, now and after every update.

        It is made once: the target network of reinforcement learning, the teacher of self-distillation.
        """
        if self._network is None:
            self._network = deepcopy(self.model).requires_grad_(False).eval()
            self._refresh_network()
        return self._network

    @torch.no_grad()
    def _refresh_network(self) -> None:
        if self._network is None:
            return
        theirs = _name_tensors(self._network)
        for name, average in self._averages().items():
            if theirs[name].data_ptr() != average.data_ptr() or theirs[name].device != average.device:
                # Shared where the type is the same, so that most updates need no copy.
                theirs[name].data = average.to(theirs[name].dtype)
        if self.buffers == "keep":
            for name, buffer in self.model.named_buffers():
                theirs[name].copy_(buffer)

    def state_dict(self) -> dict[str, Any]:
        """Everything that is needed to go on: plain data and copies of tensors."""
        return {
            "kind": self._kind(),
            "updates": self.updates,
            "averages": {n: t.detach().clone() for n, t in self._averages().items()},
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a saved average. Tensors are copied, matched by name.

        Raises:
            CheckpointError: if it is of another kind or of another model. Nothing is changed then.
        """
        name = self._kind()
        if not isinstance(state_dict, Mapping) or "kind" not in state_dict:
            raise CheckpointError(
                message(f"{name}: this is no average's state", allowed=f"what {name}.state_dict() gave")
            )
        if state_dict["kind"] != name or not set(self._saved) <= state_dict.keys():
            raise CheckpointError(
                message(
                    f"{name}: the checkpoint is of {state_dict['kind']!r}, with {sorted(state_dict)}",
                    allowed=f"{name!r}, with {list(self._saved)}",
                )
            )
        averages, updates = self._match(state_dict["averages"]), read_count(state_dict, "updates", name)
        self._load(state_dict)
        self.updates = updates
        self._write(averages)
        self._refresh_network()

    def _match(self, saved: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The saved averages by the names here, which may have or lack the wrappers that the saved ones have.

        Raises:
            CheckpointError: if names or shapes do not fit.
        """
        name, own = self._kind(), self._averages()
        if not isinstance(saved, Mapping) or not all(isinstance(tensor, Tensor) for tensor in saved.values()):
            got = type(saved).__name__
            raise CheckpointError(message(f"The checkpoint's 'averages' of {name}", got=got, allowed="tensors by name"))
        ours, theirs = align(own, saved)
        missing, unexpected = sorted(ours.keys() - theirs.keys()), sorted(theirs.keys() - ours.keys())
        if missing or unexpected:
            raise CheckpointError(
                message(
                    f"{name}: names do not fit; missing in the checkpoint: {missing}; unexpected: {unexpected}",
                    do="Load into an average of the same model, with the same buffers=",
                )
            )
        for plain, n in ours.items():
            found = saved[theirs[plain]].shape
            if found != own[n].shape:
                raise CheckpointError(
                    message(
                        f"{name}: {plain!r} has shape {tuple(found)} in the checkpoint",
                        allowed=f"{tuple(own[n].shape)}, as here",
                    )
                )
        return {n: saved[theirs[plain]] for plain, n in ours.items()}

    @torch.no_grad()
    def _write(self, values: Mapping[str, Tensor]) -> None:
        """Replace the averages."""
        for name, value in values.items():
            self._kept[name].copy_(value)

    def _load(self, state_dict: Mapping[str, Any]) -> None:  # noqa: B027 - most kinds save nothing more
        """Take over what a kind of average saves beside the rest."""


def _start(tensor: Tensor) -> Tensor:
    """A copy to average in: float32 at least for numbers that can be averaged."""
    if tensor.is_floating_point() or tensor.is_complex():
        return tensor.detach().to(state_dtype(tensor), copy=True)
    return tensor.detach().clone()


def _name_tensors(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}
