"""A step's gradients, taken from torch by one compiled call.

Asked one by one from Python, 1000 tensors take longer than their step: after a backward pass each ``p.grad`` makes a
Python object, and each question about it is a call. Here compiled code asks torch itself: its C functions for models
compiled ahead of time (``aoti_torch_...``, whose binary interface is kept stable) and the two C++ methods that say
where a tensor's gradient is and whether it wants one. Where something is missing, or is found to answer otherwise than
Python does, :func:`find_torch` gives None and Python asks one by one.
"""

import ctypes
import functools
import os
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from descend.backends.cpu import compiler
from descend.backends.cpu.inspection.contents import can_look_inside
from descend.backends.cpu.inspection.gradients_template import RECORD, TAKE, Answer

_SYMBOLS = {
    "grad": "_ZNK3c1010TensorImpl4gradEv",
    "requires_grad": "_ZNK3c1010TensorImpl13requires_gradEv",
    **{name: f"aoti_torch_{name}" for name in list(RECORD.words)[RECORD.place("is_defined") :]},
}
_IMPLEMENTATION = 176
"""Bytes of a tensor's implementation, of which the set of its keys is among the last."""


@dataclass(frozen=True)
class Torch:
    """Where torch keeps what compiled code asks for.

    Args:
        functions: their addresses by name.
        handle: bytes from the beginning of a Python tensor to the C++ one.
        key_set: bytes from the beginning of its implementation to the set of its dispatch keys: what device and
            layout it has, whether it is a subclass, whether it stands for the conjugate or the negative of its memory.
        nothing: address of an undefined tensor.
    """

    functions: dict[str, int]
    handle: int
    key_set: int
    nothing: int


class Gradients:
    """Takes the gradients of a batch's parameters, which are held until they are released.

    Args:
        found: torch's functions.
        params: the parameters: plain dense tensors in this machine's memory.
        addresses: int64 [tensors], where a kernel reads where gradients lie; 0 where there is none.
        starts: where stretches of memory begin that no gradient may have a part of, in order.
        ends: 0, and for each stretch the furthest end of it and all before it.

    Attributes:
        present: uint8 [tensors], which tensors had a gradient when they were last taken.
        record: address of what compiled code reads.
        release_at: address of the compiled ``release``, which takes the record's.
    """

    def __init__(
        self, found: Torch, params: list[Tensor], addresses: np.ndarray, starts: np.ndarray, ends: np.ndarray
    ) -> None:
        module = _load()
        known = [_describe(found, p) for p in params]
        begins = np.cumsum([0, *map(len, known)])[:-1] * 8
        layouts = np.array([word for words in known for word in words], np.int64)
        self.present = np.zeros(len(params), np.uint8)
        arrays = {
            "params": np.array(list(map(id, params)), np.int64),
            "tensors": np.zeros(len(params), np.int64),
            "wanted": np.zeros(len(params), np.int64),
            "places": np.array([p.data_ptr() for p in params], np.int64),
            "bytes": np.array([p.nbytes for p in params], np.int64),
            "known": layouts.ctypes.data + begins,
            "gradients": addresses,
            "present": self.present,
            "held": np.full(len(params), _read_word(found.nothing), np.int64),
            "starts": starts,
            "ends": ends,
        }
        self._owned = (module, params, layouts, arrays)  # the record points to what they hold
        numbers = {"count": len(params), "stretches": len(starts)}
        offsets = {"handle": found.handle, "key_set": found.key_set, "nothing": found.nothing}
        words = numbers | offsets | {name: array.ctypes.data for name, array in arrays.items()} | found.functions
        self._record = RECORD.fill(words)
        self.record, self.release_at = self._record.ctypes.data, module.address("release")
        # under the interpreter's lock: no other thread may give a parameter another gradient meanwhile
        self._take = module.function("take", ctypes.c_void_p, result=ctypes.c_int64, unlocked=False)
        self._release = module.function("release", ctypes.c_void_p, unlocked=False)

    def take(self) -> Answer:
        """Take a step's gradients, if each is laid out as its parameter and apart from all."""
        return self._take(self.record)

    def forget(self) -> None:
        """Let the next answer be that other tensors have gradients, whichever they are."""
        self.present[:] = 2

    def release(self) -> None:
        """Let go of the gradients."""
        self._release(self.record)

    def __del__(self) -> None:
        if hasattr(self, "_release"):
            self.release()


@functools.cache
def find_torch() -> Torch | None:
    """What compiled code needs to ask torch; None where this torch or this Python has something else."""
    if os.name != "posix" or not can_look_inside():
        return None
    try:
        # whatever mode or device the caller has chosen, for what is asked once and remembered
        with torch.inference_mode(False), torch.device("cpu"):
            return _look_for_torch()
    except (AttributeError, OSError):
        return None


def _look_for_torch() -> Torch | None:
    library = ctypes.CDLL(torch._C.__file__)
    functions = {name: ctypes.cast(library[s], ctypes.c_void_p).value or 0 for name, s in _SYMBOLS.items()}
    nothing = ctypes.c_void_p()
    library["aoti_torch_new_uninitialized_tensor"](ctypes.byref(nothing))
    plain, pair = torch.ones(3, 2), torch.ones(2, dtype=torch.complex64)
    turned = pair.conj()
    samples = [plain, torch.nn.Parameter(plain), torch.ones(0, dtype=torch.bfloat16), pair, turned, turned.imag]
    handle = _find_word([(id(t), t._cdata) for t in samples], Tensor.__basicsize__)
    keys = [(t._cdata, torch._C._dispatch_keys(t).raw_repr()) for t in samples]
    key_set = _find_word(keys, _IMPLEMENTATION)
    if handle is None or key_set is None or len({word for _, word in keys}) < 3:
        return None
    found = Torch(functions, handle, key_set, nothing.value or 0)
    return found if _answers_as_python(found) else None


def _find_word(samples: list[tuple[int, int]], size: int) -> int | None:
    """Where a word stands in each of several objects, given their addresses and words; None unless in one place."""
    places = [k for k in range(0, size, 8) if all(_read_word(at + k) == word % (1 << 64) for at, word in samples)]
    return places[0] if len(places) == 1 else None


def _read_word(address: int) -> int:
    return ctypes.c_uint64.from_address(address).value


def _describe(found: Torch, p: Tensor) -> list[int]:
    """What is known of a tensor's layout, in the order in which it is compared."""
    dtype = ctypes.c_int32()
    ask = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p)(found.functions["get_dtype"])
    ask(id(p) + found.handle, ctypes.byref(dtype))
    keys = ctypes.c_int64.from_address(p._cdata + found.key_set).value
    return [keys, dtype.value, p.dim(), *p.shape, *p.stride()]


@functools.cache
def _load() -> compiler.Kernel:
    return compiler.load("gradients", TAKE, 0)


def find_take() -> int:
    """Address of the compiled ``take``, which takes the gradients of a record and returns an ``Answer``."""
    return _load().address("take")


def _answers_as_python(found: Torch) -> bool:
    """Whether compiled code sees of some tensors what Python sees."""
    params: list[Tensor] = [torch.nn.Parameter(torch.ones(n, 2)) for n in (1, 3, 0, 2)]
    for p in params[:-1]:
        p.grad = torch.ones_like(p)
    lies = np.zeros(len(params), np.int64)
    ends = np.zeros(1, np.int64)
    gradients = Gradients(found, params, lies, np.zeros(0, np.int64), ends)
    first = gradients.take()
    right = lies.tolist() == [0 if p.grad is None else p.grad.data_ptr() for p in params]
    again = gradients.take()
    params[1].grad = torch.ones(2, 3).t()
    turned = gradients.take()
    params[0].data = torch.ones(1, 2)
    moved = gradients.take()
    return right and [first, again, turned, moved] == [Answer.OTHERS, Answer.SAME, Answer.UNUSUAL, Answer.MOVED]
