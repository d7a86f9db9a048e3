"""A worker process: reads jobs from its standard input, writes records to its standard output.

Started by :mod:`descend.compare.pool` as ``python -c``, not by ``multiprocessing``: that would import the
user's main script again, which then needs a ``__main__`` guard, and it would be forked after threads have
started.
"""

import os
import pickle
import sys
from typing import BinaryIO


def main() -> None:
    """Do jobs until the input ends, which it also does when the parent dies."""
    # A print() in the user's model must not end up between two records.
    replies: BinaryIO = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests: BinaryIO = sys.stdin.buffer

    import torch

    from descend.compare.jobs import Bench, Briefing

    torch.set_num_threads(1)
    try:
        briefing: Briefing = pickle.loads(pickle.load(requests))
        bench = Bench(briefing)
        while True:
            pickle.dump(bench.answer(pickle.load(requests)), replies)
            replies.flush()
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return
