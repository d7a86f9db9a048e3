"""The picture of a schedule."""

import subprocess
import sys

import pytest

from descend.errors import MissingExtraError, OptionError
from descend.schedules import cosine, step_decay, warmup

pytest.importorskip("matplotlib")


def points(figure) -> tuple[list[float], list[float]]:
    (line,) = figure.axes[0].lines
    return [float(x) for x in line.get_xdata()], [float(y) for y in line.get_ydata()]


def test_all_values_are_drawn_as_stairs():
    schedule = warmup(3) * cosine(40) * 0.1
    figure = schedule.plot()
    ks, values = points(figure)
    assert ks == list(range(44))
    assert values == schedule.table(44)
    assert figure.axes[0].lines[0].get_drawstyle() == "steps-post"


def test_into_given_axes():
    from matplotlib.figure import Figure

    figure = Figure()
    axes = figure.subplots()
    assert cosine(4).plot(axes=axes) is figure
    step_decay(2).plot(5, axes=axes)
    assert [len(line.get_xdata()) for line in axes.lines] == [6, 5]


def test_long_schedules_are_thinned_and_keep_their_ends():
    ks, values = points(cosine(1_000_000).plot(1_000_001))
    assert len(ks) < 5000
    assert (ks[0], ks[-1], values[0], values[-1]) == (0, 1_000_000, 1.0, 0.0)


def test_without_an_end_the_length_must_be_named():
    with pytest.raises(OptionError, match="schedule.plot"):
        step_decay(3).plot()
    with pytest.raises(OptionError, match="at least 1"):
        cosine(3).plot(0)


def test_it_is_saved(tmp_path):
    cosine(10).plot().savefig(tmp_path / "lr.png")
    assert (tmp_path / "lr.png").read_bytes()[:4] == b"\x89PNG"


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'descend\[bench\]'"):
        cosine(3).plot()


def test_schedules_load_neither_matplotlib_nor_their_pictures():
    names = ("matplotlib", "descend.schedules.picture", "descend.schedules.typeset")
    code = f"import sys, descend.schedules; print([m for m in {names} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
