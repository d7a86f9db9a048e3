"""Honest times on a machine that others use too.

With another busy process on a core, the threads of a parallel region wait for each other for whole scheduler
slices: a region of 30 µs then takes 8 ms, whoever it belongs to, and a ratio of two such times says nothing.
So a small parallel region of known duration, the *probe*, is run before and after every sample; a sample
counts only if both were about as fast as the machine can be. The contenders take turns, in random order.
"""

import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

Step = Callable[[], object]
Sample = tuple[float, float]  # milliseconds of a step after a backward pass, and of one after a step

_REGIONS = 8  # parallel regions in one probe
_SLACK = 1.6  # how much slower than its best a probe may be


@dataclass(frozen=True)
class Times:
    """Medians of one contender.

    Args:
        after_backward: milliseconds of a step right after a backward pass: what a training loop sees.
        alone: milliseconds of a step right after another one of its own.
        counted: quiet samples, of which the medians are taken; 0 if they were fewer than three, and then the
            medians are those of all samples.
        samples: samples that were taken.
    """

    after_backward: float
    alone: float
    counted: int
    samples: int


class Probe:
    """The two-thread probe, calibrated on the quietest moments of this process."""

    def __init__(self) -> None:
        self._x = torch.rand(100_000)
        self._y = torch.rand(100_000)
        self._best = min(self._time() for _ in range(300))

    def _time(self) -> float:
        self._region()  # brings the numbers back into the cache
        start = time.perf_counter()
        for _ in range(_REGIONS):
            self._region()
        return time.perf_counter() - start

    def _region(self) -> None:
        torch.add(self._x, self._y, out=self._x).clamp_(0, 1)

    def quiet(self) -> bool:
        """Whether a parallel region takes what it should just now."""
        taken = self._time()
        self._best = min(self._best, taken)
        return taken < _SLACK * self._best


class Backward:
    """A real backward pass: it leaves torch's worker threads as a training step leaves them."""

    def __init__(self) -> None:
        self._weight = torch.rand(256, 256, requires_grad=True)
        self._input = torch.rand(256, 256)

    def run(self) -> None:
        """One forward and backward pass of a linear layer."""
        self._weight.grad = None
        (self._input @ self._weight).square().mean().backward()


def measure(
    contenders: dict[str, Step], renew: Callable[[], None], *, samples: int, seconds: float
) -> dict[str, Times]:
    """Time the contenders side by side.

    Args:
        contenders: what to time, by name.
        renew: untimed; called before each step, to hand out gradients as ``zero_grad`` and ``backward`` do.
        samples: how many quiet samples of each to collect.
        seconds: give up waiting for them after this long.
    """
    probe, backward = Probe(), Backward()
    for step in contenders.values():
        for _ in range(3):
            renew()
            step()
    quiet: dict[str, list[Sample]] = {name: [] for name in contenders}
    every: dict[str, list[Sample]] = {name: [] for name in contenders}
    end = time.perf_counter() + seconds
    order = random.Random(0)
    before = probe.quiet()
    while min(map(len, every.values())) < 3 or time.perf_counter() < end:
        wanting = [name for name in contenders if len(quiet[name]) < samples]
        if not wanting:
            break
        for name in order.sample(wanting, len(wanting)):
            sample = _sample(contenders[name], renew, backward)
            after = probe.quiet()
            every[name].append(sample)
            if before and after:
                quiet[name].append(sample)
            before = after
    return {name: _medians(quiet[name], every[name]) for name in contenders}


def _medians(quiet: list[Sample], every: list[Sample]) -> Times:
    enough = len(quiet) >= 3
    after_backward, alone = map(statistics.median, zip(*(quiet if enough else every), strict=True))
    return Times(after_backward, alone, len(quiet) if enough else 0, len(every))


def _sample(step: Step, renew: Callable[[], None], backward: Backward) -> Sample:
    renew()
    backward.run()
    start = time.perf_counter()
    step()
    after_backward = time.perf_counter() - start
    renew()
    start = time.perf_counter()
    step()
    return 1e3 * after_backward, 1e3 * (time.perf_counter() - start)
