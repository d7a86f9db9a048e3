"""Who speaks: two Japanese vowels from nine men, and a recurrent network.

Kudo, Toyama and Shimbo (1999), "Multidimensional Curve Classification Using Passing-Through Regions", Pattern
Recognition Letters 20; UCI Machine Learning Repository.
"""

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from descend.tasks.data import Data, Part, shuffle
from descend.tasks.metric import accuracy
from descend.tasks.package import Package
from descend.tasks.task import Facts, Task

_FOLDER = "aeon/datasets/data/JapaneseVowels/JapaneseVowels"
VOWELS = Package(
    name="aeon",
    version="1.6.0",
    archives=("d05227086706f80111ac5fee8de4d5d3115bb3bcfd1c786c8629393055816409",),
    megabytes=6.4,
    files={
        f"{_FOLDER}_TRAIN.ts": "68a430eabd919cc77f40b1f5f3bc0dcafacc1486bca9260785aeb7d262cc78cd",
        f"{_FOLDER}_TEST.ts": "b3d41d6a0ca3bcad3afb9ca7d4365382aa51341e2e58bae2a574babdda5b9462",
    },
)
CHANNELS, SPEAKERS, LONGEST, VALIDATION = 12, 9, 29, 120


def read_series(text: str) -> tuple[Tensor, Tensor, Tensor]:
    """Series (rows, 29, channels) filled up with zeros, their lengths, and their classes from 0.

    Args:
        text: of a ``.ts`` file: after ``@data`` a series a line, channels apart by colons, the class last.
    """
    _, _, body = text.partition("@data\n")
    lines = [line.split(":") for line in body.splitlines() if line]
    series = [torch.tensor([[float(v) for v in one.split(",")] for one in line[:-1]]).T for line in lines]
    filled = torch.stack([functional.pad(one, (0, 0, 0, LONGEST - len(one))) for one in series])
    return filled, torch.tensor([len(one) for one in series]), torch.tensor([int(line[-1]) - 1 for line in lines])


@lru_cache(maxsize=1)
def vowels() -> Data:
    """The official 270 series for training; of the official 370 for the test, 120 are for validation."""
    train, later = (read_series(VOWELS.read(f"{_FOLDER}_{name}.ts").decode()) for name in ("TRAIN", "TEST"))
    known = train[0][is_real(train[1])]
    mean, deviation = known.mean(0), known.std(0)

    def part(series: Tensor, lengths: Tensor, targets: Tensor) -> Part:
        scaled = torch.where(is_real(lengths).unsqueeze(2), (series - mean) / deviation, 0.0)
        return Part((scaled, lengths), targets)

    order = shuffle(len(later[1]))
    whole = part(*later)
    return Data(part(*train), whole.batch(order[:VALIDATION]), whole.batch(order[VALIDATION:]))


def is_real(lengths: Tensor) -> Tensor:
    """(rows, 29): whether a moment belongs to the series or fills it up."""
    return torch.arange(LONGEST) < lengths.unsqueeze(1)


class Recurrent(nn.Module):
    """A gated recurrent unit of width 64 and a linear layer on its last state."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.unit = nn.GRU(CHANNELS, width, batch_first=True)
        self.head = nn.Linear(width, SPEAKERS)

    def forward(self, inputs: tuple[Tensor, Tensor]) -> Tensor:
        """Logits (rows, 9) from series (rows, 29, 12) and their lengths (rows,)."""
        series, lengths = inputs
        states, _ = self.unit(series)
        return self.head(states[torch.arange(len(lengths)), lengths - 1])


vowels_gru = Task(
    name="vowels-gru",
    card=(
        "Nine Japanese men say two vowels, 640 times in all: twelve coefficients at each of 7 to 29 moments. A "
        "gated recurrent unit of width 64 says who it was; a good run is right 95 to 97 times in 100. The case for "
        "clipping in recurrent networks."
    ),
    data=vowels,
    model=Recurrent,
    loss=functional.cross_entropy,
    metric=accuracy,
    batch_size=16,
    steps=340,
    target=0.95,
    packages=(VOWELS,),
    facts=Facts("640 series of 12 channels", 15_561, 2, "UCI; carried by aeon (BSD-3), fetched and not shipped"),
)
