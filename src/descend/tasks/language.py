"""Nine plays of Shakespeare, character by character, and a small transformer that writes on."""

import itertools
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from descend.tasks.data import Data, Part
from descend.tasks.metric import Metric
from descend.tasks.shipped import read_own
from descend.tasks.task import Facts, Task

SHA256 = "f2bc29b555f7751b3ed2284934b0e52cd62b85ee20b4eaf6f726dfdba36301cf"
CONTEXT = 64
BETWEEN_PLAYS = "\n\f\n"
LETTERS = 76
"""Different characters in the plays."""


def read() -> str:
    """The plays, one after the other; a form feed between two."""
    return read_own("shakespeare.txt.gz", SHA256).decode("ascii")


@lru_cache(maxsize=1)
def windows() -> Data:
    """Windows of 64 characters that do not overlap, each with the 64 that come one later.

    Of every play the first 80 % are for training, the next 10 % for validation, the last 10 % for the test.
    """
    text = read()
    letters = sorted(set(text) - {"\f"})
    number = {letter: place for place, letter in enumerate(letters)}
    parts: tuple[list[Tensor], ...] = ([], [], [])
    for play in text.split(BETWEEN_PLAYS):
        codes = torch.tensor([number[letter] for letter in play])
        ends = [0, round(0.8 * len(codes)), round(0.9 * len(codes)), len(codes)]
        for part, (start, end) in zip(parts, itertools.pairwise(ends), strict=True):
            part.append(codes[start:end].unfold(0, CONTEXT + 1, CONTEXT))
    pairs = (torch.cat(part) for part in parts)
    return Data(*(Part(rows[:, :-1].contiguous(), rows[:, 1:].contiguous()) for rows in pairs))


class Transformer(nn.Module):
    """A decoder with pre-normalisation and tied embeddings, as in GPT-2: two layers of width 64, 4 heads.

    Source: Radford, Wu, Child, Luan, Amodei and Sutskever (2019), "Language Models are Unsupervised Multitask
    Learners", sections 2.2 and 2.3; initial values with standard deviation 0.02, those that end a residual branch
    smaller by the root of the number of branches.
    """

    def __init__(self, letters: int = LETTERS, width: int = 64, layers: int = 2, heads: int = 4) -> None:
        super().__init__()
        self.letters = nn.Embedding(letters, width)
        self.places = nn.Embedding(CONTEXT, width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(CONTEXT), persistent=False)
        for name, value in self.named_parameters():
            if value.ndim > 1:
                ends_branch = name.endswith(("out_proj.weight", "linear2.weight"))
                nn.init.normal_(value, std=0.02 / (2 * layers) ** 0.5 if ends_branch else 0.02)

    def forward(self, codes: Tensor) -> Tensor:
        """Logits (rows, 64, letters) for the character after each of (rows, 64)."""
        x = self.letters(codes) + self.places.weight[: codes.shape[1]]
        for layer in self.layers:
            x = layer(x, src_mask=self.mask, is_causal=True)
        return functional.linear(self.norm(x), self.letters.weight)


def next_letter_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy in nats a character."""
    return functional.cross_entropy(outputs.flatten(0, 1), targets.flatten())


shakespeare_gpt = Task(
    name="shakespeare-gpt",
    card=(
        "Nine plays of Shakespeare, 1.15 million characters; a transformer of two layers of width 64 predicts the "
        "next of 64 characters. Cross-entropy in nats a character: 4.3 untrained, 3.3 for letter frequencies, "
        "about 1.9 after a good run. The guides' language case: adaptive methods are clearly ahead of SGD."
    ),
    data=windows,
    model=Transformer,
    loss=next_letter_loss,
    metric=Metric("cross-entropy", next_letter_loss, higher_is_better=False),
    batch_size=16,
    steps=1500,
    evaluate_every=150,
    target=1.90,
    facts=Facts("17,975 windows of 64 characters", 109_056, 30, "public domain; collected by Open Shakespeare"),
)
