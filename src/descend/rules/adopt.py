"""ADOPT: Adam that divides by the second moment of the steps before, so that it converges with any beta 2."""

from descend.lang import Keep, L2Decay, NonNegative, Value, clamp, fresh, maximum, rule, sqrt, where


@rule(state={"m": "exp_avg", "v": "exp_avg_sq"}, cite="taniguchi2024", derives_from="adam")
def adopt(
    p: Value,
    g: Value,
    t: Value,
    m: Value,
    v: Value,
    lr: NonNegative = 1e-3,
    betas: tuple[Keep, Keep] = (0.9, 0.9999),
    eps: NonNegative = 1e-6,
    weight_decay: L2Decay = 0.0,
    clipped: bool = True,
) -> tuple[Value, ...]:
    """Taniguchi et al. 2024, Algorithm 2; the paper's step ``t`` is step ``t + 1`` here, the first only begins ``v``.

    Args:
        p: parameter.
        g: gradient.
        t: number of this step, from 1.
        m: running mean of the normalised gradients.
        v: running mean of ``g * g``, the first one to begin with.
        lr: step size, in units of ``p``.
        betas: share of ``m`` and of ``v`` that a step keeps.
        eps: smallest root of ``v`` to divide by, in units of ``g``.
        weight_decay: L2 penalty added to ``g``.
        clipped: clamp the normalised gradients to the fourth root of the paper's ``t``.
    """
    b1, b2 = betas
    c = (t - 1) ** 0.25
    d = g / maximum(sqrt(v), eps)
    m = where(fresh(v), m, b1 * m + (1 - b1) * (clamp(d, -c, c) if clipped else d))
    v = where(fresh(v), g * g, b2 * v + (1 - b2) * g * g)
    return -lr * m, m, v
