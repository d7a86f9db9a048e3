"""Film reviews with a pretrained encoder: fine-tuning."""

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from descend.tasks import snippets
from descend.tasks.data import Data, Part
from descend.tasks.encoder import MINILM, WIDTH, Encoder, vocabulary, weights
from descend.tasks.metric import accuracy
from descend.tasks.task import Facts, Task
from descend.tasks.wordpiece import WordPiece

TRAINING, HELD, LONGEST = 1600, 600, 40


@lru_cache(maxsize=1)
def sentences() -> Data:
    """1,600 sentences for training, 600 each for validation and the test, cut at 40 pieces."""
    texts, labels = snippets.read()
    reader = WordPiece(vocabulary())
    train, validation, test = snippets.divide(texts)

    def part(chosen: list[int]) -> Part:
        rows = [torch.tensor(reader.encode(texts[i], LONGEST)) for i in chosen]
        return Part(pad_sequence(rows, batch_first=True), labels[chosen])

    return Data(part(train[:TRAINING]), part(validation[:HELD]), part(test[:HELD]))


class Classifier(nn.Module):
    """The encoder with a new linear layer; its embeddings stay as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.encoder.load_state_dict(weights())
        for part in (self.encoder.words, self.encoder.places, self.encoder.kinds, self.encoder.norm):
            part.requires_grad_(False)
        self.head = nn.Linear(WIDTH, 2)

    def forward(self, pieces: Tensor) -> Tensor:
        """Logits (rows, 2): unfavourable, favourable."""
        return self.head(self.encoder(pieces))


snippets_minilm = Task(
    name="snippets-minilm",
    card=(
        "Is a sentence of a film review favourable? The pretrained encoder MiniLM, six layers of width 384, goes on "
        "learning from 1,600 sentences, twice through; its embeddings stay as they are. Near 81 % on 600 others. The "
        "guides' fine-tuning case: small learning rates, linear decay, decoupled weight decay."
    ),
    data=sentences,
    model=Classifier,
    loss=functional.cross_entropy,
    metric=accuracy,
    batch_size=32,
    steps=100,
    evaluate_every=50,
    target=0.80,
    packages=(snippets.SNIPPETS, MINILM),
    facts=Facts("2,800 sentences", 10_647_554, 85, f"{snippets.LICENCE}; weights Apache-2.0"),
)
