"""What one of two processes does: trains a data-parallel model on its micro-batches, and saves what becomes of it.

python two_processes.py RANK FOLDER
"""

import sys
from contextlib import nullcontext
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import descend
from descend.errors import OptionError
from descend.wrap import Accumulation

CYCLES = 4
ALIKE = (((2, 2), (2, 2)),) * CYCLES
RAGGED = (((3, 1), (2, 4)), ((1, 5), (1, 1)), ((2, 2), (1, 3)), ((4, 1), (1, 1)))
"""For each cycle and process how many samples each micro-batch has."""
OPTIONS = {"lr": 0.1, "clip_norm": 0.5}


def make_model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()


def make_data(cycle, count):
    generator = torch.Generator().manual_seed(cycle)
    x, y = torch.randn(count, 3, generator=generator), torch.randn(count, 1, generator=generator)
    return x.double(), y.double()


def compute_loss(model, x, y):
    return ((model(x) - y) ** 2).mean()


def train(rank, sizes, *, weighed, waits, scaled=False):
    """The parameters after all cycles of this process's micro-batches."""
    model = DistributedDataParallel(make_model())
    inner = descend.AdamW(model.parameters(), **OPTIONS)
    optimizer = Accumulation(inner, 2, process_group=dist.group.WORLD if weighed else None)
    scaler = torch.amp.GradScaler("cpu", init_scale=16.0, enabled=scaled)
    for cycle, counts in enumerate(sizes):
        flat = [n for own in counts for n in own]
        parts = list(zip(*(t.split(flat) for t in make_data(cycle, sum(flat))), strict=True))
        for k, (x, y) in enumerate(parts[2 * rank : 2 * rank + 2]):
            optimizer.zero_grad()
            with model.no_sync() if waits and k == 0 else nullcontext():
                loss = compute_loss(model, x, y)
                loss = optimizer.weigh(loss, len(y)) if weighed else loss
                scaler.scale(loss).backward()
            if scaled and optimizer.pending == optimizer.steps - 1:
                scaler.step(optimizer)
                scaler.update()
            else:
                optimizer.step()
    return [p.detach().clone() for p in model.parameters()]


def list_refusals():
    """What is said of weights that other processes do not know, and of sums that are not averaged."""
    model = make_model()
    optimizer = Accumulation(descend.AdamW(model.parameters()), 2)
    scaler = torch.amp.GradScaler("cpu")
    told = []
    for misuse in (lambda: optimizer.weigh(torch.zeros(()), 3), lambda: scaler.step(optimizer)):
        scaler.scale(compute_loss(model, *make_data(0, 2))).backward()
        try:
            misuse()
        except OptionError as error:
            told.append(str(error))
        optimizer.drop()
    return told


if __name__ == "__main__":
    rank, folder = int(sys.argv[1]), Path(sys.argv[2])
    dist.init_process_group("gloo", init_method=f"file://{folder / 'store'}", rank=rank, world_size=2)
    try:
        result = {
            "alike": train(rank, ALIKE, weighed=False, waits=False),
            "alike, no_sync": train(rank, ALIKE, weighed=False, waits=True),
            "alike, scaled": train(rank, ALIKE, weighed=False, waits=True, scaled=True),
            "ragged": train(rank, RAGGED, weighed=True, waits=False),
            "ragged, no_sync": train(rank, RAGGED, weighed=True, waits=True),
            "refusals": list_refusals(),
        }
    finally:
        dist.destroy_process_group()
    torch.save(result, folder / f"{rank}.pt")
