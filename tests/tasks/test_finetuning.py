import pytest
import torch

from descend.tasks import check, finetuning, snippets
from descend.tasks.encoder import Encoder, rename
from tasks.test_encoder import SIZES, made_up_weights
from tasks.training import train

VOCABULARY = "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"good fine bright bad dull weak film a".split()])


@pytest.fixture
def small(made_up_snippets, monkeypatch):
    """The task with an encoder of two layers of width 12."""
    monkeypatch.setattr(finetuning, "Encoder", lambda: Encoder(**SIZES))
    given = {name: torch.ones_like(v) if "Norm.weight" in name else v for name, v in made_up_weights().items()}
    monkeypatch.setattr(finetuning, "weights", lambda: rename(given, layers=2))
    monkeypatch.setattr(finetuning, "vocabulary", lambda: VOCABULARY)
    monkeypatch.setattr(finetuning, "WIDTH", 12)
    return finetuning.snippets_minilm


def test_parts_are_the_first_of_those_that_the_bag_has_too(small, made_up_snippets):
    data, (sentences, labels) = finetuning.sentences(), made_up_snippets
    parts = snippets.divide(sentences)
    assert [len(data.train), len(data.validation), len(data.test)] == [1600, 600, 600]
    assert torch.equal(data.test.targets, labels[parts[2][:600]])
    rows = data.train.inputs
    assert rows.shape[1] <= 40 and (rows[:, 0] == 2).all() and ((rows == 3).sum(1) == 1).all()


def test_only_the_layers_and_the_head_learn(small):
    check(small)
    torch.manual_seed(0)
    model = small.model()
    start = {name: value.clone() for name, value in model.state_dict().items()}
    frozen = {name for name, value in model.named_parameters() if not value.requires_grad}
    assert {name.split(".")[1] for name in frozen} == {"words", "places", "kinds", "norm"}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    small.batch_loss(model, next(small.batches(small.load().train, 0))).backward()
    optimizer.step()
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, start[name])}
    assert not moved & frozen and {"head.weight", "encoder.layers.1.linear2.weight"} <= moved


def test_it_learns_which_words_are_favourable(small):
    before, after = train(small, "AdamW", 1e-2, steps=150, rows=200)
    assert before < 0.6 and after > 0.7
