"""Whose state it is: the method, from the options and the states that a checkpoint names."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from descend.errors import CheckpointError, OptionError, message
from descend.lang.rule import WOVEN_STATES, Rule
from descend.optim import options, shared
from descend.optim.catalogue import CATALOGUE, get, list_every_hyper
from descend.optim.checkpoint import required_states
from descend.optim.factory import KEYWORD_HYPERS
from descend.optim.optimizer import Optimizer

Method = str | type[Optimizer] | Optimizer


def name_class(method: Method, where: str) -> type[Optimizer]:
    """The optimizer class that a user names.

    Raises:
        OptionError: if it is no class of descend.
    """
    if isinstance(method, str):
        return get(method)
    cls = method if isinstance(method, type) else type(method)
    if not issubclass(cls, Optimizer) or not hasattr(cls, "rule"):
        raise OptionError(
            message(f"{where}", got=cls.__name__, allowed="a name such as 'AdamW', a class or an optimizer of descend")
        )
    return cls


def find_method(state_dict: Mapping[str, Any]) -> type[Optimizer]:
    """The method of a checkpoint of descend or torch.

    Raises:
        CheckpointError: if none fits, or several whose states mean different things.
    """
    group = state_dict["param_groups"][0]
    named = {k for k in group if k in list_every_hyper()}
    keys = {k for entry in state_dict["state"].values() for k, v in entry.items() if v is not None}
    keys -= {"step", *WOVEN_STATES}
    dims = max((v.dim() for e in state_dict["state"].values() for v in e.values() if isinstance(v, Tensor)), default=1)
    fits = [cls for cls in CATALOGUE.values() if _may_be(cls.rule, group, named, keys, dims or 1)]
    decoupled = group.get("decay") == "decoupled" or group.get("decoupled_weight_decay", False)
    fits.sort(key=lambda cls: (cls.rule.decay == "decoupled") != bool(decoupled))
    if len({cls.rule.formula for cls in fits}) == 1:
        return fits[0]
    what = f"The checkpoint has the options {sorted(named)} and the states {sorted(keys)}"
    if not fits:
        raise CheckpointError(message(f"{what}, which no method has", do="Name the method: from_='Adam'"))
    names = ", ".join(repr(name) for name, cls in CATALOGUE.items() if cls in fits)
    raise CheckpointError(message(f"{what}, which {names} have in common", do="Name the method: from_=..."))


def _may_be(rule: Rule, group: Mapping[str, Any], named: set[str], keys: set[str], dims: int) -> bool:
    """Whether a group may be the rule's: torch's have neither our conventions nor, in Rprop, a weight decay."""
    required = set(rule.hypers) - KEYWORD_HYPERS - {"weight_decay"}
    named = named - set(shared.list_keys(rule))  # they stand in the group too
    known = {s.key for s in rule.list_states(dims).values()}
    if not (required <= named <= {*rule.hypers, "weight_decay"} and keys <= known):
        return False
    return not keys or {s.key for s in required_states(rule, {**options.group_defaults(rule), **group}, dims)} <= keys
