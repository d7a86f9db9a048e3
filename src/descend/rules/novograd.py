"""NovoGrad: momentum of gradients that are normalised tensor by tensor."""

from descend.lang import Keep, NonNegative, OwnDecay, State, Value, fresh, norm, rule, sqrt, where


@rule(
    state={"m": "exp_avg", "v": State("exp_avg_sq", rate="tensor")},
    cite="ginsburg2019",
    derives_from=("adam", "sgd"),
)
def novograd(
    p: Value,
    g: Value,
    m: Value,
    v: Value,
    lr: NonNegative = 1e-3,
    betas: tuple[Keep, Keep] = (0.95, 0.98),
    eps: NonNegative = 1e-8,
    weight_decay: OwnDecay = 0.0,
    grad_averaging: bool = False,
) -> tuple[Value, ...]:
    """Ginsburg et al. 2019, Algorithm 1.

    Args:
        p: parameter.
        g: gradient.
        m: velocity of the normalised gradients.
        v: running mean of the squared norm of ``g``, the first one to begin with.
        lr: step size, in units of ``p``.
        betas: share of ``m`` and of ``v`` that a step keeps.
        eps: added to the root of ``v``, in units of ``g``.
        weight_decay: added to the normalised gradient, so inside the velocity.
        grad_averaging: take ``1 - betas[0]`` of each new term, so that the velocity is a running mean.
    """
    b1, b2 = betas
    v = where(fresh(v), norm(g) ** 2, b2 * v + (1 - b2) * norm(g) ** 2)
    d = g / (sqrt(v) + eps) + weight_decay * p
    m = b1 * m + ((1 - b1) * d if grad_averaging else d)
    return -lr * m, m, v
