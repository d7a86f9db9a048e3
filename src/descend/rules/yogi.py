"""Yogi: Adam whose second moment moves by steps of its own, so that it cannot fall faster than it rose."""

from descend.lang import Keep, L2Decay, NonNegative, State, Value, rule, sign, sqrt


@rule(
    state={"m": "exp_avg", "v": State("exp_avg_sq", start="initial_accumulator_value")},
    cite="zaheer2018",
    derives_from="adam",
)
def yogi(
    p: Value,
    g: Value,
    t: Value,
    m: Value,
    v: Value,
    lr: NonNegative = 1e-2,
    betas: tuple[Keep, Keep] = (0.9, 0.999),
    eps: NonNegative = 1e-3,
    weight_decay: L2Decay = 0.0,
    initial_accumulator_value: NonNegative = 1e-6,
    bias_correction: bool = False,
) -> tuple[Value, ...]:
    """Zaheer et al. 2018, Algorithm 2, which corrects no bias; optax does.

    Args:
        p: parameter.
        g: gradient.
        t: number of this step, from 1.
        m: running mean of ``g``.
        v: controlled mean of ``g * g``.
        lr: step size, in units of ``p``.
        betas: share of ``m`` that a step keeps, and one minus the share of ``g * g`` by which ``v`` moves.
        eps: added to the root of ``v``, in units of ``g``.
        weight_decay: L2 penalty added to ``g``.
        initial_accumulator_value: ``v`` before the first step.
        bias_correction: correct the early means as Adam does.
    """
    b1, b2 = betas
    m = b1 * m + (1 - b1) * g
    v = v - (1 - b2) * sign(v - g * g) * g * g
    m_hat, v_hat = (m / (1 - b1**t), v / (1 - b2**t)) if bias_correction else (m, v)
    return -lr * m_hat / (sqrt(v_hat) + eps), m, v
