"""Each option, one at a time off its default: it changes the result, and the result is the reference's."""

import inspect
import re

import numpy as np
import pytest
import torch

import descend
from contract.cases import BACKENDS, CLASSES, FLAGS, ONE_DECAY, find_off_values, list_singles, refuses
from contract.trial import assert_follows, make_inputs, make_tensors, read_values, scale_lr, set_gradients, sizes_of
from descend.errors import OptionError
from reference.inputs import MATRICES, SHAPES, TAME
from reference.trajectory import OWN_DECAY

WOVEN_VALUES = {"cautious": True, "grokfast": (0.9, 2.0), "clip_update": 1.0, "centralize": True, "clip_adaptive": 0.1}
PATHS = [("eager", "float64"), ("cpu", "float32")]
RECORDED = {"ASGD": "ax"}
"""States that a method makes for the user, beside the parameters."""


def list_options(name):
    """All that the constructor takes and the formula reads, implementation flags apart."""
    cls = getattr(descend, name)
    parameters = inspect.signature(cls).parameters
    known = {p.name for p in parameters.values() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
    refused = (
        {"decoupled_weight_decay", *(["decay"] if OWN_DECAY[name] == "l2" else [])} if name in ONE_DECAY else set()
    )
    return sorted((known | set(cls.rule.hypers)) - FLAGS - refused)


def compute_result(name, options, inputs):
    """Everything that tells two runs apart: the final values, or the error that ended the run."""
    data = make_inputs(name, {}, "float64", sizes=sizes_of(inputs), shapes=[(3,), (2, 40)])
    tensors = make_tensors(data, "float64")
    optimizer = getattr(descend, name)(tensors, **options, backend="eager")
    for k, row in enumerate(data.grads):
        if k == 10:
            scale_lr(optimizer)
        if inputs == "nonfinite" and k in (4, 5):
            row = [np.full_like(row[0], np.inf), *row[1:]]
        set_gradients(tensors, row)
        try:
            optimizer.step()
        except descend.errors.NonFiniteError as error:
            return type(error).__name__, k
    made = [optimizer.state[p][RECORDED[name]] for p in tensors if name in RECORDED]
    return b"".join(v.tobytes() for v in read_values([*tensors, *made]))


def test_every_class_is_in_the_tables():
    assert set(descend.optimizers()) == set(CLASSES)


@pytest.mark.parametrize("name,option", [(n, o) for n in CLASSES for o in list_options(n) if not refuses(n, o)])
def test_every_option_changes_the_result(name, option):
    values = find_off_values(name, option)
    assert values, f"tests/contract/cases.py has no value off the default for {option}= of {name}"
    results = {}
    for off in values:
        usual = compute_result(name, off.base, off.inputs)
        results[repr(off.value)] = compute_result(name, {**off.base, option: off.value}, off.inputs)
        assert results[repr(off.value)] != usual, f"{option}={off.value!r} changes nothing"
    assert len(set(results.values())) == len(values), f"two values of {option}= do the same"


@pytest.mark.parametrize("name,option", [(n, o) for n in CLASSES for o in WOVEN_VALUES if refuses(n, o)])
def test_an_option_that_makes_no_sense_is_refused(name, option):
    p = torch.nn.Parameter(torch.ones(2))
    reason = re.escape(getattr(descend, name).rule.refuses[option])
    with pytest.raises(OptionError, match=f"{name}: {option}= makes no sense with {name.lower()}: {reason}"):
        getattr(descend, name)([p], **{option: WOVEN_VALUES[option]})
    made = getattr(descend, name)([p])
    made.param_groups[0][option] = WOVEN_VALUES[option]
    p.grad = torch.ones(2)
    with pytest.raises(OptionError, match=reason):
        made.step()


def _single_id(case):
    name, option, off = case
    return f"{name}-{option}={off.value}"


@pytest.mark.parametrize("backend,dtype", PATHS)
@pytest.mark.parametrize("case", [(n, *s) for n in CLASSES for s in list_singles(n, woven=False)], ids=_single_id)
def test_own_option(case, backend, dtype):
    name, option, off = case
    assert_follows(name, {**off.base, option: off.value}, dtype, backend, sizes=sizes_of(off.inputs))


@pytest.mark.parametrize("case", [(n, *s) for n in CLASSES for s in list_singles(n, woven=True)], ids=_single_id)
def test_woven_option(case):
    """On eager for every class; the compiled kernels of these are in the pairwise sample."""
    name, option, off = case
    assert_follows(name, {**off.base, option: off.value}, "float64", "eager", sizes=sizes_of(off.inputs))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["AdamHD", "DAdaptAdam", "DAdaptSGD", "Prodigy", "SGDHD"])
def test_centralization_beside_sums_over_many_tensors(name, backend):
    """Vectors and matrices in both groups: what all add up is complete in the same pass."""
    options = find_off_values(name, "weight_decay")[0].base | {"centralize": True, "clip_norm": 2.0}
    groups = [{"tensors": [0, 2, 4, 9]}, {"tensors": [1, 3, 5, 6, 7, 8, 10], "weight_decay": 0.1}]
    shapes = [*SHAPES, *MATRICES]
    assert_follows(name, options, "float64", backend, sizes=TAME, groups=groups, shapes=shapes)


@pytest.mark.parametrize("option", ["grokfast", "clip_update", "centralize", "clip_adaptive"])
@pytest.mark.parametrize("name", ["SGDW", "AdamW", "RMSprop", "LAMB", "QHAdam"])
def test_woven_option_in_float32(name, option):
    options = {option: find_off_values(name, option)[0].value}
    assert_follows(name, options, "float32", "cpu", sizes=sizes_of("tame"))
