"""EMA against float64 references; target networks."""

import numpy as np
import pytest
import torch

from descend.schedules import constant
from descend.wrap import EMA, SWA
from wrap.network import make_model, move


def ema_by_hand(start, values, decay, bias_correction):
    """Kingma & Ba 2015, section 3: a sum from 0 over 1 - decay^n; uncorrected it begins at the first weights."""
    a = 0.0 if bias_correction else start
    for value in values:
        a = decay * a + (1 - decay) * value
    return a / (1 - decay ** len(values)) if bias_correction else a


@pytest.mark.parametrize("bias_correction", [True, False])
@pytest.mark.parametrize("decay", [0.0, 0.9, 0.999])
def test_ema_trajectory(decay, bias_correction):
    model = make_model()
    average = EMA(model, decay, bias_correction=bias_correction)
    start = model[0].weight.detach().numpy().copy()
    values = []
    for seed in range(12):
        move(model, seed)
        average.update()
        values.append((model[0].weight.detach().numpy().copy(), model[1].running_var.numpy().copy()))
        with average.swap():
            expected = ema_by_hand(start, [w for w, _ in values], decay, bias_correction)
            np.testing.assert_allclose(model[0].weight.detach().numpy(), expected, rtol=1e-12, atol=1e-13)
            expected = ema_by_hand(np.ones(3), [s for _, s in values], decay, bias_correction)
            np.testing.assert_allclose(model[1].running_var.numpy(), expected, rtol=1e-12, atol=1e-13)
            assert model[1].num_batches_tracked == seed + 1


def test_the_first_update_gives_the_weights_themselves():
    model = make_model(torch.float32)
    average = EMA(model, 0.9999)
    move(model, 5)
    expected = model[0].weight.detach().clone()
    average.update()
    average.copy_to()
    assert torch.equal(model[0].weight, expected)


def test_a_decay_of_one_is_a_mean_or_stands_still():
    model = make_model()
    mean, still, swa = EMA(model, 1.0), EMA(model, 1.0, bias_correction=False), SWA(model)
    start = model[0].weight.detach().clone()
    for seed in range(3):
        move(model, seed)
        for average in (mean, still, swa):
            average.update()
    with still.swap():
        assert torch.equal(model[0].weight, start)
    with swa.swap():
        expected = model[0].weight.detach().clone()
    with mean.swap():
        torch.testing.assert_close(model[0].weight.detach(), expected, rtol=1e-14, atol=0)


def test_a_scheduled_decay():
    model = make_model()
    average = EMA(model, constant(0.5).then(constant(0.75), at=1), bias_correction=False)
    w = model[0].weight.detach().clone()
    for seed, decay in enumerate([0.5, 0.75, 0.75]):
        move(model, seed)
        average.update()
        w = decay * w + (1 - decay) * model[0].weight.detach()
    with average.swap():
        torch.testing.assert_close(model[0].weight.detach(), w, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_target_network(dtype):
    """Mnih et al.'s target smoothed as in Lillicrap et al. 2016: target <- tau theta + (1 - tau) target."""
    critic = make_model(dtype).eval()
    target = EMA(critic, decay=1 - 0.25, bias_correction=False)
    x = torch.randn(4, 2).to(dtype)
    network = target.network()
    assert torch.equal(network(x), critic(x))
    expected = critic[0].weight.detach().float().clone()
    for seed in range(3):
        move(critic, seed)
        critic[1].running_var.abs_()
        target.update()
        expected = 0.75 * expected + 0.25 * critic[0].weight.detach().float()
    assert target.network() is network
    shared = network.get_parameter("0.weight").data_ptr()
    target.update()
    expected = 0.75 * expected + 0.25 * critic[0].weight.detach().float()
    assert (network.get_parameter("0.weight").data_ptr() == shared) is (dtype == torch.float32)
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())
    torch.testing.assert_close(
        network.get_parameter("0.weight").float(), expected, rtol=1e-2 if dtype == torch.bfloat16 else 1e-6, atol=1e-2
    )
    with target.swap():
        assert torch.equal(network(x), critic(x))
    target.load_state_dict(EMA(make_model(dtype, seed=9), 0.75, bias_correction=False).state_dict())
    assert torch.equal(network.get_parameter("0.weight"), make_model(dtype, seed=9)[0].weight)
