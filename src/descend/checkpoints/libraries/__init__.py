"""Checkpoints of other libraries in torch's layout: decoded, renamed, with a line for everything that is lost."""

from descend.checkpoints.libraries import bitsandbytes, flashoptim, pytorch_optimizer, torchao
from descend.checkpoints.libraries.foreign import Library

__all__ = ["LIBRARIES"]

LIBRARIES: dict[str, Library] = {
    "bitsandbytes": bitsandbytes.LIBRARY,
    "torchao": torchao.LIBRARY,
    "flashoptim": flashoptim.LIBRARY,
    "pytorch_optimizer": pytorch_optimizer.LIBRARY,
}
"""Those whose layout differs from torch's, in the order in which they are tried."""
