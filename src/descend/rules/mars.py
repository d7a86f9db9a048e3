"""MARS: AdamW on gradients whose variance is reduced by what has changed since the step before."""

from descend.lang import DecoupledDecay, Keep, NonNegative, Value, fresh, maximum, norm, rule, sqrt, where


@rule(
    state={"m": "exp_avg", "v": "exp_avg_sq", "last": "last_grad"},
    cite="yuan2024",
    derives_from="adam",
)
def mars(
    p: Value,
    g: Value,
    t: Value,
    m: Value,
    v: Value,
    last: Value,
    lr: NonNegative = 3e-3,
    betas: tuple[Keep, Keep] = (0.95, 0.99),
    eps: NonNegative = 1e-8,
    weight_decay: DecoupledDecay = 0.0,
    gamma: NonNegative = 0.025,
) -> tuple[Value, ...]:
    """Yuan et al. 2024, Algorithm 2 (MARS-AdamW, approximate); the code corrects by a last gradient of 0 at first.

    Args:
        p: parameter.
        g: gradient.
        t: number of this step, from 1.
        m: running mean of ``c``.
        v: running mean of ``c * c``.
        last: gradient of the step before.
        lr: step size, in units of ``p``.
        betas: share of ``m`` and of ``v`` that a step keeps.
        eps: added to the root-mean-square of ``c``, without unit.
        weight_decay: share of ``p`` removed per unit of lr.
        gamma: strength of the correction; 0 is AdamW with gradients clipped tensor by tensor.
    """
    b1, b2 = betas
    corrected = g + gamma * b1 / (1 - b1) * where(fresh(last), 0.0, g - last)
    c = corrected / maximum(norm(corrected), 1.0)
    m = b1 * m + (1 - b1) * c
    v = b2 * v + (1 - b2) * c * c
    m_hat = m / (1 - b1**t)
    v_hat = v / (1 - b2**t)
    return -lr * m_hat / (sqrt(v_hat) + eps), m, v, g
