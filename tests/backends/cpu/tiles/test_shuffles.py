"""Slice values laid out for elements, and put together from them, beside NumPy's own indexing."""

import ctypes

import numpy as np
import pytest

from descend.backends.cpu import compiler
from descend.backends.cpu.body import Body
from descend.backends.cpu.tiles import template
from descend.backends.cpu.tiles.short_axes import GROUP
from descend.backends.cpu.tiles.shuffles import Pattern, fill_group
from descend.backends.cpu.words import declare

PLACES = {
    "rows of 3 x 3": [0, 0, 0, 1, 1, 1, 2, 2, 2],
    "columns of 3 x 3": [0, 1, 2] * 3,
    "matrices of 2 x 2": [0] * 4,
    "columns of 5 x 4": [0, 1, 2, 3] * 5,
    "the middle of 2 x 3 x 2": [0, 0, 1, 1, 2, 2] * 2,
    "elements of 3": [0, 1, 2],
}
DTYPES = {"float": np.float32, "double": np.float64}


def call(body, *arrays):
    """Compile a function of the addresses ``%a0``, ``%a1``… and call it."""
    fill = "".join(template.FILL.format(suffix=s, kind=k) for s, k in (("", "double"), ("_float", "float")))
    parameters = ", ".join(f"ptr noalias %a{i}" for i in range(len(arrays)))
    text = f"{declare()}\n{fill}\ndefine void @f({parameters}) {{\nentry:\n{body.text()}\n  ret void\n}}\n"
    kernel = compiler.load("shuffles", text, 0)
    kernel.function("f", *[ctypes.c_void_p] * len(arrays))(*(a.ctypes.data for a in arrays))


@pytest.mark.parametrize("kind", DTYPES)
@pytest.mark.parametrize("count", [1, GROUP, 37])
@pytest.mark.parametrize("places", PLACES.values(), ids=PLACES)
def test_laid_out(places, count, kind):
    slices, room = 1 + max(places), -(-count // GROUP) * GROUP
    values = np.arange(room * slices + 16, dtype=DTYPES[kind])
    for along in (True, False):
        found = np.full(room * len(places), -1, DTYPES[kind])
        body = Body("double")
        Pattern(places).lay_out(body, "lay", kind, "%a0", "%a1", str(count), along=along)
        call(body, values, found)
        index = np.arange(count)[:, None] * (slices if along else 0) + np.array(places)
        np.testing.assert_array_equal(found[: count * len(places)], values[index].ravel())


@pytest.mark.parametrize(("name", "kind"), [("sum", "double"), ("largest", "float"), ("largest", "double")])
@pytest.mark.parametrize("count", [1, GROUP, 37])
@pytest.mark.parametrize("places", PLACES.values(), ids=PLACES)
def test_put_together(places, count, name, kind):
    """What stands there already takes part, and stays as it is behind the last index."""
    draw, slices, room = np.random.default_rng(0), 1 + max(places), -(-count // GROUP) * GROUP
    elements = draw.normal(size=room * len(places) + 16).astype(DTYPES[kind])
    before = draw.normal(size=room * slices)
    found, body = before.copy(), Body("double")
    nothing = "0.0" if name == "sum" else "0xFFF0000000000000"
    fill_group(body, "%a0", nothing, str(count), len(places), kind)
    Pattern(places).put_together(body, "put", name, "%a0", "%a1", str(count), kind)
    call(body, elements, found)
    expected = before.copy()
    for i in range(count):
        for t, s in enumerate(places):
            x, at = float(elements[i * len(places) + t]), i * slices + s
            expected[at] = expected[at] + x if name == "sum" else max(expected[at], x)
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-14)
    np.testing.assert_array_equal(found[count * slices :], before[count * slices :])
