"""AggMo: the mean of several velocities, each with its own damping."""

from descend.lang import Keep, L2Decay, NonNegative, State, Value, rule


@rule(
    state={f"v{i}": State(f"momentum_buffer_{i}", optional=True) for i in (1, 2, 3)},
    cite="lucas2019",
    derives_from="sgd",
    counts=False,
)
def aggmo(
    p: Value,
    g: Value,
    v1: Value,
    v2: Value,
    v3: Value,
    lr: NonNegative = 1e-3,
    betas: tuple[Keep, Keep, Keep] = (0.0, 0.9, 0.99),
    weight_decay: L2Decay = 0.0,
) -> tuple[Value, ...]:
    """Lucas et al. 2019, eq. 2, with three velocities.

    Args:
        p: parameter.
        g: gradient.
        v1: first velocity.
        v2: second velocity.
        v3: third velocity.
        lr: step size, in units of ``p`` per unit of ``g``.
        betas: share of each velocity that a step keeps.
        weight_decay: L2 penalty added to ``g``.
    """
    b1, b2, b3 = betas
    v1 = b1 * v1 - g
    v2 = b2 * v2 - g
    v3 = b3 * v3 - g
    return lr / 3 * (v1 + v2 + v3), v1, v2, v3
