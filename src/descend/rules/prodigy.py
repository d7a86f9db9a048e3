"""Prodigy: Adam that finds its own step size, from an estimate of how far the solution is from the start."""

from descend.lang import DecoupledDecay, Keep, NonNegative, Positive, State, Value, maximum, minimum, rule, sqrt, where
from descend.lang import sum as total

_STATES = {
    "m": "exp_avg", "v": "exp_avg_sq",  # running means of d g and of its square
    "s": "s", "p0": State("p0", start="p"),  # running sum of d g, and the first parameters
    "d": State("d", rate="all", start="d0"), "d_max": State("d_max", rate="all", start="d0"),  # and largest estimate
    "numerator": State("d_numerator", rate="all"),  # of the estimate
}  # fmt: skip


@rule(state=_STATES, cite="mishchenko2023", derives_from=("dadaptadam", "adam"), step_size="rate")
def prodigy(  # noqa: D417 - what the states are is said above
    p: Value, g: Value, t: Value, m: Value, v: Value, s: Value, p0: Value, d: Value, d_max: Value, numerator: Value,
    lr: NonNegative = 1.0, betas: tuple[Keep, Keep] = (0.9, 0.999), beta3: Keep | None = None,
    eps: NonNegative = 1e-8, weight_decay: DecoupledDecay = 0.0,
    use_bias_correction: bool = False, safeguard_warmup: bool = False,
    d0: Positive = 1e-6, d_coef: Positive = 1.0, growth_rate: Positive | None = None,
) -> tuple[Value, ...]:  # fmt: skip
    """Mishchenko & Defazio 2023, Algorithm 4, as the authors' program has it: one d for all parameters.

    Where lr is 0 a group neither moves nor has a say in d.

    Args:
        lr: multiplies the step size d that is found; leave it at 1, under a schedule that ends low if wanted.
        betas: share of ``m`` and of ``v`` that a step keeps.
        beta3: share of what d is estimated from that a step keeps; None is the root of the second beta.
        eps: added to the root-mean-square gradient, in units of ``g``.
        weight_decay: shrinks ``p`` by lr d weight_decay a step.
        use_bias_correction: correct both moments as Adam does.
        safeguard_warmup: leave lr out of the denominator of d, for a schedule that begins low.
        d0: d to begin with, in units of ``p``; far below the true distance.
        d_coef: multiplies the estimate; the setting to tune, 0.5 to 2.
        growth_rate: d grows at most by this factor a step; None is without limit.
    """
    b1, b2 = betas
    b3 = sqrt(b2) if beta3 is None else beta3
    rate = d * lr
    if use_bias_correction:
        rate = rate * sqrt(1 - b2**t) / (1 - b1**t)
    s = where(lr > 0, b3 * s + d / d0 * (d if safeguard_warmup else rate) * g, s)
    numerator = b3 * numerator + total(d / d0 * rate * (g * (p0 - p)), over="all")
    denominator = total(where(lr > 0, abs(s), 0.0), over="all")
    d_hat = where(denominator > 0, d_coef * numerator / denominator, d)
    highest = maximum(d_max, d_hat)
    begun = where(d == d0, maximum(d, d_hat), d)
    d_next = highest if growth_rate is None else minimum(highest, begun * growth_rate)
    m = b1 * m + d * (1 - b1) * g
    v = b2 * v + d * d * (1 - b2) * g * g
    return -rate * m / (sqrt(v) + d_next * eps), m, v, s, p0, d_next, highest, numerator
