"""Signum: the sign of the momentum; every coordinate moves by lr."""

from descend.lang import DecoupledDecay, Keep, NonNegative, Value, rule, sign


@rule(state={"m": "momentum_buffer"}, cite="bernstein2018", derives_from="signsgd", counts=False)
def signum(
    p: Value,
    g: Value,
    m: Value,
    lr: NonNegative = 1e-4,
    momentum: Keep = 0.9,
    weight_decay: DecoupledDecay = 0.0,
) -> tuple[Value, ...]:
    """Bernstein et al. 2018, Algorithm 2.

    Args:
        p: parameter.
        g: gradient.
        m: running mean of ``g``.
        lr: step of each coordinate, in units of ``p``.
        momentum: share of ``m`` that a step keeps.
        weight_decay: share of ``p`` removed per unit of lr, outside the sign.
    """
    m = momentum * m + (1 - momentum) * g
    return -lr * sign(m), m
