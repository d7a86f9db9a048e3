"""Schedule-free SGD: SGD whose weights are averaged on the way, instead of a learning rate that falls."""

from descend.lang import L2Decay, NonNegative, Real, State, Value, Within, rule
from descend.rules.schedulefree import REFUSES, WEIGHTS, average, move, refuse_decay, weigh


def evaluation(p: Value, z: Value, momentum: Value) -> Value:
    """Where the model is measured and used: x."""
    return average(p, z, momentum)


@rule(
    state={"z": State("z", start="p"), **WEIGHTS},
    cite="defazio2024",
    derives_from=("sgd", "asgd"),
    check=refuse_decay,
    evaluation=evaluation,
    refuses=REFUSES,
)
def schedulefreesgd(
    p: Value, g: Value, t: Value, z: Value, weight_sum: Value, lr_max: Value,
    lr: NonNegative = 1.0,
    momentum: Within = 0.9,
    weight_decay: L2Decay = 0.0,
    warmup_steps: NonNegative = 0,
    r: Real = 0.0,
    weight_lr_power: NonNegative = 2.0,
) -> tuple[Value, ...]:  # fmt: skip
    """Defazio et al. 2024, eq. 1 to 3: y (here p) is where gradients are taken, z takes the steps, x averages z.

    x is not kept: y and z say where it is. ``optimizer.eval()`` writes it into p, ``optimizer.train()`` takes y back.

    Args:
        p: y.
        g: gradient, taken at y.
        t: number of this step, from 1.
        z: where plain steps lead.
        weight_sum: sum of the average's weights.
        lr_max: largest lr so far.
        lr: step size of z, in units of ``p`` per unit of ``g``; constant, or with ``warmup_steps``.
        momentum: share of x in y; not to be changed on the way.
        weight_decay: L2 penalty added to ``g``, of y.
        warmup_steps: steps over which lr rises from 0.
        r: power of the step's number in the weights of the average.
        weight_lr_power: power of the largest lr so far in the weights of the average.
    """
    eta, c, weight_sum, lr_max = weigh(t, lr, warmup_steps, r, weight_lr_power, weight_sum, lr_max)
    return *move(p, z, g, eta, c, momentum), weight_sum, lr_max
