"""Lion: the sign of an interpolated momentum; every coordinate moves by lr."""

from descend.lang import DecoupledDecay, Keep, NonNegative, Value, rule, sign


@rule(state={"m": "exp_avg"}, cite="chen2023", derives_from="sgd")
def lion(
    p: Value,
    g: Value,
    m: Value,
    lr: NonNegative = 1e-4,
    betas: tuple[Keep, Keep] = (0.9, 0.99),
    weight_decay: DecoupledDecay = 0.0,
) -> tuple[Value, ...]:
    """Chen et al. 2023, Algorithm 2.

    Args:
        p: parameter.
        g: gradient.
        m: running mean of ``g``.
        lr: step of each coordinate, in units of ``p``; 3 to 10 times smaller than Adam's.
        betas: share of ``m`` in the update's sign, and share of ``m`` that a step keeps.
        weight_decay: share of ``p`` removed per unit of lr, outside the sign.
    """
    b1, b2 = betas
    update = sign(b1 * m + (1 - b1) * g)
    m = b2 * m + (1 - b2) * g
    return -lr * update, m
