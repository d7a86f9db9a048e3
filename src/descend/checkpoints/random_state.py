"""The random generators of a process as something that a checkpoint can hold."""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from descend.errors import CheckpointError, message


class RandomState:
    """The random generators of torch, Python and NumPy; put it beside the optimizer in a checkpoint."""

    def state_dict(self) -> dict[str, Any]:
        """All generators' states as tensors and plain data, so that ``weights_only=True`` reads them."""
        numpy: Any = np.random.get_state(legacy=False)
        return {
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            "python": random.getstate(),
            "numpy": {**numpy, "state": {**numpy["state"], "key": numpy["state"]["key"].tolist()}},
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Put all generators where they were.

        Raises:
            CheckpointError: if this is no such state.
        """
        if not isinstance(state_dict, Mapping) or not state_dict.keys() >= {"torch", "cuda", "python", "numpy"}:
            allowed = "what RandomState().state_dict() gave"
            raise CheckpointError(message("RandomState: this is no state of generators", allowed=allowed))
        torch.set_rng_state(state_dict["torch"].cpu())
        if state_dict["cuda"]:
            torch.cuda.set_rng_state_all([state.cpu() for state in state_dict["cuda"]])
        version, numbers, gauss = state_dict["python"]
        random.setstate((version, tuple(numbers), gauss))
        numpy: Any = state_dict["numpy"]
        key = np.array(numpy["state"]["key"], dtype=np.uint32)
        np.random.set_state({**numpy, "state": {**numpy["state"], "key": key}})
