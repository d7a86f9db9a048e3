"""Runs a formula of one's own on NumPy inputs, and evaluates a graph on plain numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

import descend
from descend.lang import Rule
from descend.lang.graph import Node, walk
from descend.lang.words import evaluate

BACKENDS = ("eager", "cpu")


def run(
    rule: Rule, params: Sequence[Any], rows: Sequence[Sequence[Any]], backend: str, **options: Any
) -> tuple[list[np.ndarray], list[dict[str, np.ndarray]]]:
    """The float64 parameters and their states after one step for each row of gradients; None is no gradient."""
    tensors = [torch.nn.Parameter(torch.tensor(p, dtype=torch.float64)) for p in params]
    optimizer = descend.optimizer(rule)(tensors, backend=backend, **options)
    for row in rows:
        for p, g in zip(tensors, row, strict=True):
            p.grad = None if g is None else torch.tensor(g, dtype=torch.float64)
        optimizer.step()
    states = [{k: v.numpy().copy() for k, v in optimizer.state.get(p, {}).items()} for p in tensors]
    return [p.detach().numpy().copy() for p in tensors], states


def compute(root: Node, inputs: dict[str, float]) -> float:
    """A graph's value where each input is a plain number."""
    known: dict[Node, float] = {}
    for node in walk([root]):
        if node.op == "input":
            known[node] = inputs[node.name]
        elif node.op == "const":
            known[node] = node.value
        else:
            known[node] = evaluate(node.op, *(known[a] for a in node.args))
    return float(known[root])
