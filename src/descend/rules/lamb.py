"""LAMB: Adam whose step is scaled, tensor by tensor, to the size of the weights."""

from collections.abc import Mapping
from typing import Any

from descend.lang import Keep, NonNegative, OwnDecay, Value, maximum, minimum, norm, rule, sqrt, where


def _contradiction(o: Mapping[str, Any]) -> str | None:
    if o["exclude_undecayed"] and o["decay"] is not None:
        return "exclude_undecayed=True looks at LAMB's own weight decay, which decay= replaces; leave decay=None"
    if o["clamp"] is not None and o["clamp"][0] > o["clamp"][1]:
        return f"clamp=(low, high) needs low <= high: got {o['clamp']!r}"
    return None


@rule(
    state={"m": "exp_avg", "v": "exp_avg_sq"},
    cite="you2020",
    derives_from=("adam", "lars"),
    check=_contradiction,
)
def lamb(
    p: Value,
    g: Value,
    t: Value,
    m: Value,
    v: Value,
    lr: NonNegative = 1e-3,
    betas: tuple[Keep, Keep] = (0.9, 0.999),
    eps: NonNegative = 1e-6,
    weight_decay: OwnDecay = 0.0,
    clamp: tuple[NonNegative, NonNegative] | None = None,
    bias_correction: bool = True,
    exclude_undecayed: bool = False,
) -> tuple[Value, ...]:
    """You et al. 2020, Algorithm 2 (version 5).

    Args:
        p: parameter.
        g: gradient.
        t: number of this step, from 1.
        m: running mean of ``g``.
        v: running mean of ``g * g``.
        lr: share of its norm by which a tensor moves.
        betas: share of ``m`` and of ``v`` that a step keeps.
        eps: added to the root-mean-square gradient, in units of ``g``.
        weight_decay: inside the scaled update.
        clamp: bounds on the norm of ``p``, the paper's phi.
        bias_correction: correct the early means.
        exclude_undecayed: tensors without weight decay take plain Adam steps.
    """
    b1, b2 = betas
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g * g
    m_hat, v_hat = (m / (1 - b1**t), v / (1 - b2**t)) if bias_correction else (m, v)
    u = m_hat / (sqrt(v_hat) + eps) + weight_decay * p
    phi = norm(p) if clamp is None else minimum(maximum(norm(p), clamp[0]), clamp[1])
    ratio = where((norm(p) > 0) & (norm(u) > 0), phi / norm(u), 1.0)
    return -lr * (where(weight_decay == 0, 1.0, ratio) if exclude_undecayed else ratio) * u, m, v
