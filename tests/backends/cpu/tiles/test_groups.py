"""Which passes follow each other tile by tile, and what needs no memory of its own then."""

from dataclasses import replace

import pytest

from descend.backends.cpu.tiles.groups import group_passes, list_begun, place_scratch
from descend.backends.cpu.tiles.layout import lay_out
from descend.backends.cpu.tiles.short_axes import choose_inner, list_short
from descend.lang.fold import build_program
from descend.lang.weave import default_structure
from descend.rules.adafactor import adafactor
from descend.rules.came import came
from descend.rules.sm3 import sm3

CONVOLUTION, MATRIX = (64, 32, 3, 3), (64, 32)


def build(rule, shape, **changes):
    inner = choose_inner(shape)
    structure = default_structure(rule, dims=len(shape))
    return build_program(rule, replace(structure, inner=inner, short=list_short(shape, inner), **changes))


@pytest.mark.parametrize(
    ("rule", "shape", "groups"),
    [
        (adafactor, CONVOLUTION, ((0, 1), (2,))),  # the last waits for the tensor's rms
        (came, CONVOLUTION, ((0, 1), (2, 3))),
        (adafactor, MATRIX, ((0,), (1,), (2,))),  # columns cross tiles
        (sm3, CONVOLUTION, ((0,), (1,))),  # so do slices along the second axis
        (adafactor, (64, 32, 7, 7), ((0,), (1,), (2,))),  # kernels are not made for these sizes
    ],
    ids=str,
)
def test_passes_follow_each_other(rule, shape, groups):
    assert group_passes(build(rule, shape)) == groups


def test_no_pass_follows_before_all_gradients_are_known_to_be_finite():
    program = build(adafactor, CONVOLUTION, guard=True)
    assert group_passes(program)[0] == (0,)


def test_only_what_a_later_group_reads_has_memory():
    """Adafactor's roots of rows and columns are used once more; CAME's first ones too, its last ones are not."""
    for rule, kept in ((adafactor, 2), (came, 2)):
        program = build(rule, CONVOLUTION)
        wide, narrow, size = place_scratch(program)
        layout = lay_out(program)
        assert set(wide) == set(layout.buffers) and len(layout.narrow) - len(narrow) == kept
        assert 0 < size < 1 << 18  # on a thread's stack
        assert list_begun(program)
    assert place_scratch(build(adafactor, MATRIX)) == ({}, {}, 0)
