"""What a process pays once: importing descend, and compiling a method's kernels."""

import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass

# name: (constructor, seconds allowed from an empty store)
METHODS: dict[str, tuple[str, float]] = {
    "SGD": ("SGD(ps, momentum=0.9)", 0.4),
    "AdamW": ("AdamW(ps)", 0.4),
    "RMSprop": ("RMSprop(ps)", 0.4),
    "Lion": ("Lion(ps)", 0.4),
    "AdamW, clip_norm": ("AdamW(ps, clip_norm=1.0)", 1.2),
    "LAMB": ("LAMB(ps)", 1.2),
    "LARS": ("LARS(ps)", 1.2),
}
WARM_ALLOWED = 0.05
IMPORT_ALLOWED = 0.15

_IMPORT = """
import time, torch
start = time.perf_counter()
import descend
print(time.perf_counter() - start)
"""

# The first torch optimizer of a process imports torch's compiler, and the first kernel starts LLVM: both are
# done with before the clock of the method starts; the first kernel's time is printed on its own.
_COMPILE = """
import time, torch, descend
ps = [torch.nn.Parameter(torch.ones(8, 8)), torch.nn.Parameter(torch.ones(8))]
for p in ps: p.grad = torch.ones_like(p)
torch.optim.SGD(ps).step()
start = time.perf_counter()
descend.Adagrad(ps).step()
first = time.perf_counter() - start
start = time.perf_counter()
descend.{constructor}.step()
print(first, time.perf_counter() - start)
"""


@dataclass(frozen=True)
class Compile:
    """Seconds until the first step of a method is done, in a new process.

    Args:
        method: which.
        cold: from an empty kernel store.
        warm: from a store that has the kernel.
        start: of the process's very first kernel, LLVM's start included, from a warm store.
        cold_allowed: seconds asked for.
    """

    method: str
    cold: float
    warm: float
    start: float
    cold_allowed: float


def _run(code: str, store: str) -> list[float]:
    environment = {**os.environ, "DESCEND_CACHE_DIR": store}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


def time_import(repeats: int = 7) -> float:
    """Seconds that ``import descend`` adds to ``import torch``, median of new processes."""
    with tempfile.TemporaryDirectory() as store:
        return statistics.median(_run(_IMPORT, store)[0] for _ in range(repeats))


def time_compile(method: str, repeats: int = 3) -> Compile:
    """Seconds to compile a method, median over new processes with new stores."""
    constructor, allowed = METHODS[method]
    code = _COMPILE.format(constructor=constructor)
    cold, warm, start = [], [], []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as store:
            cold.append(_run(code, store)[1])
            first, again = _run(code, store)
            warm.append(again)
            start.append(first)
    median = statistics.median
    return Compile(method, median(cold), median(warm), median(start), allowed)
