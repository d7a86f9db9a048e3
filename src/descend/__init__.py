"""descend: every optimizer of deep learning, each written once as its formula, run as fused kernels.

    import descend

    optimizer = descend.AdamW(model.parameters(), lr=1e-3, clip_norm=1.0)

Classes are named and called as in ``torch.optim``; ``descend.optimizer(rule)`` makes one from your own formula.
"""

from typing import Any

from descend import schedules
from descend.optim.catalogue import CATALOGUE, get, optimizers
from descend.optim.factory import optimizer
from descend.optim.optimizer import Optimizer

__version__ = "0.1.0"
__all__ = ["Optimizer", "compare", "get", "optimizer", "optimizers", "schedules", *CATALOGUE]

globals().update(CATALOGUE)


def __getattr__(name: str) -> Any:
    if name == "compare":  # needs the extra `bench`, so it is imported when asked for
        from descend.compare import compare

        return compare
    raise AttributeError(f"module 'descend' has no attribute {name!r}")
