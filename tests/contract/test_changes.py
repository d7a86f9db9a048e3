"""Options that are written into the groups of a running optimizer, also where they bring a state with them."""

import pytest

import descend
from contract.cases import BACKENDS
from contract.trial import assert_within, bound, make_inputs, make_tensors, read_values, set_gradients
from reference.inputs import STEPS, TAME
from reference.trajectory import Reference

CASES = [
    ("SGD", {}, {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9}, {"momentum": 0.0}),
    ("SGD", {"momentum": 0.9}, {"nesterov": True}),
    ("RMSprop", {}, {"momentum": 0.9}),
    ("RMSprop", {}, {"centered": True}),
    ("Adam", {}, {"weight_decay": 0.1}),
    ("Adam", {"betas": (0.8, 0.7)}, {"amsgrad": True}),
    ("Adam", {}, {"betas": (0.5, 0.7), "eps": 0.1}),
    ("AdamW", {}, {"weight_decay": 0.0}),
    ("LAMB", {}, {"weight_decay": 0.1}),
    ("LARS", {"momentum": 0.0}, {"momentum": 0.9}),
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name,options,change", CASES, ids=str)
def test_change_halfway(name, options, change, backend):
    inputs = make_inputs(name, options, "float32", sizes=TAME)
    tensors = make_tensors(inputs, "float32")
    optimizer = getattr(descend, name)(tensors, **options, backend=backend)
    reference = Reference(name, inputs.params, **options)
    for k, row in enumerate(inputs.grads):
        if k == STEPS // 2:
            optimizer.param_groups[0].update(change)
            reference.set_options(**change)
        set_gradients(tensors, row)
        optimizer.step()
        reference.step(row)
    limits = bound(STEPS, reference, "float32")
    assert_within(read_values(tensors), reference.params, limits, f"{name} {options} then {change}")
