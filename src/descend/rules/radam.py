"""RAdam: Adam that waits with adapting until its variance is known."""

from descend.lang import Keep, L2Decay, NonNegative, Value, rule, sqrt, where


@rule(state={"m": "exp_avg", "v": "exp_avg_sq"}, cite="liu2020", derives_from="adam")
def radam(
    p: Value,
    g: Value,
    t: Value,
    m: Value,
    v: Value,
    lr: NonNegative = 1e-3,
    betas: tuple[Keep, Keep] = (0.9, 0.999),
    eps: NonNegative = 1e-8,
    weight_decay: L2Decay = 0.0,
) -> tuple[Value, ...]:
    """Liu et al. 2020, Algorithm 2; ``eps`` stands beside the uncorrected root, as in torch.

    Args:
        p: parameter.
        g: gradient.
        t: number of this step, from 1.
        m: running mean of ``g``.
        v: running mean of ``g * g``.
        lr: step size, in units of ``p``.
        betas: share of ``m`` and of ``v`` that a step keeps.
        eps: added to the root-mean-square gradient, in units of ``g``.
        weight_decay: L2 penalty added to ``g``.
    """
    b1, b2 = betas
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g * g
    m_hat = m / (1 - b1**t)
    rho_inf = 2 / (1 - b2) - 1
    rho = rho_inf - 2 * t * b2**t / (1 - b2**t)
    r = sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
    adapted = m_hat * (r * sqrt(1 - b2**t)) / (sqrt(v) + eps)
    return -lr * where(rho > 5, adapted, m_hat), m, v
