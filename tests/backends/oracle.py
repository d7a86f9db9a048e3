"""What a formula of words must give: ``descend.lang.words.evaluate``, coordinate by coordinate."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

import descend
from descend.lang.rule import Rule
from descend.lang.words import evaluate

SPECIAL = [0.0, 1.0, 2.0, 0.5, 3.7, 1e-3, 88.0, 1e-20, 7e15, 3.4028234663852886e38, 1.1754943508222875e-38,
           1e-41, math.inf]  # fmt: skip
"""Float32's borders among plain numbers; 1e-41 is one of its denormals. All are used with both signs."""

Exact = Callable[[float, float], float]


def operands(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Every pair of special numbers, NaN included, and a few hundred random ones, as two vectors."""
    numbers = [*SPECIAL, *(-x for x in SPECIAL), math.nan]
    pairs = [(a, b) for a in numbers for b in numbers]
    random = np.random.default_rng(5).normal(size=(300, 2)) * 10.0 ** np.random.default_rng(6).uniform(-6, 6, (300, 2))
    table = torch.tensor(np.concatenate([pairs, random]), dtype=torch.float64).to(dtype)
    return table[:, 0].contiguous(), table[:, 1].contiguous()


def apply_rule(
    rule: Rule, a: torch.Tensor, b: torch.Tensor, backend: str, **options: float | tuple[float, ...]
) -> dict[str, torch.Tensor]:
    """One step of a formula with ``p = a`` and ``g = b``: its states by key, and ``"p"``."""
    p = torch.nn.Parameter(a.clone())
    p.grad = b.clone()
    optimizer = descend.optimizer(rule)([p], backend=backend, **options)
    optimizer.step()
    return {**optimizer.state[p], "p": p.detach()}


def word(op: str, *args: np.ndarray | float, dtype: torch.dtype) -> np.ndarray:
    """A word on arrays by its meaning on plain numbers, rounded once to ``dtype``."""
    kind = np.float32 if dtype == torch.float32 else np.float64
    columns = np.broadcast_arrays(*(np.asarray(a, np.float64) for a in args))
    flat = [evaluate(op, *row) for row in zip(*(c.reshape(-1).tolist() for c in columns), strict=True)]
    with np.errstate(over="ignore", under="ignore"):
        return np.array(flat, np.float64).astype(kind).reshape(columns[0].shape)


def assert_bits(got: torch.Tensor, expected: np.ndarray, what: str, *, signs: bool = True) -> None:
    """Equal to the bit; NaNs are all alike, and zeros too unless ``signs``."""
    values = got.numpy()
    same = (values == expected) | (np.isnan(values) & np.isnan(expected))
    if signs:
        same &= np.isnan(expected) | (np.signbit(values) == np.signbit(expected))
    bad = np.flatnonzero(~same)
    assert bad.size == 0, (
        f"{what}: {bad.size} differ; at {bad[0]} got {values[bad[0]]!r}, expected {expected[bad[0]]!r}"
    )


def assert_close(got: torch.Tensor, expected: np.ndarray, what: str, *, ulps: float) -> None:
    """Equal where not finite, else within some units in the last place."""
    values, wide = got.numpy().astype(np.float64), expected.astype(np.float64)
    finite = np.isfinite(wide)
    assert_bits(got[torch.from_numpy(~finite)], expected[~finite], what)
    error = np.abs(values[finite] - wide[finite]) / np.spacing(np.abs(expected[finite])).astype(np.float64)
    assert (error <= ulps).all(), f"{what}: {error.max():.3g} ulp off"


def read(results: dict[str, torch.Tensor], names: Sequence[str]) -> list[torch.Tensor]:
    """Some of the results, in order."""
    return [results[name] for name in names]
