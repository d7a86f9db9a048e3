"""What backends share: the type of arithmetic, pairs of reals, and what memory looks like."""

import pytest
import torch

from descend.backends.base import WORK, as_real, is_dense, overlaps_itself


def test_arithmetic_is_float32_at_least():
    assert {d: w for d, w in WORK.items() if not d.is_complex} == {
        torch.float32: torch.float32,
        torch.float64: torch.float64,
        torch.bfloat16: torch.float32,
        torch.float16: torch.float32,
    }
    assert WORK[torch.complex64] is torch.float32 and WORK[torch.complex128] is torch.float64


def test_complex_numbers_are_pairs_of_reals_in_place():
    z = torch.tensor([1 + 2j, 3 - 4j])
    as_real(z)[1, 1] = 9.0
    assert z.tolist() == [1 + 2j, 3 + 9j]
    x = torch.ones(2)
    assert as_real(x) is x


@pytest.mark.parametrize(
    ("tensor", "dense"),
    [
        (torch.zeros(2, 3, 4), True),
        (torch.zeros(()), True),
        (torch.zeros(0, 3), True),
        (torch.zeros(2, 3).t(), True),
        (torch.zeros(2, 3, 4, 5).to(memory_format=torch.channels_last), True),
        (torch.zeros(2, 3, 4).permute(1, 2, 0), True),
        (torch.zeros(4, 1).expand(4, 1), True),
        (torch.zeros(6)[::2], False),
        (torch.zeros(4, 4)[:, 1:], False),
        (torch.zeros(1, 3).expand(4, 3), False),
        (torch.zeros(5).as_strided((3, 3), (1, 1)), False),
    ],
)
def test_dense(tensor, dense):
    assert is_dense(tensor) is dense


@pytest.mark.parametrize(
    ("tensor", "overlaps"),
    [
        (torch.zeros(2, 3).t(), False),
        (torch.zeros(6)[::2], False),
        (torch.zeros(()), False),
        (torch.zeros(1).expand(1), False),
        (torch.zeros(1, 3).expand(4, 3), True),
        (torch.zeros(()).expand(2), True),
        (torch.zeros(5).as_strided((3, 3), (1, 1)), True),
    ],
)
def test_overlap_with_itself(tensor, overlaps):
    assert overlaps_itself(tensor) is overlaps
