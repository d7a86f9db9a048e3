"""Schedule-free AdamW: AdamW whose weights are averaged on the way, instead of a learning rate that falls."""

from descend.lang import Keep, NonNegative, OwnDecay, Real, State, Value, Within, rule, sqrt
from descend.rules.schedulefree import REFUSES, WEIGHTS, average, move, refuse_decay, weigh


def evaluation(p: Value, z: Value, betas: tuple[Value, Value]) -> Value:
    """Where the model is measured and used: x."""
    return average(p, z, betas[0])


@rule(
    state={"z": State("z", start="p"), "v": "exp_avg_sq", **WEIGHTS},
    cite="defazio2024",
    derives_from=("adamw", "schedulefreesgd"),
    check=refuse_decay,
    evaluation=evaluation,
    refuses=REFUSES,
)
def schedulefreeadamw(
    p: Value, g: Value, t: Value, z: Value, v: Value, weight_sum: Value, lr_max: Value,
    lr: NonNegative = 2.5e-3,
    betas: tuple[Within, Keep] = (0.9, 0.999),
    eps: NonNegative = 1e-8,
    weight_decay: OwnDecay = 0.0,
    warmup_steps: NonNegative = 0,
    r: Real = 0.0,
    weight_lr_power: NonNegative = 2.0,
) -> tuple[Value, ...]:  # fmt: skip
    """Defazio et al. 2024, Algorithm 1: y (here p) is where gradients are taken, z takes the steps, x averages z.

    x is not kept: y and z say where it is. ``optimizer.eval()`` writes it into p, ``optimizer.train()`` takes y back.

    Args:
        p: y.
        g: gradient, taken at y.
        t: number of this step, from 1.
        z: where plain steps lead.
        v: running mean of ``g * g``.
        weight_sum: sum of the average's weights.
        lr_max: largest lr so far.
        lr: step size of z, in units of ``p``; constant, or with ``warmup_steps``.
        betas: share of x in y, not to be changed on the way; and share of ``v`` that a step keeps.
        eps: added to the root-mean-square gradient, in units of ``g``.
        weight_decay: decoupled, of y: z and y go lr weight_decay y further a step.
        warmup_steps: steps over which lr rises from 0.
        r: power of the step's number in the weights of the average.
        weight_lr_power: power of the largest lr so far in the weights of the average.
    """
    beta, b2 = betas
    eta, c, weight_sum, lr_max = weigh(t, lr, warmup_steps, r, weight_lr_power, weight_sum, lr_max)
    v = b2 * v + (1 - b2) * g * g
    u = g / (sqrt(v / (1 - b2**t)) + eps) + weight_decay * p
    return *move(p, z, u, eta, c, beta), v, weight_sum, lr_max
