"""D-Adaptation for Adam: a lower bound on the distance to the solution is the step size."""

from descend.lang import Keep, L2Decay, NonNegative, Positive, State, Value, maximum, minimum, rule, sqrt, sum, where

_STATES = {
    "m": "exp_avg", "v": "exp_avg_sq", "s": "s",  # running means of d g, of g * g, and of d g with the root of beta2
    "d": State("d", rate="all", start="d0"), "numerator": State("numerator_weighted", rate="all"),  # of its estimate
}  # fmt: skip


@rule(state=_STATES, cite="defazio2023", derives_from="adam", step_size="rate")
def dadaptadam(  # noqa: D417 - what the states are is said above
    p: Value,
    g: Value,
    t: Value,
    m: Value,
    v: Value,
    s: Value,
    d: Value,
    numerator: Value,
    lr: NonNegative = 1.0,
    betas: tuple[Keep, Keep] = (0.9, 0.999),
    eps: NonNegative = 1e-8,
    weight_decay: L2Decay = 0.0,
    use_bias_correction: bool = False,
    layer_scale: NonNegative = 1.0,
    d0: Positive = 1e-6,
    growth_rate: Positive | None = None,
) -> tuple[Value, ...]:
    """Defazio & Mishchenko 2023, Algorithm 5, as the authors' program has it (version 3): one d for all parameters.

    Args:
        lr: multiplies the step size d that is found; leave it at 1, under a schedule if wanted.
        betas: share of ``m`` and of ``v`` that a step keeps.
        eps: added to the root-mean-square gradient, in units of ``g``.
        weight_decay: L2 penalty added to ``g``.
        use_bias_correction: correct both moments as Adam does.
        layer_scale: multiplies a group's steps beside the others'.
        d0: d to begin with, in units of ``p``; far below the true distance.
        growth_rate: d grows at most by this factor a step; None is without limit.
    """
    b1, b2 = betas
    kept = sqrt(b2)
    rate = d * lr
    if use_bias_correction:
        rate = rate * sqrt(1 - b2**t) / (1 - b1**t)
    product = sum(layer_scale * rate * (g * s / (sqrt(v) + eps)), over="all")
    numerator = kept * numerator + (1 - kept) * product
    m = b1 * m + layer_scale * rate * (1 - b1) * g
    v = b2 * v + (1 - b2) * g * g
    s = where(lr > 0, kept * s + rate * (1 - kept) * g, s)
    size = sum(where(lr > 0, layer_scale * abs(s), 0.0), over="all")
    d_hat = where(size > 0, numerator / ((1 - kept) * size), d)
    d_next = maximum(d, d_hat if growth_rate is None else minimum(d_hat, d * growth_rate))
    return -m / (sqrt(v) + eps), m, v, s, d_next, numerator
