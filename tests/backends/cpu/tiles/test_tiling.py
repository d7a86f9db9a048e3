"""Tiles: every coordinate once, borders that depend on the shape alone, little memory for partial sums."""

from dataclasses import replace

import numpy as np
import pytest

from descend.backends.cpu.tiles.layout import TILE_HEAD, lay_out
from descend.backends.cpu.tiles.short_axes import choose_inner
from descend.backends.cpu.tiles.tiling import LEAST_ROWS, TILE, cut
from descend.lang.fold import build_program
from descend.lang.weave import default_structure
from descend.rules.adafactor import adafactor
from descend.rules.sm3 import sm3

SHAPES = [(1, 1), (3, 5), (700, 3), (5, 9000), (2000, 600), (64, 512, 512), (40, 300, 3), (9000, 3, 3), (0, 4), (4, 0)]


def lay(rule, shape):
    return lay_out(build_program(rule, default_structure(rule, dims=len(shape))))


@pytest.mark.parametrize("rule", [adafactor, sm3], ids=lambda r: r.name)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_coordinate_lies_in_one_tile(rule, shape):
    if 0 in shape:
        assert len(cut(shape, lay(rule, shape)).fields) == 0
        return
    seen = np.zeros((int(np.prod(shape[:-1])), shape[-1]), np.int8)
    for start, end, column, width in cut(shape, lay(rule, shape)).fields[:, :TILE_HEAD]:
        seen[start:end, column : column + width] += 1
    assert (seen == 1).all()


def test_partial_sums_are_few():
    """A stack of slices along the later axes, of which every tile could meet all, is cut into higher tiles."""
    for shape in SHAPES[:-2]:
        size, least = int(np.prod(shape)), sum(shape)
        assert cut(shape, lay(sm3, shape)).size <= size // 4 + 2 * least


def test_large_matrices_have_tiles_for_many_threads():
    assert len(cut((4096, 4096), lay(adafactor, (1, 1))).fields) >= 4096 * 4096 // (2048 * LEAST_ROWS) >= 64
    assert len(cut((256, 256), lay(adafactor, (1, 1))).fields) == 256 * 256 // TILE


@pytest.mark.parametrize(("rule", "whole"), [(adafactor, 3), (sm3, 200 * 3)], ids=["adafactor", "sm3"])
def test_flat_tiles_hold_what_is_behind_the_innermost_loop_whole(rule, whole):
    shape = (300, 200, 3, 3)
    program = build_program(rule, replace(default_structure(rule, dims=4), inner=choose_inner(shape)))
    joined = [int(np.prod([shape[a] for a in axes])) for axes in program.axes]
    starts, ends, columns, widths = cut(joined, lay_out(program)).fields[:, :TILE_HEAD].T
    assert (starts[1:] == ends[:-1]).all() and (starts[0], ends[-1]) == (0, 300 * 200 * 3)
    assert len(starts) > 4 and not (starts % whole).any() and not (ends % whole).any()
    assert (columns == 0).all() and (widths == 3).all()
