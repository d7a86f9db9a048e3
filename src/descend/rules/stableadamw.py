"""StableAdamW: AdamW that shortens a tensor's step where its gradients outgrow their second moments."""

from descend.lang import Keep, NonNegative, OwnDecay, Value, maximum, mean, rule, sqrt


@rule(state={"v": "exp_avg", "u": "exp_avg_sq"}, cite="wortsman2023", derives_from="adam")
def stableadamw(
    p: Value,
    g: Value,
    t: Value,
    v: Value,
    u: Value,
    lr: NonNegative = 2e-3,
    betas: tuple[Keep, Keep] = (0.9, 0.99),
    eps: NonNegative = 1e-8,
    weight_decay: OwnDecay = 0.2,
) -> tuple[Value, ...]:
    """Wortsman et al. 2023, Algorithm 2.

    Args:
        p: parameter.
        g: gradient.
        t: number of this step, from 1.
        v: corrected running mean of ``g``.
        u: corrected running mean of ``g * g``.
        lr: step size, in units of ``p``, where nothing is shortened.
        betas: share of ``v`` and of ``u`` that a late step keeps.
        eps: added to the root of ``u``, in units of ``g``.
        weight_decay: share of ``p`` removed per unit of the shortened lr.
    """
    b1, b2 = betas
    b1_hat = b1 * (1 - b1 ** (t - 1)) / (1 - b1**t)
    b2_hat = b2 * (1 - b2 ** (t - 1)) / (1 - b2**t)
    v = b1_hat * v + (1 - b1_hat) * g
    u = b2_hat * u + (1 - b2_hat) * g * g
    ratio = g / maximum(sqrt(u), eps)
    rms = sqrt(mean(ratio * ratio))
    return -lr / maximum(1.0, rms) * (v / (sqrt(u) + eps) + weight_decay * p), v, u
