"""Short last axes, as those of convolutions: along which axis loops run then, and for which sizes kernels are made."""

import math
from collections.abc import Sequence

SHORT = 16
"""Coordinates of a row below which beginning it costs more than computing it."""
MOST_SHORT = 32
"""Coordinates behind an index of the innermost loop, at most, for which shuffles of vectors are written out."""
LARGEST = 1 << 20
"""Coordinates of a tile that holds an axis whole, at most, for the sake of other threads."""
STRETCH = 1024
"""Elements that a loop over a stretch has, at most."""
GROUP = 16
"""Indices along the long axis that are taken together: a whole number of vectors, whatever the short axes."""


def choose_inner(shape: Sequence[int]) -> int | None:
    """The axis along which loops over a tensor run whose last axes are short; None for the last.

    Args:
        shape: of the tensor.
    """
    rows = [d for d, n in enumerate(shape) if n != 1]
    inner = next((d for d in reversed(rows) if shape[d] >= SHORT), None)
    if inner is None or inner == rows[-1] or math.prod(shape[inner + 1 :]) > STRETCH:
        return None
    return inner if inner == rows[0] or math.prod(shape[inner:]) <= LARGEST else None


def list_short(shape: Sequence[int], inner: int | None) -> tuple[int, ...]:
    """Sizes of a tensor's axes behind the innermost loop's that its kernel is made for; empty: made for any.

    Args:
        shape: of the tensor.
        inner: along which the innermost loop runs.
    """
    short = () if inner is None else tuple(shape[inner + 1 :])
    return short if math.prod(short) <= SHORT * SHORT else ()
