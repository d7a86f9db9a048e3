"""QHM: a step along a weighted average of plain SGD and momentum."""

from descend.lang import Keep, L2Decay, NonNegative, Real, Value, rule


@rule(state={"m": "momentum_buffer"}, cite="ma2019", derives_from="sgd", counts=False)
def qhm(
    p: Value,
    g: Value,
    m: Value,
    lr: NonNegative = 1e-3,
    momentum: Keep = 0.999,
    nu: Real = 0.7,
    weight_decay: L2Decay = 0.0,
) -> tuple[Value, ...]:
    """Ma & Yarats 2019, eq. 3 and 4.

    Args:
        p: parameter.
        g: gradient.
        m: running mean of ``g``.
        lr: step size, in units of ``p`` per unit of ``g``; 1 / (1 - momentum) times that of SGD with momentum.
        momentum: the paper's beta, share of ``m`` that a step keeps.
        nu: weight of ``m`` against ``g``: 0 is plain SGD, 1 momentum, ``momentum`` Nesterov's.
        weight_decay: L2 penalty added to ``g``.
    """
    m = momentum * m + (1 - momentum) * g
    return -lr * ((1 - nu) * g + nu * m), m
