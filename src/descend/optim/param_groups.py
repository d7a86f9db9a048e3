"""Parameter groups of a model: which parameters decay, which patterns change, which layers learn slower."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parameter import UninitializedParameter

from descend.errors import OptionError, ParameterError, UnknownOptionError, did_you_mean, message
from descend.optim import options as known_options
from descend.optim.arguments import check_number
from descend.optim.catalogue import list_every_hyper
from descend.optim.depth import Layers, measure_depths
from descend.schedules import Schedule

Pattern = str | type[nn.Module]
Rules = Sequence[tuple[Pattern, Mapping[str, Any]]] | Mapping[Pattern, Mapping[str, Any]]

KINDS = ("norm", "embedding", "bias", "vector", "weight")
"""What a parameter is, by its module's type, then by its own name in the module, then by its dimensions."""
UNDECAYED = ("norm", "embedding", "bias", "vector")

_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.LocalResponseNorm)
_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)


@dataclass
class Assignment:
    """Where one parameter went, and why.

    Args:
        names: all names of the parameter; more than one if it is tied.
        tensor: the parameter.
        owners: the modules that hold it.
        kind: one of ``KINDS``.
        pattern: which of the user's patterns decided, as text.
        group: index of its group.
    """

    names: tuple[str, ...]
    tensor: Tensor
    owners: tuple[nn.Module, ...]
    kind: str
    pattern: str = ""
    group: int = -1
    options: dict[str, Any] = field(default_factory=dict)


class Groups(list[dict[str, Any]]):
    """Groups for an optimizer, each with ``params`` and ``param_names``; prints as a table.

    Attributes:
        assignments: where each parameter went, in the model's order.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], assignments: Sequence[Assignment]) -> None:
        super().__init__(groups)
        self.assignments = tuple(assignments)

    def __repr__(self) -> str:
        """One line a group: how much it holds, its options, what it consists of."""
        keys = list(dict.fromkeys(k for a in self.assignments for k in a.options))
        rows = [["group", "tensors", "numbers", *keys, "holds"]]
        for i in range(1 + max(a.group for a in self.assignments)):
            own = [a for a in self.assignments if a.group == i]
            numbers = sum(a.tensor.numel() for a in own)
            values = [_show(own[0].options[k]) if k in own[0].options else "default" for k in keys]
            rows.append([str(i), str(len(own)), f"{numbers:,}", *values, _summarise(own)])
        return _set_table(rows, right=3 + len(keys))

    def table(self) -> str:
        """One line a parameter: its group, names, shape, what it is and which pattern decided."""
        rows = [["group", "numbers", "shape", "parameter", "is a", "pattern"]]
        for a in self.assignments:
            kind = a.kind if a.tensor.requires_grad else f"{a.kind}, frozen"
            shape = "×".join(map(str, a.tensor.shape)) or "scalar"
            rows.append([str(a.group), f"{a.tensor.numel():,}", shape, " = ".join(a.names), kind, a.pattern])
        return _set_table(rows, right=3)


def groups(
    model: nn.Module,
    rules: Rules | None = None,
    *,
    weight_decay: float | Schedule | None = None,
    lr: float | Schedule | None = None,
    layer_decay: float | None = None,
    layers: Layers = None,
    undecayed: Collection[str] = UNDECAYED,
    kinds: Mapping[str, Mapping[str, Any]] | None = None,
) -> Groups:
    """Parameter groups of a model for any optimizer, descend's or torch's: norms, biases, embeddings do not decay.

        groups = descend.groups(model, [("head.*", dict(lr=1e-3))], lr=1e-4, weight_decay=0.05)
        print(groups)
        optimizer = descend.AdamW(groups)

    What a parameter is follows from its module's type (a type whose name has "norm" in it, or ends in "Embedding",
    counts too), from the name "bias" in its module, and from its dimensions: below two it is a vector. A tied
    parameter stands in one group, under its first name, and does not decay if any of its places exempts it. Frozen
    parameters are assigned too, so that unfreezing needs nothing else.

    Args:
        model: whose parameters.
        rules: ``(pattern, options)`` pairs or a mapping; the first pattern that matches a parameter wins, and its
            options override everything below. A pattern is a name with ``*``, ``?`` and ``[...]`` ("*.bias"), or a
            module's type.
        weight_decay: of the parameters that decay, >= 0; None leaves the optimizer's default.
        lr: learning rate, >= 0; None leaves the optimizer's default.
        layer_decay: factor of ``lr`` from one layer to the one below it, > 0 and at most 1 (Clark et al. 2020); the
            topmost has ``lr`` itself. It leaves an ``lr`` alone that a rule sets.
        layers: which modules are the layers, where it is not clear: see ``measure_depths``.
        undecayed: the kinds that get ``weight_decay=0``, out of "norm", "embedding", "bias", "vector", "weight".
        kinds: options of a kind, such as ``{"weight": dict(method="Lion", lr=1e-4)}`` for :class:`descend.Routed`; they
            override what stands above but the rules.

    Raises:
        ParameterError: if the model has no parameters, or some without a shape.
        OptionError: if a kind or a pattern matches nothing, or nothing that an earlier one left, or an option is out of
            range.
        UnknownOptionError: if a rule's option is a misspelling.
    """
    _check_arguments(model, weight_decay, lr, layer_decay, layers, undecayed)
    assignments = _list_parameters(model)
    pairs = _check_rules(rules)
    by_kind = _check_kinds(kinds, assignments)
    _match(pairs, assignments)
    scales = _scale_layers(model, assignments, layer_decay, layers)
    made: list[dict[str, Any]] = []
    for a in assignments:
        automatic: dict[str, Any] = {}
        if lr is not None:
            scale = scales[a.names[0]]
            automatic["lr"] = lr * scale if scale != 1.0 else lr
        if a.kind in undecayed or weight_decay is not None:
            automatic["weight_decay"] = 0.0 if a.kind in undecayed else weight_decay
        a.options = {**automatic, **by_kind.get(a.kind, {}), **a.options}
        _put(a, made)
    _check_once(model, made)
    return Groups(made, assignments)


def _scale_layers(
    model: nn.Module, assignments: list[Assignment], layer_decay: float | None, layers: Layers
) -> dict[str, float]:
    """The factor of each parameter's learning rate, by its first name."""
    scales = dict.fromkeys((a.names[0] for a in assignments), 1.0)
    if layer_decay is None:
        return scales
    depths = measure_depths(model, list(scales), layers)
    top = max(depths.values())
    return {name: float(layer_decay) ** (top - depth) for name, depth in depths.items()}


def _put(a: Assignment, made: list[dict[str, Any]]) -> None:
    """Add a parameter to the group with its options, made if there is none."""
    for i, group in enumerate(made):
        if {k: v for k, v in group.items() if k not in ("params", "param_names")} == a.options:
            a.group = i
            break
    else:
        a.group = len(made)
        made.append({"params": [], "param_names": [], **a.options})
    made[a.group]["params"].append(a.tensor)
    made[a.group]["param_names"].append(a.names[0])


def _check_arguments(
    model: nn.Module,
    weight_decay: float | Schedule | None,
    lr: float | Schedule | None,
    layer_decay: float | None,
    layers: Layers,
    undecayed: Collection[str],
) -> None:
    if not isinstance(model, nn.Module):
        raise ParameterError(message("groups: model", got=type(model).__name__, allowed="a torch.nn.Module"))
    for name, value in (("weight_decay", weight_decay), ("lr", lr)):
        if value is not None and not isinstance(value, Schedule):
            check_number(name, value, "groups", low=0.0)
    if layer_decay is not None:
        check_number("layer_decay", layer_decay, "groups", low=0.0, open_low=True)
        if layer_decay > 1:
            raise OptionError(message("groups: layer_decay", got=layer_decay, allowed="a number > 0 and <= 1"))
        if lr is None:
            raise OptionError(message("groups: layer_decay= scales lr=, which is not given", do="Pass lr= here"))
    elif layers is not None:
        raise OptionError(message("groups: layers= is for layer_decay=, which is not given", do="Pass layer_decay="))
    listed = isinstance(undecayed, Collection) and not isinstance(undecayed, str)
    strange = [kind for kind in undecayed if kind not in KINDS] if listed else [undecayed]
    if strange:
        allowed, hint = f"a sequence of {', '.join(map(repr, KINDS))}", did_you_mean(str(strange[0]), KINDS)
        raise OptionError(message("groups: undecayed", got=undecayed, allowed=allowed, do=hint))


def _list_parameters(model: nn.Module) -> list[Assignment]:
    """Each parameter once, with all its names and owners.

    Raises:
        ParameterError: if there are none, or one has no shape yet.
    """
    found: dict[int, Assignment] = {}
    for prefix, module in model.named_modules(remove_duplicate=False):
        for local, p in module.named_parameters(recurse=False, remove_duplicate=False):
            name = f"{prefix}.{local}" if prefix else local
            if isinstance(p, UninitializedParameter):
                raise ParameterError(
                    message(f"groups: {name!r} has no shape yet", do="Run one batch through the model first")
                )
            kind = _classify(module, local, p)
            old = found.get(id(p))
            if old is None:
                found[id(p)] = Assignment((name,), p, (module,), kind)
            else:
                kind = min(old.kind, kind, key=KINDS.index)
                found[id(p)] = Assignment((*old.names, name), p, (*old.owners, module), kind)
    if not found:
        raise ParameterError(message(f"groups: {type(model).__name__} has no parameters"))
    return list(found.values())


def _classify(module: nn.Module, local: str, p: Tensor) -> str:
    title = type(module).__name__
    if isinstance(module, _NORMS) or "norm" in title.lower():
        return "norm"
    if isinstance(module, _EMBEDDINGS) or title.endswith("Embedding"):
        return "embedding"
    if local == "bias" or local.startswith("bias_"):
        return "bias"
    return "vector" if p.dim() < 2 else "weight"


def _check_rules(rules: Rules | None) -> list[tuple[Pattern, dict[str, Any]]]:
    """The rules as pairs.

    Raises:
        OptionError: if they are not pairs of a pattern and options.
        UnknownOptionError: if an option is a misspelling of a known one.
    """
    if not isinstance(rules, Mapping | Sequence | None):
        raise OptionError(message("groups: rules", got=rules, allowed="(pattern, options) pairs, or a mapping"))
    pairs = list(rules.items()) if isinstance(rules, Mapping) else list(rules or [])
    checked: list[tuple[Pattern, dict[str, Any]]] = []
    for pair in pairs:
        if not (isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[1], Mapping)):
            raise OptionError(
                message(
                    "groups: a rule", got=pair, allowed='(pattern, options), as in ("*.bias", dict(weight_decay=0))'
                )
            )
        pattern, given = pair
        if not isinstance(pattern, str) and not (isinstance(pattern, type) and issubclass(pattern, nn.Module)):
            raise OptionError(message("groups: a pattern", got=pattern, allowed="a string or a type of module"))
        _check_keys(given, f"the rule {_title(pattern)}")
        checked.append((pattern, dict(given)))
    return checked


def _check_kinds(
    kinds: Mapping[str, Mapping[str, Any]] | None, assignments: list[Assignment]
) -> Mapping[str, Mapping[str, Any]]:
    """The options of each kind.

    Raises:
        OptionError: if they are no mapping of kinds to options, or the model has none of a kind.
        UnknownOptionError: if an option is a misspelling of a known one.
    """
    if not isinstance(kinds, Mapping | None) or any(not isinstance(given, Mapping) for given in (kinds or {}).values()):
        allowed = "a mapping of kinds to options, as in {'weight': dict(lr=1e-4)}"
        raise OptionError(message("groups: kinds", got=kinds, allowed=allowed))
    present = [kind for kind in KINDS if any(a.kind == kind for a in assignments)]
    for kind, given in (kinds or {}).items():
        if kind not in present:
            do = did_you_mean(str(kind), present)
            raise OptionError(message(f"groups: no parameter of the model is of the kind {kind!r}", do=do))
        _check_keys(given, f"the kind {kind!r}")
    return kinds or {}


def _check_keys(given: Mapping[str, Any], owner: str) -> None:
    """Refuse options that are misspelt, or not a rule's to decide.

    Raises:
        UnknownOptionError: if there is one.
    """
    known = {"lr", "weight_decay", "decay", "method", *known_options.FLAGS, *list_every_hyper()}
    for key in given:
        meant = _find_misspelt(str(key), known)
        if meant or key in ("params", "param_names"):
            hint = f"Did you mean {meant!r}?" if meant else "The model decides those."
            raise UnknownOptionError(message(f"groups: {owner} sets {key!r}", do=hint))


def _find_misspelt(key: str, known: set[str]) -> str | None:
    """The known option that a key almost spells: other libraries' options are let through, torch reads no others."""
    if key in known:
        return None
    folded = {name.casefold(): name for name in sorted(known)}
    # At 0.87 "weigth_decay" is caught, while "beta3" and "eps1", which some methods have, are not.
    close = get_close_matches(key.casefold(), folded, n=1, cutoff=0.87)
    return folded[close[0]] if close else None


def _match(pairs: list[tuple[Pattern, dict[str, Any]]], assignments: list[Assignment]) -> None:
    """Give each parameter the options of the first pattern that matches it.

    Raises:
        OptionError: if a pattern matches nothing, or only what earlier ones took.
    """
    for pattern, given in pairs:
        matched = [a for a in assignments if _matches(pattern, a)]
        if not matched:
            raise OptionError(
                message(f"groups: no parameter matches {_title(pattern)}", do=_hint(pattern, assignments))
            )
        free = [a for a in matched if not a.pattern]
        if not free:
            earlier = ", ".join(sorted({a.pattern for a in matched}))
            raise OptionError(
                message(
                    f"groups: all {len(matched)} parameters that match {_title(pattern)} are taken by {earlier}",
                    do="The first match wins: put it before",
                )
            )
        for a in free:
            a.pattern, a.options = _title(pattern), dict(given)


def _matches(pattern: Pattern, a: Assignment) -> bool:
    if isinstance(pattern, str):
        return any(fnmatchcase(name, pattern) for name in a.names)
    return any(isinstance(owner, pattern) for owner in a.owners)


def _title(pattern: Pattern) -> str:
    return repr(pattern) if isinstance(pattern, str) else pattern.__name__


def _hint(pattern: Pattern, assignments: list[Assignment]) -> str:
    if not isinstance(pattern, str):
        return did_you_mean(pattern.__name__, {type(o).__name__ for a in assignments for o in a.owners})
    names = [name for a in assignments for name in a.names]
    if not any(c in pattern for c in "*?["):
        inside = [n for n in names if n.startswith(f"{pattern}.")]
        return f"Did you mean {pattern + '.*'!r}?" if inside else did_you_mean(pattern, names)
    parts = [name.split(".") for name in names]
    known = {".".join(p[:i]) + ".*" for p in parts for i in range(1, len(p))} | {f"*.{p[-1]}" for p in parts}
    return did_you_mean(pattern, known)


def _check_once(model: nn.Module, made: list[dict[str, Any]]) -> None:
    """Assert that each of the model's parameters is in one group, once."""
    assigned = [id(p) for group in made for p in group["params"]]
    assert len(set(assigned)) == len(assigned), "a parameter was assigned twice"
    assert set(assigned) == {id(p) for p in model.parameters()}, "a parameter was not assigned"


def _summarise(own: list[Assignment]) -> str:
    counts = {kind: sum(a.kind == kind for a in own) for kind in KINDS}
    text = ", ".join(f"{n} {kind}" for kind, n in counts.items() if n)
    tied, frozen = sum(len(a.names) > 1 for a in own), sum(not a.tensor.requires_grad for a in own)
    patterns = ", ".join(dict.fromkeys(a.pattern for a in own if a.pattern))
    notes = [f"{tied} tied"] * bool(tied) + [f"{frozen} frozen"] * bool(frozen) + [f"by {patterns}"] * bool(patterns)
    return f"{text} ({'; '.join(notes)})" if notes else text


def _show(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, int | float) and not math.isnan(value) else str(value)


def _set_table(rows: list[list[str]], *, right: int) -> str:
    """Rows of text as aligned columns, the first ``right`` of them flush right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    place: list[Callable[[str, int], str]] = [str.rjust if i < right else str.ljust for i in range(len(widths))]
    return "\n".join(
        "  ".join(put(cell, width) for put, cell, width in zip(place, row, widths, strict=True)).rstrip()
        for row in rows
    )
