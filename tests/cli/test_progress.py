import io
import signal

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from descend.cli.progress import Interruptible, show_progress, terminable


def test_the_bar_counts_and_tells_the_time_left():
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=100)
    with show_progress(console, "runs", 4, 1) as bar:
        bar(3, "clouds: adam")
    shown = text.getvalue()
    assert "3/4" in shown and "runs," in shown and "left" in shown and "clouds: adam" in shown


def test_a_termination_ends_it_as_ctrl_c_does_and_the_old_handler_comes_back():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), terminable():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_interrupted_early_says_so(number):
    app = typer.Typer(cls=Interruptible)

    @app.callback()
    def root():
        pass

    @app.command()
    def wait():
        signal.raise_signal(number)

    done = CliRunner().invoke(app, ["wait"])
    assert done.exit_code == 130 and done.stderr.startswith("Interrupted. Finished runs are kept")
