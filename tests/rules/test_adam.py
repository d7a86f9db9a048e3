"""Why AMSGrad exists: the problems of Reddi, Kale & Kumar 2018 on which Adam ends at the worst point."""

import itertools

import pytest
import torch

import descend


def play(gradients, steps, lr, **options):
    """The point in [-1, 1] after steps with rate lr/sqrt(t) on linear losses of the given slopes."""
    x = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = descend.Adam([x], **options)
    for t, g in enumerate(itertools.islice(gradients, steps), start=1):
        optimizer.param_groups[0]["lr"] = lr / t**0.5
        x.grad = torch.tensor([g], dtype=torch.float64)
        optimizer.step()
        with torch.no_grad():
            x.clamp_(-1.0, 1.0)
    return x.item()


def repeat_slopes(c):
    """Theorem 1: slopes c, -1, -1 and again: their sum is positive for c > 2, so -1 is best and 1 is worst."""
    return itertools.cycle([c, -1.0, -1.0])


@pytest.mark.parametrize("c", [3.0, 5.0])
@pytest.mark.parametrize("amsgrad_of", ["v", "v_hat"])
def test_periodic_losses(c, amsgrad_of):
    options = {"betas": (0.0, 1 / (1 + c * c)), "amsgrad_of": amsgrad_of}
    assert play(repeat_slopes(c), 3000, 0.1, amsgrad=False, **options) > 0.9
    assert play(repeat_slopes(c), 3000, 0.1, amsgrad=True, **options) < -0.9


def play_at_random(c, delta, steps, **options):
    """Where 64 players stand in [-1, 1] on average after steps on Theorem 3's losses.

    The slope is c with probability (1 + delta)/(c + 1), else -1; its mean is delta > 0, so -1 is best and 1 is worst.
    """
    draw = torch.Generator().manual_seed(0)
    x = torch.nn.Parameter(torch.zeros(64))
    optimizer = descend.Adam([x], lr=0.003, **options)
    places = x.detach()
    for _ in range(steps // 1000):
        rare = torch.rand(1000, len(x), generator=draw) < (1 + delta) / (c + 1)
        for slopes in torch.where(rare, c, -1.0):
            x.grad = slopes
            optimizer.step()
            places.clamp_(-1.0, 1.0)
    return places.mean().item()


# section 5 of the paper has c = 101 and delta = 0.02, in units of 10: AMSGrad needs a million steps there
@pytest.mark.parametrize("c,delta,betas,steps", [(101.0, 0.2, (0.9, 0.99), 50_000), (20.0, 0.5, (0.9, 0.9), 20_000)])
def test_random_losses(c, delta, betas, steps):
    assert play_at_random(c, delta, steps, betas=betas, amsgrad=False) > 0.8
    assert play_at_random(c, delta, steps, betas=betas, amsgrad=True) < -0.8
