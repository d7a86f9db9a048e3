"""The kernel's rounding of a new parameter: bit for bit that of ``descend.storage``, for every kind of number."""

import pytest
import torch

import descend
from backends.cpu.test_runner import around_ties, assert_same_bits
from backends.formulas import assign
from descend.backends.cpu.body import Storage
from descend.backends.cpu.chunk_passes import CHUNK
from descend.backends.cpu.compiler import _llvm
from descend.backends.cpu.render import render
from descend.lang.fold import build_program
from descend.lang.trace import Structure
from descend.storage.noise import BLOCK, make_keys
from descend.storage.rounding import round_stochastic

Assign = descend.optimizer(assign)
SIXTEEN = [torch.bfloat16, torch.float16]


@pytest.mark.parametrize("dtype", SIXTEEN, ids=str)
def test_every_kind_of_number_is_rounded_as_in_torch(dtype):
    """One step is p <- -0 + x with a float32 state x, so that p falls between neighbours, on them and beside them."""
    values = around_ties(dtype)
    generator = torch.Generator().manual_seed(0)
    values = values[torch.randperm(len(values), generator=generator)[:100_000]]
    ends = []
    for backend in ("eager", "cpu"):
        p = torch.nn.Parameter(torch.full((len(values),), -0.0, dtype=dtype))
        optimizer = Assign([p], backend=backend, rounding="stochastic")
        optimizer.state[p]["x"] = values.clone()
        p.grad = torch.zeros_like(p)
        optimizer.step()
        counter = int(optimizer.state[p]["rounding_noise"]) - 1
        ends.append(p.detach())
    assert_same_bits(*ends)
    assert_same_bits(ends[0], round_stochastic(values, dtype, counter, values).to(dtype))


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize(
    "structure",
    [
        Structure(narrow=True, rounding="stochastic", ema=True),
        Structure(narrow=True, rounding="compensated"),
        Structure(narrow=True, count_lost=True),
    ],
    ids=["stochastic", "compensated", "counted"],
)
def test_the_text_is_valid(structure, dtype, machine):
    program = build_program(assign, structure)
    streams = tuple(dtype if s in ("p", "g") else "float32" for s in program.streams)
    module = _llvm().parse_assembly(render(program, Storage("float", streams), machine))
    module.verify()
    stages = [f.name for f in module.functions if f.name.startswith("stage_")]
    assert stages == [f"stage_{k}" for k in range(len(program.passes))]


def test_blocks_of_coordinates_begin_at_chunk_borders():
    """A chunk has one block number, so that its keys are made once."""
    assert (1 << BLOCK) % CHUNK == 0
    assert make_keys(5, 0) != make_keys(5, 1)
