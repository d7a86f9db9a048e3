"""How deep each parameter lies in a model: what layer-wise learning rates count."""

from collections import Counter
from collections.abc import Callable, Sequence

from torch import nn

from descend.errors import OptionError, did_you_mean, message

Layers = str | Sequence[str] | Callable[[str], int] | None


def measure_depths(model: nn.Module, names: list[str], layers: Layers) -> dict[str, int]:
    """The depth of each parameter, counted from the input.

    Args:
        model: whose.
        names: of its parameters, in the order in which the model registers them.
        layers: the name of the module whose children are the layers; or names of modules in order from the input;
            or a function from a parameter's name to its depth, from 0; or None to find the one list of like modules.
            Parameters registered before the first layer are one depth, those behind the last layer another.

    Raises:
        OptionError: if there is no such module, or it is not clear which modules are the layers.
    """
    if isinstance(layers, nn.Module):
        do = 'Pass its name, as in layers="blocks"'
        raise OptionError(message(f"groups: layers= takes names, not a module ({type(layers).__name__})", do=do))
    if callable(layers):
        return {name: _check_depth(name, layers(name)) for name in names}
    prefixes = _list_layers(model, layers)
    owner = {name: next((i for i, p in enumerate(prefixes) if _is_inside(name, p)), None) for name in names}
    empty = [p for i, p in enumerate(prefixes) if i not in owner.values()]
    if empty and layers is not None and not isinstance(layers, str):
        raise OptionError(message(f"groups: layers= names {empty}, which hold no parameters", do="Leave them out"))
    inside = [i for i, name in enumerate(names) if owner[name] is not None]
    between = [n for n in names[inside[0] : inside[-1] + 1] if owner[n] is None]
    if between:
        raise OptionError(
            message(f"groups: {between} lie between the layers and in none of them", do="Name their modules in layers=")
        )
    raw: dict[str, int] = {}
    for i, name in enumerate(names):
        own = owner[name]
        raw[name] = own + 1 if own is not None else 0 if i < inside[0] else len(prefixes) + 1
    rank = {depth: i for i, depth in enumerate(sorted(set(raw.values())))}
    return {name: rank[depth] for name, depth in raw.items()}


def _check_depth(name: str, depth: object) -> int:
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 0:
        raise OptionError(message(f"groups: layers({name!r})", got=depth, allowed="a whole number, 0 at the input"))
    return depth


def _is_inside(name: str, module: str) -> bool:
    return name.startswith(f"{module}.")


def _list_layers(model: nn.Module, layers: str | Sequence[str] | None) -> list[str]:
    modules = dict(model.named_modules())
    if layers is None:
        layers = _find_list(modules)
    if isinstance(layers, str):
        if layers not in modules:
            raise OptionError(message(f"groups: the model has no module {layers!r}", do=did_you_mean(layers, modules)))
        children = [n for n, child in modules[layers].named_children() if any(True for _ in child.parameters())]
        if len(children) < 2:
            raise OptionError(
                message(f"groups: layers={layers!r} has {len(children)} children with parameters", allowed="2 or more")
            )
        return [f"{layers}.{child}" if layers else child for child in children]
    if not isinstance(layers, Sequence) or not layers:
        allowed = "the name of a list of modules, names of modules from the input on, or a function from name to depth"
        raise OptionError(message("groups: layers", got=layers, allowed=allowed))
    for name in layers:
        if name not in modules:
            raise OptionError(message(f"groups: the model has no module {name!r}", do=did_you_mean(name, modules)))
    return list(layers)


def _find_list(modules: dict[str, nn.Module]) -> str:
    """The outermost ``ModuleList`` or ``Sequential`` that holds at least two modules of one type with parameters.

    Raises:
        OptionError: if there is none, or more than one.
    """
    found: list[str] = []
    for name, module in modules.items():
        if not isinstance(module, nn.ModuleList | nn.Sequential):
            continue
        if any(name.startswith(f"{outer}.") or outer == "" for outer in found):
            continue
        types = Counter(type(child) for child in module.children() if any(True for _ in child.parameters()))
        if types and max(types.values()) >= 2:
            found.append(name)
    if len(found) != 1:
        what = f"several lists of like modules: {found}" if found else "no list of like modules"
        raise OptionError(
            message(
                f"groups: layer_decay= needs to know the layers, and the model has {what}",
                do='Pass layers="name of the list", the modules\' names in order, or a function from name to depth',
            )
        )
    return found[0]
