"""A few characters that change when a task changes."""

import hashlib

import torch
from torch import Tensor

from descend.tasks.data import Data, leaves
from descend.tasks.ragged import Ragged
from descend.tasks.task import Task


def fingerprint(task: Task, data: Data) -> str:
    """Twelve hexadecimal digits from the data, the initial model and the first loss.

    Two tasks of one name but with other data, another model or another loss must not share a folder of
    results; budget and batch size stand in the protocol by themselves.
    """
    digest = hashlib.sha256()
    for part in data.parts:
        for leaf in (*leaves(part.inputs), *leaves(part.targets)):
            for values in (leaf.values, leaf.lengths) if isinstance(leaf, Ragged) else (leaf,):
                _feed(digest, values)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = task.model()
        for name, value in model.state_dict().items():
            digest.update(name.encode())
            _feed(digest, value)
        loss = task.batch_loss(model, next(task.stream(model, data.train, seed=0)))
    # Sums differ in their last bits between processors; five digits tell losses apart, not machines.
    digest.update(f"{float(loss.detach()):.5g}|{task.score.name}|{task.score.higher_is_better}".encode())
    return digest.hexdigest()[:12]


def _feed(digest: "hashlib._Hash", values: Tensor) -> None:
    flat = values.detach().cpu().contiguous()
    digest.update(f"{tuple(flat.shape)}{flat.dtype}".encode())
    digest.update(flat.reshape(-1).view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
