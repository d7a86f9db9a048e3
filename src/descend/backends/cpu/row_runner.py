"""The CPU kernels over some rows of one tensor, many times with little between the calls."""

import numpy as np

from descend.backends.base import Batch, as_real
from descend.backends.cpu.chunk_passes import CHUNK
from descend.backends.cpu.context import ADDRESSES, SIZE
from descend.backends.cpu.runner import CpuRunner


class RowRunner(CpuRunner):
    """Steps stretches of rows of a batch's only tensor, in one pass and without counting.

    Args:
        batch: one contiguous parameter with its states, and no gradient.
        name: of the rule, for reports.
    """

    def __init__(self, batch: Batch, name: str) -> None:
        super().__init__(batch, name)
        self.set_params([batch.params[0].data_ptr()])
        self.set_states()
        self.set_rows()
        self.begin(np.zeros(len(batch.program.totals)))
        states = [s for letter in batch.program.states for s in batch.states[letter]]
        rows = [batch.params[0], None, *states]  # in the order of the table
        self._start = self._table[ADDRESSES:, 0].copy()
        self._row_bytes = np.array([0 if t is None else t[0].numel() * t.element_size() for t in rows])
        self._row_size = as_real(batch.params[0])[0].numel()

    def run_rows(self, first: int, last: int) -> None:
        """Run the pass for the rows from ``first`` up to, but without, ``last``."""
        self._table[ADDRESSES:, 0] = self._start + first * self._row_bytes
        self._table[SIZE, 0] = size = (last - first) * self._row_size
        self._first[1] = -(-size // CHUNK)
        self._run_pass(0)
