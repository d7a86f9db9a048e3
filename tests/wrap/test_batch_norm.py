"""Batch-norm statistics: frozen within a block, measured anew over batches."""

import pytest
import torch
from torch import nn

from descend.errors import OptionError, ParameterError
from descend.wrap import freeze_statistics, recalibrate


def make_model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3, momentum=0.3), nn.Dropout(0.5), nn.Linear(3, 1))


def batches(count=4):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(6, 2, generator=generator) for _ in range(count)]


@pytest.mark.parametrize("known", [True, False])
def test_frozen_statistics(known):
    model = make_model()
    model(batches()[0])
    before = [b.clone() for b in model.buffers()]
    with freeze_statistics(model if known else None):
        model(batches()[1])
    assert all(torch.equal(a, b) for a, b in zip(before, model.buffers(), strict=True))
    model(batches()[1])
    assert model[1].num_batches_tracked == 2


def test_a_layer_in_evaluation_mode_goes_on_using_its_running_statistics():
    model = make_model().eval()
    expected = model(batches()[0])
    with freeze_statistics():
        assert torch.equal(model(batches()[0]), expected)


def test_recalibration_is_the_mean_over_batches():
    model = make_model()
    for x in batches():
        model(x)
    assert recalibrate(model, batches()) == 4
    hidden = [model[0](x).detach() for x in batches()]
    torch.testing.assert_close(model[1].running_mean, torch.stack([h.mean(0) for h in hidden]).mean(0))
    torch.testing.assert_close(model[1].running_var, torch.stack([h.var(0) for h in hidden]).mean(0))


def test_modes_and_momentum_are_restored():
    model = make_model()
    model[2].eval()
    recalibrate(model, batches())
    assert [m.training for m in model] == [True, True, False, True]
    assert model.training
    assert model[1].momentum == 0.3


def test_only_batch_norm_trains_meanwhile():
    model, seen = make_model(), []
    model[2].register_forward_hook(lambda m, args, out: seen.append(m.training))
    recalibrate(model, batches())
    assert seen == [False] * 4


def test_kinds_of_batches():
    expected = make_model()
    recalibrate(expected, batches())

    class Keyword(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = make_model()

        def forward(self, x):
            return self.inner(x)

    for model, given, forward in [
        (make_model(), [(x, 0) for x in batches()], None),
        (Keyword(), [{"x": x} for x in batches()], None),
        (make_model(), [("label", x) for x in batches()], lambda m, batch: m(batch[1])),
    ]:
        recalibrate(model, given, forward=forward)
        found = dict(model.named_buffers())
        assert torch.equal(next(iter(found.values())), expected[1].running_mean)


def test_without_batch_norm_nothing_is_read():
    def explode():
        yield 1 / 0

    assert recalibrate(nn.Linear(2, 2), explode()) == 0


def test_what_is_refused():
    with pytest.raises(OptionError, match="there were no batches"):
        recalibrate(make_model(), [])
    with pytest.raises(ParameterError, match="model: got 'list'"):
        recalibrate([], batches())
