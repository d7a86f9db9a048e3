"""Change ``torch.optim`` to ``descend`` and nothing else: the same run, number for number.

python examples/drop_in.py
"""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import descend


def train(make: type[torch.optim.Optimizer]) -> tuple[list[Tensor], float]:
    images, labels = (torch.tensor(x) for x in load_digits(return_X_y=True))
    images = images.float() / 16
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = make(model.parameters(), lr=1e-3, weight_decay=0.01)  # type: ignore[call-arg]
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=100)
    for k in range(100):
        batch = torch.arange(64) + 64 * (k % 20)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
        optimizer.step()
        schedule.step()
    accuracy = (model(images[1400:]).argmax(1) == labels[1400:]).float().mean().item()
    return [p.detach() for p in model.parameters()], accuracy


def main() -> None:
    theirs, accuracy = train(torch.optim.AdamW)
    ours, our_accuracy = train(descend.AdamW)
    apart = max((a - b).abs().max().item() for a, b in zip(theirs, ours, strict=True))
    print(f"torch.optim.AdamW: {accuracy:.3f}   descend.AdamW: {our_accuracy:.3f}   largest difference: {apart:.1e}")
    assert apart < 1e-4


if __name__ == "__main__":
    main()
