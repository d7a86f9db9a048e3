"""A formula of one's own becomes an optimizer with kernels, options, schedules and checkpoints.

python examples/own_formula.py
"""

import torch

import descend
from descend.lang import Keep, NonNegative, Value, norm, rule, sign, where
from descend.schedules import cosine, warmup


@rule(state={"m": "momentum_buffer"})
def trusted_sign(
    p: Value, g: Value, m: Value, lr: NonNegative = 0.01, beta: Keep = 0.9, trust: NonNegative = 0.1
) -> tuple[Value, ...]:
    """The sign of the momentum, scaled to a share of the tensor's norm."""
    m = beta * m + (1 - beta) * g
    size = where(norm(p) > 0, trust * norm(p), 1.0)
    return -lr * size * sign(m), m


TrustedSign = descend.optimizer(trusted_sign)


def main() -> None:
    torch.manual_seed(0)
    x = torch.randn(256, 20)
    y = x @ torch.randn(20)
    w = torch.zeros(20, requires_grad=True)
    optimizer = TrustedSign([w], lr=warmup(10) * cosine(400) * 0.3, weight_decay=1e-4, decay="decoupled", clip_norm=1.0)
    for _ in range(400):
        optimizer.zero_grad()
        ((x @ w - y) ** 2).mean().backward()
        optimizer.step()
    loss = ((x @ w - y) ** 2).mean().item()
    print(trusted_sign.text())
    print(optimizer.explain())
    print(f"mean squared error after 400 steps: {loss:.2e}")
    assert loss < 1e-2


if __name__ == "__main__":
    main()
