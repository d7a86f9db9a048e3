"""Who is timed against whom: the cases, each with its contenders and the ratio that is asked for."""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch

import descend
from peers import LR, Params, peers
from probe import Step

Build = Callable[[Params], dict[str, Step]]

OURS = "descend"
EVERY = "every/"
"""What names of cases begin with that compare a method with all libraries."""


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Args:
        name: method and shapes, ``adamw/mlp``.
        shapes: key of ``shapes.SHAPES``.
        build: parameters -> contenders; ours is called ``descend``.
        against: the contenders of which the fastest is compared with ours; None for all.
        states: float32 numbers of state a coordinate that the trivial step of the bandwidth moves too.
        bound: the least ratio asked for, None where none is.
    """

    name: str
    shapes: str
    build: Build
    against: tuple[str, ...] | None
    states: int
    bound: float | None = None


def count_bytes(step: Step) -> int:
    """The bytes that one of our optimizers moves, by its ``step``."""
    optimizer = getattr(step, "__self__")  # noqa: B009  # only bound methods have one
    return sum(part.bytes_moved for part in optimizer.explain().parts)


def torch_paths(kind: type, params: Params, paths: Iterable[str], **options: Any) -> dict[str, Step]:
    """The steps of a torch optimizer by implementation: for-loop, foreach, fused."""
    flags = {
        "for-loop": {"foreach": False},
        "foreach": {"foreach": True},
        "fused": {"fused": True},
    }
    return {path: kind(params, **options, **flags[path]).step for path in paths}


def against_torch(name: str, paths: tuple[str, ...], **options: Any) -> Build:
    """Our class and torch's of the same name, with the same options."""

    def build(params: Params) -> dict[str, Step]:
        ours = getattr(descend, name)(params, **options)
        return {OURS: ours.step, **torch_paths(getattr(torch.optim, name), params, paths, **options)}

    return build


def adamw_clipped(params: Params) -> dict[str, Step]:
    """``clip_norm=1`` inside the step against ``clip_grad_norm_`` before it."""
    ours = descend.AdamW(params, lr=1e-5, clip_norm=1.0)
    theirs = torch.optim.AdamW(params, lr=1e-5, fused=True)

    def clip_and_step() -> None:
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        theirs.step()

    return {OURS: ours.step, "clip+fused": clip_and_step}


def against_kozistr(name: str, theirs: str, **options: Any) -> Build:
    """Our class and pytorch_optimizer's, on each path that it offers."""

    def build(params: Params) -> dict[str, Step]:
        import pytorch_optimizer  # imports slowly, and only these cases need it

        kind = getattr(pytorch_optimizer, theirs)
        steps: dict[str, Step] = {OURS: getattr(descend, name)(params, **options).step}
        for path, foreach in (("kozistr for-loop", False), ("kozistr foreach", True)):
            try:
                steps[path] = kind(params, lr=1e-5, foreach=foreach).step
            except TypeError:  # this method has a single path
                steps["kozistr for-loop"] = kind(params, lr=1e-5).step
        return steps

    return build


def groups(params: Params) -> dict[str, Step]:
    """A group for each tensor, all with their own rate and step count, against one group of all."""
    one = descend.AdamW(params, lr=1e-5)
    many = descend.AdamW([{"params": [p], "lr": 1e-5 * (1 + i / len(params))} for i, p in enumerate(params)])
    for p in params:
        p.grad = torch.zeros_like(p)
    many.step()
    saved = many.state_dict()
    for i, state in saved["state"].items():
        state["step"] = torch.tensor(float(i + 1))
    many.load_state_dict(saved)
    return {"1000 groups": many.step, "one group": one.step}


_ASKED = {  # least ratio to torch's fastest path
    "adamw": {"mlp": 2.0, "small-gpt": 1.8, "1000x128": 8.0, "resnet50": 1.0, "gpt2": 0.95},
    "sgd": {"mlp": 1.5, "small-gpt": 1.4, "1000x128": 6.0, "resnet50": 1.0, "gpt2": 1.0},
    "adamw-clip": {"mlp": 3.0, "small-gpt": 2.2, "1000x128": 12.0, "resnet50": 1.35, "gpt2": 1.35},
}
_FUSED = ("fused",)
_ALL = ("fused", "foreach", "for-loop")
_UNFUSED = ("foreach", "for-loop")

# method, float32 states a coordinate, options
_FUSED_IN_TORCH: list[tuple[str, int, dict[str, Any]]] = [
    ("SGD", 0, {}),
    ("Adagrad", 1, {}),
    ("Adam", 2, {}),
    ("Adam", 3, {"amsgrad": True}),
]
_NOT_FUSED_IN_TORCH: list[tuple[str, int, dict[str, Any]]] = [
    ("RMSprop", 1, {}),
    ("RMSprop", 3, {"centered": True, "momentum": 0.9}),
    ("Adadelta", 2, {}),
    ("Adamax", 2, {}),
    ("NAdam", 2, {}),
    ("RAdam", 2, {}),
]


def every_method(shapes: str) -> list[Case]:
    """Each method as it is by default, against every library and path that has it."""

    def build_for(name: str) -> Build:
        def build(params: Params) -> dict[str, Step]:
            kind = getattr(descend, name)
            options = {"lr": LR} if "lr" in inspect.signature(kind).parameters else {}
            return {OURS: kind(params, **options).step, **peers(name, params)}

        return build

    return [
        Case(f"{EVERY}{name.lower()}/{shapes}", shapes, build_for(name), None, 1, 1.0) for name in descend.optimizers()
    ]


def cases() -> list[Case]:
    """All of them, in the order of the table."""
    rows: list[Case] = []
    for shapes, bound in _ASKED["adamw"].items():
        rows.append(Case(f"adamw/{shapes}", shapes, against_torch("AdamW", _ALL, lr=1e-5), _FUSED, 2, bound))
    for shapes, bound in _ASKED["sgd"].items():
        build = against_torch("SGD", _ALL, lr=1e-5, momentum=0.9)
        rows.append(Case(f"sgd-momentum/{shapes}", shapes, build, _FUSED, 1, bound))
    for shapes, bound in _ASKED["adamw-clip"].items():
        rows.append(Case(f"adamw-clip/{shapes}", shapes, adamw_clipped, ("clip+fused",), 2, bound))
    for name, states, options in _FUSED_IN_TORCH:
        build = against_torch(name, _ALL, lr=1e-5, **options)
        rows.append(Case(f"{'-'.join([name.lower(), *options])}/resnet50", "resnet50", build, _ALL, states))
    for name, states, options in _NOT_FUSED_IN_TORCH:
        build = against_torch(name, _UNFUSED, lr=1e-5, **options)
        rows.append(Case(f"{'-'.join([name.lower(), *options])}/resnet50", "resnet50", build, _UNFUSED, states, 2.5))
    for name, states, theirs in (("Lion", 1, "Lion"), ("LAMB", 2, "Lamb"), ("LARS", 1, "LARS")):
        build = against_kozistr(name, theirs, lr=1e-5)
        peers = ("kozistr for-loop", "kozistr foreach")
        rows.append(Case(f"{name.lower()}/resnet50", "resnet50", build, peers, states, 2.5))
    return [*rows, *every_method("resnet50"), *every_method("gpt2")]
