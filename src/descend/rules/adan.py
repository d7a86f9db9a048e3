"""Adan: adaptive steps with Nesterov's momentum, estimated from differences of gradients."""

from descend.lang import Keep, NonNegative, OwnDecay, Value, fresh, rule, sqrt, where


@rule(
    state={"m": "exp_avg", "v": "exp_avg_diff", "n": "exp_avg_sq", "last": "pre_grad"},
    cite="xie2022",
    derives_from=("adam", "sgd"),
)
def adan(
    p: Value,
    g: Value,
    t: Value,
    m: Value,
    v: Value,
    n: Value,
    last: Value,
    lr: NonNegative = 1e-3,
    betas: tuple[Keep, Keep, Keep] = (0.98, 0.92, 0.99),
    eps: NonNegative = 1e-8,
    weight_decay: OwnDecay = 0.0,
    bias_correction: bool = False,
) -> tuple[Value, ...]:
    """Xie et al. 2022, Algorithm 1 without restarts; each beta here is 1 minus the paper's, as in its code.

    Args:
        p: parameter.
        g: gradient.
        t: number of this step, from 1.
        m: running mean of ``g``.
        v: running mean of the change of ``g``.
        n: running mean of the squared gradient at the point ahead.
        last: gradient of the step before.
        lr: step size, in units of ``p``.
        betas: share of ``m``, ``v`` and ``n`` that a step keeps.
        eps: added to the root of ``n``, in units of ``g``.
        weight_decay: proximal: after the update, ``p`` is divided by ``1 + lr * weight_decay``.
        bias_correction: begin the means at 0 and correct them (the authors' code), not with the first gradient.
    """
    b1, b2, b3 = betas
    d = where(fresh(last), 0.0, g - last)
    ahead = g + b2 * d
    keep1, keep3 = (b1, b3) if bias_correction else (where(fresh(m), 0.0, b1), where(fresh(n), 0.0, b3))
    m = keep1 * m + (1 - keep1) * g
    v = b2 * v + (1 - b2) * d
    n = keep3 * n + (1 - keep3) * ahead * ahead
    m_hat, v_hat, n_hat = (m / (1 - b1**t), v / (1 - b2**t), n / (1 - b3**t)) if bias_correction else (m, v, n)
    u = lr * (m_hat + b2 * v_hat) / (sqrt(n_hat) + eps)
    return -(u + lr * weight_decay * p) / (1 + lr * weight_decay), m, v, n, g
