"""The same method in other libraries, ready to step: torch, pytorch_optimizer, HeavyBall and optax.

A library that is not installed, or lacks the method, is left out: ``pip install -e '.[peers]'`` brings the two that
the tests do not need.
"""

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import torch

from probe import Step

Params = list[torch.nn.Parameter]

LR = 1e-5
"""So small that no parameter runs away in thousands of steps on the same gradients."""

_HEAVYBALL = {
    "ADOPT": "ADOPT", "AdEMAMix": "AdEMAMix", "AdamW": "AdamW", "NAdam": "NAdam", "RMSprop": "RMSprop", "SGD": "SGD",
    "ScheduleFreeAdamW": "SFAdamW",
}  # fmt: skip
_OPTAX = {
    "AdaBelief": "adabelief", "Adadelta": "adadelta", "Adafactor": "adafactor", "Adagrad": "adagrad", "Adam": "adam",
    "AdamW": "adamw", "Adamax": "adamax", "Adan": "adan", "LAMB": "lamb", "LARS": "lars", "Lion": "lion",
    "NAdam": "nadam", "NovoGrad": "novograd", "RAdam": "radam", "RMSprop": "rmsprop", "Rprop": "rprop", "SGD": "sgd",
    "SM3": "sm3", "SignSGD": "sign_sgd", "Yogi": "yogi",
}  # fmt: skip
_OPTAX_CONTRIB = {
    "ADOPT": "adopt", "AdEMAMix": "ademamix", "DAdaptAdam": "dadapt_adamw", "Prodigy": "prodigy",
    "ScheduleFreeAdamW": "schedule_free_adamw", "ScheduleFreeSGD": "schedule_free_sgd",
}  # fmt: skip
_KOZISTR: dict[str, tuple[str, dict[str, Any]]] = {
    "SGDW": ("sgdw", {"momentum": 0.9}),
    "SignSGD": ("signsgd", {"momentum": 0.0}),
    "Signum": ("signsgd", {"momentum": 0.9}),
}
"""Where the name is another, or its defaults would be another method."""


def peers(name: str, params: Params) -> dict[str, Step]:
    """A method's steps in every library and on every path that has it.

    Args:
        name: of our class.
        params: with gradients.
    """
    steps: dict[str, Step] = {}
    for find in (_find_torch, _find_kozistr, _find_heavyball, _find_optax):
        steps.update(find(name, params))
    return steps


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _find_torch(name: str, params: Params) -> Iterator[tuple[str, Step]]:
    kind = getattr(torch.optim, name, None)
    flags = {"fused": {"fused": True}, "foreach": {"foreach": True}, "for-loop": {"foreach": False}}
    for path, flag in flags.items():
        if kind is not None and flag.keys() <= inspect.signature(kind).parameters.keys():
            yield f"torch {path}", kind(params, lr=LR, **flag).step


def _find_kozistr(name: str, params: Params) -> Iterator[tuple[str, Step]]:
    if not _installed("pytorch_optimizer"):
        return
    import pytorch_optimizer

    own, settings = _KOZISTR.get(name, (name.lower(), {}))
    if own not in pytorch_optimizer.get_supported_optimizers() or hasattr(torch.optim, name):
        return  # torch's own stands for the method, as everywhere in this benchmark
    kind: Any = pytorch_optimizer.load_optimizer(own)
    has_paths = "foreach" in inspect.signature(kind).parameters
    for path, flag in (("foreach", {"foreach": True}), ("for-loop", {"foreach": False})) if has_paths else (("", {}),):
        yield f"kozistr {path}".strip(), kind(params, lr=LR, **settings, **flag).step


def _find_heavyball(name: str, params: Params) -> Iterator[tuple[str, Step]]:
    if name not in _HEAVYBALL or not _installed("heavyball"):
        return
    heavyball = importlib.import_module("heavyball")
    yield "heavyball", getattr(heavyball, _HEAVYBALL[name])(params, lr=LR).step


def _find_optax(name: str, params: Params) -> Iterator[tuple[str, Step]]:
    if name not in _OPTAX | _OPTAX_CONTRIB or not _installed("optax"):
        return
    place, own = ("optax", _OPTAX) if name in _OPTAX else ("optax.contrib", _OPTAX_CONTRIB)
    make = getattr(importlib.import_module(place), own[name])
    yield "optax", _jit(make(learning_rate=LR), params)


def _jit(transformation: Any, params: Params) -> Callable[[], None]:
    """An optax step as a training loop would have it: one compiled call that may write over what it is given."""
    jax: Any = importlib.import_module("jax")
    optax: Any = importlib.import_module("optax")

    def update(values: Any, state: Any, grads: Any) -> Any:
        moves, state = transformation.update(grads, state, values)
        return optax.apply_updates(values, moves), state

    compiled = jax.jit(update, donate_argnums=(0, 1))
    values = [jax.numpy.array(p.detach().numpy()) for p in params]
    grads = [jax.numpy.array(p.grad.numpy()) for p in params if p.grad is not None]
    state = jax.tree.map(jax.numpy.copy, transformation.init(values))  # some keep the values themselves

    def step() -> None:
        nonlocal values, state
        values, state = compiled(values, state, grads)
        jax.block_until_ready(values)

    return step
