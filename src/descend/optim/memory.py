"""Where tensors lie in memory, and which of them meet there."""

from bisect import bisect_left
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from descend.errors import ParameterError, message


def find_stretch(tensor: Tensor) -> tuple[int, int]:
    """First address of a tensor and the address behind its last element; ``(0, 0)`` where it has none."""
    if tensor.layout is not torch.strided or tensor.device.type == "meta" or not tensor.numel():
        return 0, 0
    try:
        start = tensor.data_ptr()
    except RuntimeError:  # a subclass without memory of its own
        return 0, 0
    last = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True))
    return start, start + (last + 1) * tensor.element_size() if start else 0


class Spans:
    """Stretches of memory, to be asked whether another meets one of them.

    Args:
        tensors: whose memory.

    Attributes:
        tables: where stretches start, in order; 0, and the furthest end of each and of all before it.
    """

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []  # of everything that starts so early, so that one look finds any overlap
        for start, end in sorted(find_stretch(t) for t in tensors):
            if end:
                self._starts.append(start)
                self._ends.append(max(end, self._ends[-1] if self._ends else 0))
        self.tables = np.array(self._starts, np.int64), np.array([0, *self._ends], np.int64)

    def meet(self, start: int, size: int) -> bool:
        """Whether ``size`` bytes from ``start`` share one with a stretch."""
        after = bisect_left(self._starts, start + size)
        return size > 0 and after > 0 and self._ends[after - 1] > start


def refuse_shared(tensors: list[tuple[Tensor, str]], owner: str) -> None:
    """Refuse two tensors with an element in common, naming both; disjoint views of one buffer are fine.

    Args:
        tensors: each with its label.
        owner: for the message.

    Raises:
        ParameterError: if two share memory.
    """
    open_: list[tuple[int, Tensor, str]] = []
    for (start, end), tensor, label in sorted(((find_stretch(t), t, x) for t, x in tensors), key=lambda item: item[0]):
        if not end:
            continue
        open_ = [o for o in open_ if o[0] > start]
        for _, other, name in open_:
            if _share_element(tensor, other):
                raise ParameterError(
                    message(
                        f"{owner}: {name} and {label} share memory", do="Optimize the tensor that they are views of"
                    )
                )
        open_.append((end, tensor, label))


def _share_element(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors whose stretches cross have an element in common: two columns of a matrix have none."""
    storage = a.untyped_storage()
    if storage.data_ptr() != b.untyped_storage().data_ptr() or a.dtype != b.dtype:
        return True
    marks = torch.zeros(storage.nbytes() // a.element_size(), dtype=torch.uint8)
    for tensor in (a, b):
        marks.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset()).add_(1)
    return int(marks.max()) > 1
