"""Means with intervals over seeds, and when one contender may be called better than another.

With 3 to 10 seeds the interval must be Student's: a bootstrap over 3 seeds covers 76 % where it claims 95.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its interval; the interval is infinite for a single seed."""

    mean: float
    low: float
    high: float
    count: int

    @property
    def half_width(self) -> float:
        """Half the length of the interval."""
        return (self.high - self.low) / 2


def estimate(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """The mean of a sample with Student's t interval (Student 1908).

    Args:
        values: one finite number a seed, at least one.
        confidence: probability with which such intervals contain the true mean, between 0 and 1.
    """
    count = len(values)
    mean = math.fsum(values) / count
    if count == 1:
        return Estimate(mean, -math.inf, math.inf, 1)
    half = t_quantile((1 + confidence) / 2, count - 1) * _deviation(values, mean) / math.sqrt(count)
    return Estimate(mean, mean - half, mean + half, count)


@dataclass(frozen=True)
class Difference:
    """One contender minus another, seed by seed, after Holm's correction; ``other`` is the one it is told of.

    ``separated`` says whether ``interval`` excludes zero and so did those of all clearer comparisons.
    """

    other: str
    interval: Estimate
    p: float
    separated: bool


def differences(scores: Mapping[str, Sequence[float]], leader: str, confidence: float = CONFIDENCE) -> list[Difference]:
    """Compare the leader with every other contender by paired differences, corrected after Holm (1979).

    The clearest of n comparisons is judged at level a/n, the next at a/(n-1), and so on; from the first
    that fails on, all fail. That the leader was picked by the same data does no harm to the sentence "the
    leader is the best": it needs all comparisons to succeed, which happens to a method that is not the best
    with probability a at most.

    Args:
        scores: for each contender one number a seed, higher is better, the same seeds in the same order.
        leader: the contender with the highest mean.
        confidence: 1 - a.

    Returns:
        the differences, clearest first.
    """
    ahead = {other: _gaps(scores[leader], values) for other, values in scores.items() if other != leader}
    return judge(ahead, confidence, lambda gaps: math.fsum(gaps) > 0)


def differences_from(
    scores: Mapping[str, Sequence[float]], baseline: str, confidence: float = CONFIDENCE
) -> list[Difference]:
    """Compare every contender with a baseline that was named beforehand, both ways, corrected after Holm (1979).

    Args:
        scores: for each contender one number a seed, higher is better, the same seeds in the same order.
        baseline: the contender that the others are compared with.
        confidence: 1 - a.

    Returns:
        the others minus the baseline, clearest first; ``separated`` says better or worse, by the sign.
    """
    ahead = {other: _gaps(values, scores[baseline]) for other, values in scores.items() if other != baseline}
    return judge(ahead, confidence)


def _gaps(one: Sequence[float], other: Sequence[float]) -> list[float]:
    return [a - b for a, b in zip(one, other, strict=True)]


def judge(
    pairs: Mapping[str, Sequence[float]],
    confidence: float = CONFIDENCE,
    counts: Callable[[Sequence[float]], bool] = lambda gaps: True,
) -> list[Difference]:
    """Which of several paired differences are not zero, corrected after Holm (1979), the clearest first.

    Args:
        pairs: for each comparison one difference a seed.
        confidence: probability that none is separated of which the true mean is zero.
        counts: which differences may be separated at all.
    """
    ordered = sorted((p_value(gaps), other, gaps) for other, gaps in pairs.items())
    found: list[Difference] = []
    alive, level = True, 1 - confidence
    for index, (p, other, gaps) in enumerate(ordered):
        if alive:
            level = (1 - confidence) / (len(ordered) - index)
        alive = alive and p <= level and counts(gaps)
        found.append(Difference(other, estimate(gaps, 1 - level), p, alive))
    return found


def p_value(gaps: Sequence[float]) -> float:
    """Two-sided p-value of the paired t test that the mean of these differences is zero.

    Differences that are all equal, as a metric that counts a few hundred examples gives them by chance, leave the
    t test nothing to go by; then it is the p-value of the sign test.
    """
    count = len(gaps)
    mean = math.fsum(gaps) / count
    if mean == 0 or count < 2:
        return 1.0
    deviation = _deviation(gaps, mean)
    if deviation <= 1e-12 * abs(mean):
        return 2.0 ** (1 - count)
    return t_tails(mean / deviation * math.sqrt(count), count - 1)


def _deviation(values: Sequence[float], mean: float) -> float:
    """The sample's standard deviation, with n - 1."""
    return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))


def t_tails(t: float, degrees: int) -> float:
    """Probability that Student's t with these degrees of freedom is further from zero than ``t``."""
    return incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t))


def t_quantile(probability: float, degrees: int) -> float:
    """The value below which Student's t lies with this probability, above 1/2."""
    tails = 2 * (1 - probability)
    low, high = 0.0, 1.0
    while t_tails(high, degrees) > tails:
        high *= 2
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if t_tails(middle, degrees) > tails else (low, middle)
    return (low + high) / 2


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function, by its continued fraction (DLMF 8.17.22)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(b, a, 1 - x)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    # Evaluated from the front by Lentz's method; for x below the mean it converges in a few dozen terms.
    tiny = 1e-300
    c, d, fraction = 1.0, 0.0, 1.0
    for i in range(1000):
        m = i // 2
        if i == 0:
            term = 1.0
        elif i % 2 == 0:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / (1 + term * d or tiny)
        c = 1 + term / c or tiny
        fraction *= c * d
        if i and abs(c * d - 1) < 1e-15:
            break
    return math.exp(log_front) / a * (fraction - 1)
