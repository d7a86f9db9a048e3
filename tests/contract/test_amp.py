"""torch's GradScaler in front of every class: gradients unscaled in the step, infinite ones skipped."""

import numpy as np
import pytest
import torch

import descend
from contract.cases import CLASSES
from contract.trial import assert_within, bound, make_inputs, make_tensors, read_values, set_gradients
from reference.inputs import STEPS, TAME
from reference.trajectory import Reference

PATHS = [*((name, "eager") for name in CLASSES), ("Adam", "cpu"), ("LAMB", "cpu")]


@pytest.mark.parametrize("name,backend", PATHS)
def test_scaled_gradients(name, backend):
    options = {"clip_norm": 20.0}  # judged after unscaling
    inputs = make_inputs(name, options, "float32", sizes=TAME)
    tensors = make_tensors(inputs, "float32")
    optimizer = getattr(descend, name)(tensors, **options, backend=backend)
    reference = Reference(name, inputs.params, **options)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaler.scale(torch.zeros(()))  # it makes its scale at first use
    for k, row in enumerate(inputs.grads):
        scale = scaler.get_scale()
        scaled = [None if g is None else np.asarray(g * np.float32(scale)) for g in row]
        if k == 7:
            scaled[4] = np.full_like(scaled[4], np.inf)
        set_gradients(tensors, scaled)
        scaler.step(optimizer)
        scaler.update()
        reference.step(row, found_inf=k == 7)
    assert scaler.get_scale() == 512.0
    assert_within(read_values(tensors), reference.params, bound(STEPS, reference, "float32"), name)
