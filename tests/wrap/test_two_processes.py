"""Accumulation in two processes whose gradients are averaged equals one process with the big batch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import descend
from wrap.two_processes import ALIKE, CYCLES, OPTIONS, RAGGED, compute_loss, make_data, make_model

SCRIPT = Path(__file__).with_name("two_processes.py")
LIMIT = 120


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What both processes saved."""
    folder = tmp_path_factory.mktemp("processes")
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    running = [
        subprocess.Popen(
            [sys.executable, SCRIPT, str(rank), folder], env=environment, stderr=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    try:
        told = [process.communicate(timeout=LIMIT)[1] for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0, 0], "\n".join(told)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


def train_whole(sizes):
    model = make_model()
    optimizer = descend.AdamW(model.parameters(), **OPTIONS)
    for cycle, counts in enumerate(sizes):
        optimizer.zero_grad()
        compute_loss(model, *make_data(cycle, sum(map(sum, counts)))).backward()
        optimizer.step()
    return list(model.parameters())


@pytest.mark.parametrize("case", ["alike", "alike, no_sync", "alike, scaled", "ragged", "ragged, no_sync"])
def test_equals_one_process_with_the_big_batch(results, case):
    expected = train_whole(RAGGED if "ragged" in case else ALIKE)
    first, second = (result[case] for result in results)
    assert all(map(torch.equal, first, second)), "the processes went apart"
    for own, whole, start in zip(first, expected, make_model().parameters(), strict=True):
        allowed = CYCLES * 2.0**-52 * whole.abs().max() + 1e-12 * (whole - start).abs().max()
        assert (own - whole).abs().max() <= allowed


def test_what_processes_cannot_know_of_each_other_is_refused(results):
    for result in results:
        unweighed, within = result["refusals"]
        assert "Accumulation.weigh() in one of 2 processes, without the weights of the others" in unweighed
        assert "Pass process_group=" in unweighed
        assert "a GradScaler was called within a cycle, in one of 2 processes" in within
        assert "optimizer.pending == optimizer.steps - 1" in within
