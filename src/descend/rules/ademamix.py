"""AdEMAMix: AdamW with a second, very slow mean of the gradients beside the fast one."""

from descend.lang import DecoupledDecay, Keep, NonNegative, Value, exp, log, minimum, rule, sqrt, where


@rule(
    state={"m1": "exp_avg_fast", "m2": "exp_avg_slow", "v": "exp_avg_sq"},
    cite="pagliardini2024",
    derives_from="adam",
)
def ademamix(
    p: Value,
    g: Value,
    t: Value,
    m1: Value,
    m2: Value,
    v: Value,
    lr: NonNegative = 1e-3,
    betas: tuple[Keep, Keep, Keep] = (0.9, 0.999, 0.9999),
    alpha: NonNegative = 5.0,
    eps: NonNegative = 1e-8,
    weight_decay: DecoupledDecay = 0.0,
    beta3_warmup: NonNegative = 0.0,
    alpha_warmup: NonNegative = 0.0,
) -> tuple[Value, ...]:
    """Pagliardini, Ablin & Grangier 2024, Algorithm 1; its schedule of beta 3 is written as one fraction bar less.

    Args:
        p: parameter.
        g: gradient.
        t: number of this step, from 1.
        m1: fast running mean of ``g``.
        m2: slow running mean of ``g``, its bias not corrected.
        v: running mean of ``g * g``.
        lr: step size, in units of ``p``.
        betas: share of ``m1``, of ``v`` and, after its warm-up, of ``m2`` that a step keeps.
        alpha: weight of ``m2`` after its warm-up.
        eps: added to the root-mean-square gradient, in units of ``g``.
        weight_decay: share of ``p`` removed per unit of lr.
        beta3_warmup: steps in which the half-life of ``m2`` rises from that of ``m1``; 0 for none.
        alpha_warmup: steps in which ``alpha`` rises from 0; 0 for none.
    """
    b1, b2, b3 = betas
    s = minimum(t / beta3_warmup, 1.0)
    keep = where(s < 1, minimum(exp(1 / ((1 - s) / log(b1) + s / log(b3))), b3), b3)
    m1 = b1 * m1 + (1 - b1) * g
    m2 = keep * m2 + (1 - keep) * g
    v = b2 * v + (1 - b2) * g * g
    m1_hat = m1 / (1 - b1**t)
    v_hat = v / (1 - b2**t)
    mixed = m1_hat + alpha * minimum(t / alpha_warmup, 1.0) * m2
    return -lr * mixed / (sqrt(v_hat) + eps), m1, m2, v
