"""Forked children: their parent's threads and locks are gone. Alarms end what hangs."""

import os
import threading

import pytest
import torch

import descend
from descend.backends.cpu import compiler, team
from hazards.children import in_child, join_child, start_child
from hazards.formula_of_its_own import make_class, step_once

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
SIZE = 32_000
"""Enough coordinates for a launch on several threads, too few for torch's own: in a forked child those hang."""


def make(name: str = "Adam", **options: object):
    p = torch.nn.Parameter(torch.linspace(-1, 1, SIZE))
    return p, getattr(descend, name)([p], lr=0.1, backend="cpu", **options)


def step(p: torch.nn.Parameter, optimizer: torch.optim.Optimizer, k: int) -> None:
    p.grad = p.detach() * (k + 1)
    optimizer.step()


@pytest.mark.parametrize(("name", "options"), [("Adam", {}), ("LAMB", {"clip_norm": 1.0})])
def test_a_child_steps_on_after_its_parent_has_used_several_threads(name, options):
    torch.set_num_threads(2)
    p, optimizer = make(name, **options)
    step(p, optimizer, 0)
    torch.ones(SIZE * 10).sum()  # torch's team is awake

    def work():
        for k in (1, 2):
            step(p, optimizer, k)
        return p.detach().numpy(), team.usable_openmp() is None

    values, without_team = in_child(work)
    assert without_team
    for k in (1, 2):  # the parent goes on as if nothing had been
        step(p, optimizer, k)
    assert torch.equal(torch.from_numpy(values), p.detach())


def test_a_child_makes_its_own_optimizer():
    torch.set_num_threads(2)
    p, optimizer = make()
    step(p, optimizer, 0)

    def work():
        q, fresh = make()
        step(q, fresh, 0)
        return q.detach().numpy()

    assert torch.equal(torch.from_numpy(in_child(work)), p.detach())


def test_a_grandchild():
    torch.set_num_threads(2)
    p, optimizer = make()
    step(p, optimizer, 0)

    def child():
        step(p, optimizer, 1)  # makes the child's pool
        return in_child(lambda: (step(p, optimizer, 2), p.detach().numpy())[1], seconds=15)

    values = in_child(child)
    for k in (1, 2):
        step(p, optimizer, k)
    assert torch.equal(torch.from_numpy(values), p.detach())


def test_a_fork_while_another_thread_compiles(store_folder):
    """The children compile kernels of their own at once, which LLVM's inherited locks would prevent."""
    classes = [make_class() for _ in range(6)]
    stop = threading.Event()

    def compile_on():
        for k in range(200):
            if stop.is_set():
                break
            text = f"define void @nothing(ptr %x) {{\n  store double {k}.0, ptr %x\n  ret void\n}}\n"
            compiler.load("test: fork", text, 1)

    thread = threading.Thread(target=compile_on)
    thread.start()
    try:
        children = [start_child(lambda c=cls: step_once(c).numpy(), seconds=15) for cls, _ in classes]
        results = [join_child(child) for child in children]
    finally:
        stop.set()
        thread.join()
    for values, (_, constant) in zip(results, classes, strict=True):
        assert values.tolist() == [-constant] * 5


def test_sixteen_processes_on_an_empty_store(store_folder):
    """All want the same two kernels at once; whoever writes last, every file is whole."""
    classes = [make_class() for _ in range(2)]
    gate_out, gate_in = os.pipe()

    def work():
        os.read(gate_out, 1)  # wait until all are there
        values = [step_once(cls).tolist() for cls, _ in classes]
        # compiled or read, never neither
        return values, len(compiler.compiled_kernels())

    before = len(compiler.compiled_kernels())
    children = [start_child(work, seconds=60) for _ in range(16)]
    os.write(gate_in, b"x" * 16)
    results = [join_child(child, seconds=70) for child in children]
    os.close(gate_out)
    os.close(gate_in)
    assert all(values == [[-c] * 5 for _, c in classes] for values, _ in results)
    assert all(0 <= count - before <= 2 for _, count in results)
    assert len(list(store_folder.iterdir())) == 2  # and no half-written file
    kept = sum(count - before for _, count in results)
    assert kept >= 2
    assert in_child(work_again(classes, before)) == 0


def work_again(classes, before: int):
    """How many kernels a new process compiles once they are kept."""

    def work():
        assert [step_once(cls).tolist() for cls, _ in classes] == [[-c] * 5 for _, c in classes]
        return len(compiler.compiled_kernels()) - before

    return work
