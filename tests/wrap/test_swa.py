"""SWA against a float64 mean."""

import numpy as np
import torch

from descend.wrap import SWA
from wrap.network import make_model, move


def test_swa_is_the_plain_mean():
    model = make_model()
    average = SWA(model)
    seen = []
    for seed in range(7):
        move(model, seed)
        average.update()
        seen.append(model[0].weight.detach().numpy().copy())
    running = model[1].running_mean.clone()
    with average.swap():
        np.testing.assert_allclose(model[0].weight.detach().numpy(), np.mean(seen, axis=0), rtol=1e-12, atol=1e-14)
        assert torch.equal(model[1].running_mean, running)
