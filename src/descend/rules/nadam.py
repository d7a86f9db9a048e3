"""NAdam: Adam with Nesterov's look ahead and a momentum that warms up."""

from descend.lang import Keep, L2Decay, NonNegative, State, Value, rule, sqrt


@rule(
    state={"m": "exp_avg", "v": "exp_avg_sq", "product": State("mu_product", rate="tensor", start=1.0)},
    cite="dozat2016",
    derives_from=("adam", "sgd"),
)
def nadam(
    p: Value,
    g: Value,
    t: Value,
    m: Value,
    v: Value,
    product: Value,
    lr: NonNegative = 2e-3,
    betas: tuple[Keep, Keep] = (0.9, 0.999),
    eps: NonNegative = 1e-8,
    weight_decay: L2Decay = 0.0,
    momentum_decay: NonNegative = 4e-3,
) -> tuple[Value, ...]:
    """Dozat 2016, Algorithm 8 (appendix), with the momentum schedule of its section 3.

    Args:
        p: parameter.
        g: gradient.
        t: number of this step, from 1.
        m: running mean of ``g``.
        v: running mean of ``g * g``.
        product: product of the momenta so far.
        lr: step size, in units of ``p``.
        betas: largest momentum, and share of ``v`` that a step keeps.
        eps: added to the root-mean-square gradient, in units of ``g``.
        weight_decay: L2 penalty added to ``g``.
        momentum_decay: how fast the momentum rises to its largest value, per 1 step.
    """
    b1, b2 = betas
    mu = b1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))
    mu_next = b1 * (1 - 0.5 * 0.96 ** ((t + 1) * momentum_decay))
    product = product * mu
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g * g
    m_hat = mu_next / (1 - product * mu_next) * m + (1 - mu) / (1 - product) * g
    v_hat = v / (1 - b2**t)
    return -lr * m_hat / (sqrt(v_hat) + eps), m, v, product
