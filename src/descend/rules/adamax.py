"""Adamax: Adam with the largest gradient in place of the root mean square."""

from descend.lang import Keep, L2Decay, NonNegative, Value, maximum, rule


@rule(state={"m": "exp_avg", "u": "exp_inf"}, cite="kingma2015", derives_from="adam")
def adamax(
    p: Value,
    g: Value,
    t: Value,
    m: Value,
    u: Value,
    lr: NonNegative = 2e-3,
    betas: tuple[Keep, Keep] = (0.9, 0.999),
    eps: NonNegative = 1e-8,
    weight_decay: L2Decay = 0.0,
) -> tuple[Value, ...]:
    """Kingma & Ba 2015, Algorithm 2, with torch's ``eps``.

    Args:
        p: parameter.
        g: gradient.
        t: number of this step, from 1.
        m: running mean of ``g``.
        u: largest recent ``|g|``, fading.
        lr: step size, in units of ``p``.
        betas: share of ``m`` and of ``u`` that a step keeps.
        eps: added to ``|g|``, in units of ``g``.
        weight_decay: L2 penalty added to ``g``.
    """
    b1, b2 = betas
    m = b1 * m + (1 - b1) * g
    u = maximum(b2 * u, abs(g) + eps)
    return -(lr / (1 - b1**t)) * m / u, m, u
