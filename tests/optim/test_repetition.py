"""Steps that compiled code takes by itself are those that Python takes, to the bit, and Python takes all others."""

import copy
import gc
import io
import pickle
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import Parameter
from torch.optim.optimizer import register_optimizer_step_post_hook

import descend
from descend.backends.cpu.inspection.gradients import find_torch
from descend.errors import NonFiniteError, PrecisionWarning
from descend.optim import repetition
from descend.optim.catalogue import CATALOGUE
from descend.optim.optimizer import Optimizer
from descend.schedules import cosine

SHAPES = ((40, 30), (4097,), (5, 3, 2, 2), (3,), ())

pytestmark = pytest.mark.skipif(find_torch() is None, reason="compiled code cannot ask this torch for gradients")


def make_params(dtype: torch.dtype = torch.float32) -> list[Parameter]:
    generator = torch.Generator().manual_seed(3)
    return [Parameter(torch.randn(shape, generator=generator).to(dtype)) for shape in SHAPES]


def set_gradients(params: list[Parameter], step: int) -> None:
    generator = torch.Generator().manual_seed(100 + step)
    for p in params:
        p.grad = torch.randn(p.shape, generator=generator).to(p.dtype)


def in_python(optimizer: Optimizer) -> Optimizer:
    """The optimizer, all of whose steps Python takes: only there hooks are called."""
    optimizer.register_step_post_hook(lambda *_: None)
    return optimizer


@pytest.fixture
def python_steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with each step for which compiled code did not take the whole of it."""
    taken: list[int] = []
    prepare = repetition.Repetition.prepare

    def count(self: Any, units: Any) -> None:
        taken.append(1)
        prepare(self, units)

    monkeypatch.setattr(repetition.Repetition, "prepare", count)
    return taken


def contents_of(optimizer: Optimizer, params: list[Parameter]) -> list[torch.Tensor]:
    saved = optimizer.state_dict()["state"]
    states = (saved.get(i, {}) for i in range(len(params)))
    return [p.detach() for p in params] + [t for state in states for t in state.values() if isinstance(t, torch.Tensor)]


def assert_same_bits(a: list[torch.Tensor], b: list[torch.Tensor]) -> None:
    assert len(a) == len(b)
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


WITH_SHARED_STATES = {"AdamHD", "DAdaptAdam", "DAdaptSGD", "Prodigy", "SGDHD"}
"""Between their passes Python computes what all tensors share."""


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_method_to_the_bit(name: str, python_steps: list[int]):
    def train(arrange: Callable[[Any], Any]) -> list[torch.Tensor]:
        params = make_params()
        optimizer = arrange(getattr(descend, name)(params, lr=0.01))
        for k in range(8):
            set_gradients(params, k)
            if k == 4:
                params[1].grad = None
            if k == 6:
                optimizer.param_groups[0]["lr"] = 0.003
            optimizer.step()
        return contents_of(optimizer, params)

    alone = train(lambda optimizer: optimizer)
    # the first, that in which a gradient is missing, and that in which it is there again
    assert len(python_steps) == (8 if name in WITH_SHARED_STATES else 3)
    assert_same_bits(alone, train(in_python))


OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"momentum": 0.9, "nesterov": True, "dampening": 0.0}),
    ("AdamW", {"clip_norm": 0.5}),
    ("AdamW", {"on_nonfinite": "skip"}),
    ("Adam", {"weight_decay": 0.1, "decay": "l2", "metrics": True}),
    ("LAMB", {"clip_norm": 1.0, "on_nonfinite": "raise"}),
    ("Adafactor", {"clip_value": 0.1}),
    ("AdamW", {"lr": cosine(20) * 0.01}),
    ("AdamW", {"ema": 0.9}),
]


@pytest.mark.parametrize(("name", "options"), OPTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
def test_options_to_the_bit(name: str, options: dict[str, Any], dtype: torch.dtype, python_steps: list[int]):
    def train(arrange: Callable[[Any], Any]) -> list[torch.Tensor]:
        params = make_params(dtype)
        optimizer = arrange(getattr(descend, name)(params, **{"lr": 0.01, "rounding": "nearest", **options}))
        for k in range(6):
            set_gradients(params, k)
            optimizer.step()
        return contents_of(optimizer, params)

    alone = train(lambda optimizer: optimizer)
    assert len(python_steps) == 1
    assert_same_bits(alone, train(in_python))


@pytest.mark.parametrize("threads", [1, 2])
def test_tensors_of_two_dtypes_and_groups(threads: int, python_steps: list[int]):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        trained = []
        for arrange in (lambda optimizer: optimizer, in_python):
            params = [*make_params(), *make_params(torch.float64), Parameter(torch.randn(300, 200))]
            groups = [{"params": params[::2], "lr": 0.1}, {"params": params[1::2], "weight_decay": 0.5}]
            torch.manual_seed(0)
            params[-1].data.normal_()
            optimizer = arrange(descend.AdamW(groups, lr=0.01))
            for k in range(5):
                set_gradients(params, k)
                optimizer.step()
            trained.append(contents_of(optimizer, params))
            assert optimizer.clock.updates == 5
        assert len(python_steps) == 1 + 5
        assert_same_bits(*trained)
    finally:
        torch.set_num_threads(before)


class Training:
    """An optimizer that has just taken steps which compiled code repeats."""

    def __init__(self, **options: Any) -> None:
        self.params = make_params()
        self.optimizer = descend.AdamW(self.params, lr=0.01, **options)
        self.steps = 0
        for _ in range(3):
            self.step()

    def step(self) -> None:
        set_gradients(self.params, self.steps)
        self.optimizer.step()
        self.steps += 1


def test_hooks_registered_later_are_called():
    training, calls = Training(), []
    training.optimizer.register_step_pre_hook(lambda *_: calls.append("pre"))
    training.optimizer.register_step_post_hook(lambda *_: calls.append("post"))
    training.step()
    training.step()
    assert calls == ["pre", "post"] * 2


def test_hooks_of_all_optimizers_are_called():
    training, calls = Training(), []
    handle = register_optimizer_step_post_hook(lambda *_: calls.append("post"))
    try:
        training.step()
    finally:
        handle.remove()
    training.step()
    assert calls == ["post"]


def test_another_table_of_hooks_is_noticed():
    training, calls = Training(), []
    training.optimizer._optimizer_step_post_hooks = OrderedDict({0: lambda *_: calls.append("post")})
    training.step()
    assert calls == ["post"]


def test_a_scaler_that_found_infinite_gradients_skips():
    training = Training()
    before = [p.detach().clone() for p in training.params]
    training.optimizer.found_inf = torch.tensor(1.0)
    training.step()
    assert_same_bits(before, [p.detach() for p in training.params])
    assert training.optimizer.skipped == 1
    del training.optimizer.found_inf
    training.step()
    assert not torch.equal(before[0], training.params[0])


def test_a_closure_is_called():
    training = Training()
    assert training.optimizer.step(lambda: 3.0) == 3.0


def test_after_other_steps_compiled_code_takes_them_again(python_steps: list[int]):
    training = Training()
    handle = training.optimizer.register_step_post_hook(lambda *_: None)
    training.step()
    handle.remove()
    python_steps.clear()
    for _ in range(10):
        training.step()
    assert len(python_steps) <= 2


def test_an_attribute_that_is_written_in_each_step_costs_no_new_repetition_each_time(monkeypatch: pytest.MonkeyPatch):
    training, made = Training(), []
    make = repetition.repetition.make
    monkeypatch.setattr(repetition.repetition, "make", lambda **given: made.append(1) or make(**given))
    for _ in range(200):
        training.optimizer.mine = object()
        training.step()
    assert len(made) <= 10


def test_gradients_that_are_not_finite_are_counted():
    training = Training()
    set_gradients(training.params, 3)
    assert training.params[3].grad is not None
    training.params[3].grad[:2] = float("inf")
    training.optimizer.step()
    (count,) = training.optimizer.nonfinite.values()
    assert count == 2
    set_gradients(training.params, 4)
    training.optimizer.step()
    assert list(training.optimizer.nonfinite.values()) == [2]


@pytest.mark.parametrize("clip_norm", [None, 1.0])
def test_gradients_that_are_not_finite_are_skipped(clip_norm: float | None):
    training = Training(on_nonfinite="skip", clip_norm=clip_norm)
    before = contents_of(training.optimizer, training.params)
    for _ in range(2):
        set_gradients(training.params, 3)
        assert training.params[1].grad is not None
        training.params[1].grad[7] = float("nan")
        training.optimizer.step()
    assert_same_bits(before, contents_of(training.optimizer, training.params))
    assert training.optimizer.skipped == training.optimizer.skipped_in_a_row == 2
    training.step()
    assert training.optimizer.skipped_in_a_row == 0
    assert training.optimizer.clock.updates == 4


def test_gradients_that_are_not_finite_stop_it():
    training = Training(on_nonfinite="raise")
    set_gradients(training.params, 3)
    assert training.params[1].grad is not None
    training.params[1].grad[7] = float("nan")
    with pytest.raises(NonFiniteError, match="1 element"):
        training.optimizer.step()
    assert training.optimizer.clock.updates == 3


def test_updates_that_rounding_takes_away_are_still_counted(python_steps: list[int]):
    params = [Parameter(torch.ones(100, dtype=torch.bfloat16))]
    optimizer = descend.SGD(params, lr=1e-6)
    with pytest.warns(PrecisionWarning, match="of update 10 was lost"):
        for k in range(12):
            set_gradients(params, k)
            optimizer.step()
    assert len(python_steps) < 6


def test_another_thread_takes_the_same_step(python_steps: list[int]):
    def train(threaded: bool) -> list[torch.Tensor]:
        training = Training()
        for _ in range(2):
            if threaded:
                thread = threading.Thread(target=training.step)
                thread.start()
                thread.join()
            else:
                training.step()
        return contents_of(training.optimizer, training.params)

    assert_same_bits(train(True), train(False))


def test_a_number_of_threads_set_later_is_obeyed():
    before = torch.get_num_threads()
    try:
        params = [Parameter(torch.randn(400, 400))]
        optimizer = descend.SGD(params, lr=0.1)
        runners = []
        for threads in (2, 2, 1, 1, 2):
            torch.set_num_threads(threads)
            set_gradients(params, 0)
            optimizer.step()
            assert optimizer._plan is not None
            runners.append(optimizer._plan.batches[0].describe().runner._threads)
        assert runners == [2, 2, 1, 1, 2]
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))], ids=["copy", "pickle"])
def test_a_copy_steps_by_itself(duplicate: Callable[[Any], Any]):
    training = Training()
    twin = duplicate(training.optimizer)
    params = twin.param_groups[0]["params"]
    before = [p.detach().clone() for p in training.params]
    for k in range(3, 6):
        set_gradients(params, k)
        twin.step()
    assert_same_bits(before, [p.detach() for p in training.params])
    assert (twin.clock.updates, training.optimizer.clock.updates) == (6, 3)
    for _ in range(3):
        training.step()
    assert_same_bits(contents_of(training.optimizer, training.params), contents_of(twin, params))


class Seen(Training):
    """Training whose states somebody has asked for, and may hold and move or edit."""

    def __init__(self) -> None:
        super().__init__()
        self.mine = self.optimizer.state[self.params[1]]
        for _ in range(3):
            self.step()


def test_states_that_somebody_holds_change_nothing(python_steps: list[int]):
    seen, plain = Seen(), Training()
    python_steps.clear()
    for _ in range(3):
        seen.step()
        plain.step()
        plain.step()
    assert not python_steps
    assert_same_bits(contents_of(seen.optimizer, seen.params), contents_of(plain.optimizer, plain.params))


def test_a_state_that_is_moved_in_place_is_followed():
    seen, plain = Seen(), Training()
    seen.mine["exp_avg"].share_memory_()
    for _ in range(3):
        seen.step()
        plain.step()
        plain.step()
    assert_same_bits(contents_of(seen.optimizer, seen.params), contents_of(plain.optimizer, plain.params))


def test_a_count_that_is_edited_in_place_is_obeyed(python_steps: list[int]):
    twins = [Seen(), Seen()]
    in_python(twins[1].optimizer)
    for twin in twins:
        twin.mine["step"].fill_(1.0)
        for _ in range(2):
            twin.step()
    assert twins[0].mine["step"].item() == 3.0
    assert_same_bits(*(contents_of(twin.optimizer, twin.params) for twin in twins))


def test_a_state_that_comes_to_be_later_is_watched_too():
    params = make_params()
    optimizer = descend.AdamW(params, lr=0.01)
    assert optimizer.state is not None
    for k in range(3):
        set_gradients(params, k)
        params[1].grad = None
        optimizer.step()
    for k in range(3, 6):
        set_gradients(params, k)
        optimizer.step()
    old = optimizer.state[params[1]]["exp_avg"]
    kept = old.clone()
    moved = old.clone()
    old.set_(moved)  # in another place of memory from now on
    set_gradients(params, 6)
    assert params[1].grad is not None
    optimizer.step()
    torch.testing.assert_close(optimizer.state[params[1]]["exp_avg"], kept * 0.9 + params[1].grad * 0.1)


def test_loading_begins_at_the_count_that_is_loaded():
    training = Training()
    saved = io.BytesIO()
    torch.save(training.optimizer.state_dict(), saved)
    training.step()
    saved.seek(0)
    training.optimizer.load_state_dict(torch.load(saved, weights_only=True))
    assert training.optimizer.clock.updates == 3
    training.step()
    training.step()
    assert training.optimizer.clock.updates == 5


def test_gradients_are_let_go_and_so_is_the_optimizer():
    training = Training()
    gradients = [weakref.ref(p.grad) for p in training.params]
    for p in training.params:
        p.grad = None
    assert not any(ref() is not None for ref in gradients)
    optimizer = weakref.ref(training.optimizer)
    del training
    gc.collect()
    assert optimizer() is None
