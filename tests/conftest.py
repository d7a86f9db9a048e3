"""What all tests share: imports between test folders, and a report on the kernels that a session compiled."""

import os
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

# No deadlines on shared machines. CI tries the same examples in every run; at a desk they differ each time.
settings.register_profile("desk", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")

# Who is started in the background ignores Ctrl-C, and so would every process that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

_KERNELS = "descend_kernels"


def _list_kernels():
    cpu = sys.modules.get("descend.backends.cpu")
    return [(str(name), float(seconds)) for name, seconds in cpu.compiled_kernels()] if cpu else []


def pytest_sessionfinish(session):
    """A worker of pytest-xdist hands its kernels to the process that prints the summary."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[_KERNELS] = _list_kernels()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    node.config.stash.setdefault(_STASH, []).extend(getattr(node, "workeroutput", {}).get(_KERNELS, []))


_STASH = pytest.StashKey[list[tuple[str, float]]]()


def pytest_terminal_summary(terminalreporter, config):
    kernels = config.stash.get(_STASH, []) + _list_kernels()
    if kernels:
        total, slowest = sum(s for _, s in kernels), max(kernels, key=lambda k: k[1])
        terminalreporter.write_line(
            f"compiled {len(kernels)} kernels in {total:.1f} s; the slowest, {slowest[0]}: {slowest[1]:.2f} s"
        )
