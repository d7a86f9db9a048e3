"""10,605 sentences of film reviews with the mean opinion of human raters.

Hutto and Gilbert (2014), "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text". The
sentences are from Rotten Tomatoes, so they are fetched and not shipped.
"""

import tarfile
from functools import lru_cache
from io import BytesIO

import torch
from torch import Tensor

from descend.tasks.data import shuffle
from descend.tasks.package import Package

SOURCE = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
SNIPPETS = Package(
    name="vaderSentiment",
    version="3.3.2",
    source=True,
    archives=("5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",),
    megabytes=2.5,
    files={SOURCE: "d5bb07d87474b3eb8d30b4deccbc23f19d742a6c5718fbacc65485b70b95c5fa"},
)
TEST, VALIDATION = 2000, 1000
LICENCE = "sentences of Rotten Tomatoes, ratings MIT (vaderSentiment); fetched, not shipped"


def parse(text: str) -> tuple[list[str], Tensor]:
    """The sentences, and 1 for those whose mean rating is above 0, from lines of number, rating and sentence."""
    rows = [line.split("\t", 2) for line in text.splitlines() if line]
    return [row[2] for row in rows], torch.tensor([int(float(row[1]) > 0) for row in rows])


@lru_cache(maxsize=1)
def read() -> tuple[list[str], Tensor]:
    """All sentences and their labels.

    Raises:
        DataError: they have not been fetched.
    """
    with tarfile.open(fileobj=BytesIO(SNIPPETS.read(SOURCE))) as archive:
        member = archive.extractfile("hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt")
        assert member is not None
        return parse(member.read().decode())


def divide(sentences: list[str]) -> tuple[list[int], list[int], list[int]]:
    """Indices for training, validation (1,000) and the test (2,000), the same for every task on these sentences.

    A sentence that occurs twice stays in one part: repeats follow the first one.
    """
    order = shuffle(len(sentences)).tolist()
    owner: dict[str, int] = {}
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for index in order:
        fresh = 2 if len(parts[2]) < TEST else 1 if len(parts[1]) < VALIDATION else 0
        parts[owner.setdefault(sentences[index], fresh)].append(index)
    return parts
