"""The tiles of a batch's tensors, and memory for values of rows and columns within a step."""

import math
from collections.abc import Sequence

import numpy as np

from descend.backends.cpu.tiles.groups import place_scratch
from descend.backends.cpu.tiles.layout import SHARE_FIELDS, TILE_HEAD, lay_out
from descend.backends.cpu.tiles.phases import list_read
from descend.backends.cpu.tiles.shuffles import SLACK
from descend.backends.cpu.tiles.tiling import count_slices, cut
from descend.lang.graph import Rate
from descend.lang.program import Program


class TiledBatch:
    """The tiles of a batch's tensors, and memory for their slice values.

    Args:
        program: the step.
        shapes: of the tensors.
        width: bytes of a number of the work type.
        blocks: ranges of tensors that a chain of passes goes over together; they share their memory where no slice
            value outlives the chain.
    """

    def __init__(
        self, program: Program, shapes: Sequence[Sequence[int]], width: int, blocks: Sequence[tuple[int, int]]
    ) -> None:
        layout = lay_out(program)
        joined = [[math.prod(shape[a] for a in axes) for axes in program.axes] for shape in shapes]
        cuts = [cut(shape, layout) for shape in joined]
        self.chunks = np.array([len(c.fields) for c in cuts], np.int64)
        self.columns = np.zeros((layout.width, len(shapes)), np.int64)
        wide, narrow, _ = place_scratch(program)
        values = [(n, 8, k) for k, n in enumerate(layout.buffers) if n not in wide]
        values += [(n, width, len(layout.buffers) + k) for k, n in enumerate(layout.narrow) if n not in narrow]
        ends, largest, spare = 0, 0, SLACK if layout.short else 0
        for first, last in blocks:
            at = 0 if _ends_with_chain(program) else ends
            for j in range(first, last):
                self.columns[: len(layout.axes), j] = joined[j]
                for node, size, k in values:
                    self.columns[len(layout.axes) + k, j] = at
                    at += -(-size * count_slices(joined[j], layout.along(node.axes)) // 64) * 64 + spare
                cuts[j].fields[:, TILE_HEAD::SHARE_FIELDS] *= 8
                for node in layout.taken:
                    home = self.columns[len(layout.axes) + layout.buffers[node], j] if layout.local else at
                    cuts[j].fields[:, layout.share_field(node)] += home
                at += 8 * cuts[j].size
            ends, largest = at, max(largest, at)
        self._memory = np.zeros(largest // 8 + 1)
        self.bytes = self._memory.nbytes
        self.fields = np.concatenate([c.fields for c in cuts])
        self.fields[:, TILE_HEAD::SHARE_FIELDS] += self._memory.ctypes.data
        self.columns[len(layout.axes) :] += self._memory.ctypes.data


def _ends_with_chain(program: Program) -> bool:
    """Whether all slice values are made and used within one chain of passes, which runs block by block."""
    uses = {
        step.index
        for step in program.passes
        if step.slices or step.slice_stores or list_read(step) or any(n.rate is Rate.SLICE for n in step.reductions)
    }
    return any(len(chain) > 1 and uses <= set(chain) for chain in program.chains)
