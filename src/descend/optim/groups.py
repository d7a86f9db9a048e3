"""Parameter groups: collecting parameters, their names, and refusing what cannot be served."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from descend.backends.base import overlaps_itself
from descend.errors import ParameterError, message
from descend.optim.memory import refuse_shared

Named = tuple[list[Tensor], list[str] | None]


def collect(params: Any, owner: str) -> list[dict[str, Any]]:
    """The groups of what a user passes as ``params``: tensors, named tensors, groups or a module.

    Raises:
        ParameterError: if it is none of these, or empty.
    """
    if isinstance(params, Tensor):
        raise ParameterError(
            message(
                f"{owner}: params is a single tensor",
                allowed="an iterable of tensors, named tensors or groups, or a module",
                do="Write [tensor]",
            )
        )
    if isinstance(params, torch.nn.Module):
        params = list(params.named_parameters())
    if isinstance(params, set | frozenset):
        raise ParameterError(message(f"{owner}: params is a set, whose order changes between runs", do="Pass a list"))
    if isinstance(params, dict):
        params = [params] if "params" in params else list(params.items())
    if not isinstance(params, Iterable):
        raise ParameterError(
            message(f"{owner}: params", got=params, allowed="an iterable of tensors or groups, or a module")
        )
    listed = list(params)
    if not listed:
        raise ParameterError(
            message(
                f"{owner}: the parameter list is empty",
                do="A generator is used up by one pass: pass list(model.parameters())",
            )
        )
    if isinstance(listed[0], dict):
        for i, group in enumerate(listed):
            if not isinstance(group, dict):
                raise ParameterError(
                    message(
                        f"{owner}: groups and parameters are mixed; item {i} is a {type(group).__name__}",
                        allowed="groups only, or parameters only",
                        do='Write {"params": [tensor]}',
                    )
                )
        return [dict(g) for g in listed]
    return [{"params": listed}]


def split_names(params: Any, listed: Any, owner: str) -> Named:
    """Tensors of a group and, where it has them, their names.

    Args:
        params: tensors, or ``(name, tensor)`` pairs, whose names win.
        listed: the group's ``param_names``; None for none.
        owner: for messages.

    Raises:
        ParameterError: if it holds anything else, or mixes the two, or has not one name for each tensor.
    """
    if isinstance(params, Tensor):
        params = [params]
    if isinstance(params, set | frozenset):
        raise ParameterError(
            message(f"{owner}: a group's params is a set, whose order changes between runs", do="Pass a list")
        )
    if not isinstance(params, Iterable):
        raise ParameterError(message(f"{owner}: a group's params", got=params, allowed="an iterable of tensors"))
    tensors: list[Tensor] = []
    names: list[str] = []
    for item in params:
        name, tensor = item if isinstance(item, tuple) and len(item) == 2 else (None, item)
        if not isinstance(tensor, Tensor):
            raise ParameterError(
                message(
                    f"{owner}: an optimizer steps tensors",
                    got=type(tensor).__name__,
                    allowed="tensors, or (name, tensor) pairs",
                )
            )
        tensors.append(tensor)
        if name is not None:
            names.append(name)
    if names and len(names) != len(tensors):
        raise ParameterError(
            message(
                f"{owner}: some parameters of a group are named and some are not",
                do="Pass model.named_parameters(), or no names at all",
            )
        )
    if names or listed is None:
        return tensors, names or None
    if not isinstance(listed, list | tuple) or len(listed) != len(tensors):
        allowed = f"a list of {len(tensors)} names, one for each parameter"
        raise ParameterError(message(f"{owner}: param_names", got=listed, allowed=allowed))
    return tensors, list(listed)


def check_tensors(tensors: list[Tensor], labels: list[str], differentiable: bool, owner: str) -> None:
    """Refuse tensors that no step can serve.

    Raises:
        ParameterError: for a tensor that is not a leaf, of integers, sparse, that overlaps itself, or whose memory
            holds the conjugate or the negative of its values.
    """
    for tensor, label in zip(tensors, labels, strict=True):
        if is_lazy(tensor):
            do = "Run the model once on a batch before making the optimizer"
            raise ParameterError(message(f"{owner}: {label} has not been initialized", do=do))
        if not differentiable and not (tensor.is_leaf or tensor.retains_grad):
            raise ParameterError(
                message(
                    f"{owner}: {label} is the result of an operation, not a leaf",
                    do="Optimize the tensor that it was computed from, or pass .detach()",
                )
            )
        if not (tensor.is_floating_point() or tensor.is_complex()):
            raise ParameterError(
                message(f"{owner}: {label} holds {tensor.dtype}", allowed="floating or complex numbers")
            )
        if tensor.layout is not torch.strided:
            raise ParameterError(message(f"{owner}: {label} has layout {tensor.layout}", allowed="torch.strided"))
        if overlaps_itself(tensor):
            raise ParameterError(
                message(
                    f"{owner}: {label} is expanded: several of its elements are one number in memory",
                    do="Optimize the tensor that it was expanded from",
                )
            )
        if tensor.is_conj() or tensor.is_neg():
            kind = "conjugate" if tensor.is_conj() else "negative"
            do = "Optimize the tensor that it views, or pass .resolve_conj().resolve_neg() of it"
            raise ParameterError(message(f"{owner}: {label} is a view that shows the {kind} of its memory", do=do))


def refuse_duplicates(groups: list[dict[str, Any]], owner: str) -> None:
    """Refuse a parameter that two places would step, naming both.

    Raises:
        ParameterError: if one tensor stands twice, or two share memory, or members were replaced by no tensors.
    """
    owners: dict[int, str] = {}
    for g, group in enumerate(groups):
        members = group["params"]
        if not isinstance(members, list) or not all(isinstance(p, Tensor) for p in members):
            raise ParameterError(message(f"{owner}, group {g}: params", got=members, allowed="a list of tensors"))
        for i, tensor in enumerate(group["params"]):
            label = label_of(group, g, i)
            if id(tensor) in owners:
                raise ParameterError(
                    message(
                        f"{owner}: {owners[id(tensor)]} and {label} are the same parameter",
                        do="List it once; it would be stepped twice",
                    )
                )
            owners[id(tensor)] = label
    refuse_shared([(p, label_of(g, k, i)) for k, g in enumerate(groups) for i, p in enumerate(g["params"])], owner)


def name_of(label: str) -> str:
    """The key under which tables keep a parameter that messages call so: a name loses its quotes."""
    return label[1:-1] if label[0] in "'\"" else label


def label_of(group: dict[str, Any], index: int, position: int) -> str:
    """How messages call a parameter: its name, else its place and shape."""
    if "param_names" in group:
        return repr(group["param_names"][position])
    return f"parameter {position} of group {index} (shape {tuple(group['params'][position].shape)})"
