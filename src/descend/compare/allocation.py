"""Memory that is freed stays with the process while runs are trained."""

import ctypes
import functools
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's mallopt()
_LARGEST = 32 << 20
"""The most that glibc raises its threshold to by itself, once a program has freed a block of this size."""


@functools.cache
def keep_freed_memory() -> None:
    """Let glibc keep freed blocks of up to 32 MB, and 64 MB of them; elsewhere nothing is done.

    By default it hands activations of a few hundred kilobytes back to the system after each update, which clears them
    anew for the next: an addition over a stack of activations takes 95 microseconds instead of 13, and an update of
    21 small replicas 2.3 milliseconds instead of 1.9. It is where glibc's own rule ends up after freeing large blocks.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST)
        mallopt(_TRIM_THRESHOLD, 2 * _LARGEST)
