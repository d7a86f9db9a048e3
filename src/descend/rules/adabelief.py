"""AdaBelief: Adam that divides by how far the gradient is from its own running mean."""

from descend.lang import DecoupledDecay, Keep, NonNegative, Value, rule, sqrt


@rule(state={"m": "exp_avg", "s": "exp_avg_var"}, cite="zhuang2020", derives_from="adam")
def adabelief(
    p: Value,
    g: Value,
    t: Value,
    m: Value,
    s: Value,
    lr: NonNegative = 1e-3,
    betas: tuple[Keep, Keep] = (0.9, 0.999),
    eps: NonNegative = 1e-16,
    weight_decay: DecoupledDecay = 0.0,
) -> tuple[Value, ...]:
    """Zhuang et al. 2020, Algorithm 2; the authors' code rectifies the step as RAdam does, unless told otherwise.

    Args:
        p: parameter.
        g: gradient.
        t: number of this step, from 1.
        m: running mean of ``g``.
        s: running mean of ``(g - m)**2``.
        lr: step size, in units of ``p``.
        betas: share of ``m`` and of ``s`` that a step keeps.
        eps: added twice: to ``s`` in every step, in units of ``g**2``, and beside its root, in units of ``g``.
        weight_decay: share of ``p`` removed per unit of lr.
    """
    b1, b2 = betas
    m = b1 * m + (1 - b1) * g
    s = b2 * s + (1 - b2) * (g - m) * (g - m) + eps
    m_hat = m / (1 - b1**t)
    s_hat = s / (1 - b2**t)
    return -lr * m_hat / (sqrt(s_hat) + eps), m, s
