"""Adam: a step size per coordinate, from running moments of the gradient."""

from typing import Literal

from descend.lang import Keep, L2Decay, NonNegative, State, Value, maximum, rule, sqrt


@rule(
    state={"m": "exp_avg", "v": "exp_avg_sq", "v_max": State("max_exp_avg_sq", meaning="amsgrad_of")},
    cite=("kingma2015", "reddi2018"),
    derives_from=("rmsprop", "sgd"),
)
def adam(
    p: Value,
    g: Value,
    t: Value,
    m: Value,
    v: Value,
    v_max: Value,
    lr: NonNegative = 1e-3,
    betas: tuple[Keep, Keep] = (0.9, 0.999),
    eps: NonNegative = 1e-8,
    weight_decay: L2Decay = 0.0,
    amsgrad: bool = False,
    amsgrad_of: Literal["v", "v_hat"] = "v",
) -> tuple[Value, ...]:
    """Kingma & Ba 2015, Algorithm 1; AMSGrad of Reddi et al. 2018, Algorithm 2.

    Args:
        p: parameter.
        g: gradient.
        t: number of this step, from 1.
        m: running mean of ``g``.
        v: running mean of ``g * g``.
        v_max: largest ``v`` (or ``v_hat``) so far.
        lr: step size, in units of ``p``; a coordinate moves by about ``lr`` a step.
        betas: share of ``m`` and of ``v`` that a step keeps.
        eps: added to the root-mean-square gradient, in units of ``g``.
        weight_decay: L2 penalty added to ``g``; AdamW decouples it.
        amsgrad: divide by the largest second moment so far, so that the step size never grows.
        amsgrad_of: take the maximum before (torch) or after the bias correction.
    """
    b1, b2 = betas
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g * g
    m_hat = m / (1 - b1**t)
    v_hat = v / (1 - b2**t)
    if amsgrad and amsgrad_of == "v":
        v_max = maximum(v_max, v)
        v_hat = v_max / (1 - b2**t)
    elif amsgrad:
        v_max = maximum(v_max, v_hat)
        v_hat = v_max
    return -lr * m_hat / (sqrt(v_hat) + eps), m, v, v_max
