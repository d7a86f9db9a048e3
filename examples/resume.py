"""Stop, save, load and go on: the same bits as without stopping, schedule included.

python examples/resume.py
"""

import io

import torch
from torch import nn

import descend
from descend.schedules import cosine, warmup


def make() -> tuple[nn.Module, descend.Optimizer]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))
    return model, descend.NAdam(model.named_parameters(), lr=warmup(5) * cosine(40) * 0.01, clip_norm=1.0)


def train(model: nn.Module, optimizer: descend.Optimizer, first: int, last: int) -> None:
    for k in range(first, last):
        x = torch.randn(32, 8, generator=torch.Generator().manual_seed(k))
        optimizer.zero_grad()
        (model(x) - x.sum(1, keepdim=True)).square().mean().backward()
        optimizer.step()


def main() -> None:
    whole, optimizer = make()
    train(whole, optimizer, 0, 40)

    model, optimizer = make()
    train(model, optimizer, 0, 17)
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)

    file.seek(0)
    saved = torch.load(file, weights_only=True)
    model, optimizer = make()
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    train(model, optimizer, 17, 40)

    same = all(torch.equal(a, b) for a, b in zip(whole.parameters(), model.parameters(), strict=True))
    print(f"resumed at update 17 of 40; every parameter has the same bits: {same}")
    assert same


if __name__ == "__main__":
    main()
