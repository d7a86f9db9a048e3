"""QHAdam: Adam with weighted averages of gradient and mean above and below the fraction bar."""

from descend.lang import Fraction, Keep, L2Decay, NonNegative, Real, Value, rule, sqrt


@rule(state={"m": "exp_avg", "v": "exp_avg_sq"}, cite="ma2019", derives_from=("adam", "qhm"))
def qhadam(
    p: Value,
    g: Value,
    t: Value,
    m: Value,
    v: Value,
    lr: NonNegative = 1e-3,
    betas: tuple[Keep, Keep] = (0.995, 0.999),
    nus: tuple[Real, Fraction] = (0.7, 1.0),
    eps: NonNegative = 1e-8,
    weight_decay: L2Decay = 0.0,
) -> tuple[Value, ...]:
    """Ma & Yarats 2019, section 4.

    Args:
        p: parameter.
        g: gradient.
        t: number of this step, from 1.
        m: running mean of ``g``.
        v: running mean of ``g * g``.
        lr: step size, in units of ``p``.
        betas: share of ``m`` and of ``v`` that a step keeps.
        nus: weight of ``m_hat`` against ``g``, and of ``v_hat`` against ``g * g``; both 1 is Adam.
        eps: added to the root, in units of ``g``.
        weight_decay: L2 penalty added to ``g``.
    """
    b1, b2 = betas
    nu1, nu2 = nus
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g * g
    m_hat = m / (1 - b1**t)
    v_hat = v / (1 - b2**t)
    return -lr * ((1 - nu1) * g + nu1 * m_hat) / (sqrt((1 - nu2) * g * g + nu2 * v_hat) + eps), m, v
