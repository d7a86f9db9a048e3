"""Freed blocks are used again without asking the system for memory."""

import subprocess
import sys

import pytest

COUNT = """
import resource, sys
import torch
from descend.compare.allocation import keep_freed_memory

torch.set_num_threads(1)
if sys.argv[1] == "keep":
    keep_freed_memory()
def train():
    return [torch.ones(400_000) for _ in range(8)]  # 1.6 MB each, all alive at once, then all freed
for _ in range(5):
    train()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    train()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def count_faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", COUNT, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc is told")
def test_freed_blocks_are_kept():
    assert count_faults("keep") < 20
