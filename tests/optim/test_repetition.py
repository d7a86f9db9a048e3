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
from descend.errors import NonFiniteError, OptionError, PrecisionWarning
from descend.optim import repetition
from descend.optim.catalogue import CATALOGUE
from descend.optim.optimizer import Optimizer
from descend.schedules import constant, cosine, inverse_sqrt, warmup

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
    arm = repetition.Repetition.arm

    def count(self: Any, plan: Any, units: Any) -> None:
        taken.append(1)
        arm(self, plan, units)

    monkeypatch.setattr(repetition.Repetition, "arm", count)
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

    def __init__(self, steps: int = 3, **options: Any) -> None:
        self.params = make_params()
        self.optimizer = descend.AdamW(self.params, **{"lr": 0.01, **options})
        self.steps = 0
        for _ in range(steps):
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


class Scheduled:
    """Twins with the same schedules, of which Python takes every step of the second."""

    def __init__(self, *groups: dict[str, Any], **options: Any) -> None:
        self.params, self.optimizers = [make_params(), make_params()], []
        for params in self.params:
            parts = [{**group, "params": params[i :: len(groups)]} for i, group in enumerate(groups)]
            self.optimizers.append(descend.AdamW(parts, **options))
        in_python(self.optimizers[1])
        self.steps = 0

    def step(self, count: int = 1) -> None:
        """Steps of both; afterwards groups and parameters are the same."""
        for _ in range(count):
            for params, optimizer in zip(self.params, self.optimizers, strict=True):
                set_gradients(params, self.steps)
                optimizer.step()
            self.steps += 1
        self.assert_equal()

    def assert_equal(self) -> None:
        for one, other in zip(*(optimizer.param_groups for optimizer in self.optimizers), strict=True):
            assert {k: v for k, v in one.items() if k != "params"} == {k: v for k, v in other.items() if k != "params"}
        assert_same_bits(*(contents_of(o, p) for o, p in zip(self.optimizers, self.params, strict=True)))


SCHEDULED: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "learning rate": ([{}], {"lr": warmup(5) * cosine(150) * 0.01}),
    "first moment": ([{}], {"betas": (constant().then(cosine(90), at=10) * 0.9, 0.99)}),
    "both moments": ([{}], {"betas": (cosine(90) * 0.9, cosine(70) * 0.99)}),
    "weight decay": ([{}], {"weight_decay": cosine(80) * 0.1}),
    "by group": ([{"lr": cosine(30) * 0.01}, {"lr": 0.02}, {"lr": inverse_sqrt(5) * 0.01}], {}),
    "independent decay": ([{}], {"lr": warmup(10) * cosine(70) * 0.01, "weight_decay": 0.1, "decay": "independent"}),
    "corrected decay": ([{}], {"lr": warmup(10) * cosine(70) * 0.01, "weight_decay": 0.1, "decay": "corrected"}),
    "two things": ([{}, {"eps": cosine(50) * 1e-3}], {"lr": cosine(140) * 0.01, "clip_norm": 1.0}),
}


@pytest.mark.parametrize("name", SCHEDULED)
def test_schedules_go_on_as_in_python(name: str, python_steps: list[int]):
    groups, options = SCHEDULED[name]
    twins = Scheduled(*groups, **options)
    for _ in range(30):
        twins.step(5)
    assert len(python_steps) <= 150 + 2


def test_a_schedule_beside_a_value_that_is_absent(python_steps: list[int]):
    trained = []
    for arrange in (lambda optimizer: optimizer, in_python):
        params = make_params()
        optimizer = arrange(descend.Adafactor(params, eps=(None, cosine(90) * 0.1)))
        for k in range(20):
            set_gradients(params, k)
            optimizer.step()
        assert optimizer.param_groups[0]["eps"] == (None, (cosine(90) * 0.1).at(19))
        trained.append(contents_of(optimizer, params))
    assert len(python_steps) == 1 + 20
    assert_same_bits(*trained)


def test_a_schedule_written_over_is_refused_and_one_written_back_goes_on():
    twins = Scheduled({}, lr=cosine(100) * 0.01)
    twins.step(10)
    for optimizer in twins.optimizers:
        kept = optimizer.param_groups[0]["lr"]
        optimizer.param_groups[0]["lr"] = 0.5
        with pytest.raises(OptionError, match=r"lr was set to 0\.5"):
            optimizer.step()
        optimizer.param_groups[0]["lr"] = kept
    twins.step(10)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_value_written_over_a_schedule_is_refused_at_once(steps: int):
    training = Training(steps, lr=cosine(100) * 0.01)
    training.optimizer.param_groups[0]["lr"] = 0.5
    with pytest.raises(OptionError, match="lr was set to"):
        training.step()


def test_a_rate_of_zero_moves_nothing():
    twins = Scheduled({}, lr=cosine(100) * 0.01)
    twins.step(10)
    kept = twins.params[0][0].detach().clone()
    for optimizer in twins.optimizers:
        optimizer.param_groups[0]["lr"] = 0.0
        optimizer.step()
    assert torch.equal(kept, twins.params[0][0])
    twins.assert_equal()
    twins.step(10)


def edit_in_place(schedules: dict[str, Any]) -> None:
    next(part for part in schedules["lr"] if isinstance(part, list))[1] = 40


def replace(schedules: dict[str, Any]) -> None:
    schedules["lr"] = (cosine(40) * 0.01).to_data()


@pytest.mark.parametrize("edit", [edit_in_place, replace])
def test_a_schedule_that_is_edited_or_replaced_is_followed(edit: Callable[[dict[str, Any]], None]):
    twins = Scheduled({}, lr=cosine(100) * 0.01)
    twins.step(10)
    for optimizer in twins.optimizers:
        edit(optimizer.param_groups[0]["schedules"])
    twins.step()
    assert twins.optimizers[0].param_groups[0]["lr"] == (cosine(40) * 0.01).at(10)
    twins.step(10)
    assert twins.optimizers[0].param_groups[0]["lr"] == (cosine(40) * 0.01).at(20)


def test_a_group_that_comes_later_and_another_option_in_between(python_steps: list[int]):
    twins = Scheduled({"weight_decay": 0.1}, lr=cosine(100) * 0.01)
    twins.step(10)
    extra = [Parameter(torch.ones(7)) for _ in range(2)]
    for optimizer, params, p in zip(twins.optimizers, twins.params, extra, strict=True):
        optimizer.add_param_group({"params": [p], "lr": cosine(20) * 0.1, "start": "now"})
        params.append(p)
    twins.step(10)
    for optimizer in twins.optimizers:
        optimizer.param_groups[1]["mine"] = "a key of one's own"
        optimizer.param_groups[0]["weight_decay"] = 0.3
    twins.step(10)
    groups = twins.optimizers[0].param_groups
    assert [group["lr"] for group in groups] == [(cosine(100) * 0.01).at(29), (cosine(20) * 0.1).at(19)]
    assert len(python_steps) <= 30 + 4


def test_a_skipped_step_leaves_its_values_behind():
    twins = Scheduled({}, lr=cosine(100) * 0.01, on_nonfinite="skip")
    twins.step(10)
    for optimizer, params in zip(twins.optimizers, twins.params, strict=True):
        set_gradients(params, 99)
        assert params[1].grad is not None
        params[1].grad[3] = float("nan")
        optimizer.step()
    twins.assert_equal()
    twins.step(10)


def test_schedules_go_on_after_loading(python_steps: list[int]):
    twins = Scheduled({}, lr=cosine(100) * 0.01)
    twins.step(10)
    saved = [copy.deepcopy(optimizer.state_dict()) for optimizer in twins.optimizers]
    params = [[p.detach().clone() for p in params] for params in twins.params]
    twins.step(10)
    for optimizer, state, own, kept in zip(twins.optimizers, saved, twins.params, params, strict=True):
        optimizer.load_state_dict(state)
        for p, value in zip(own, kept, strict=True):
            p.data.copy_(value)
    twins.step(10)
    assert twins.optimizers[0].param_groups[0]["lr"] == (cosine(100) * 0.01).at(19)
    assert len(python_steps) <= 30 + 4


class Halves:
    """Twins of two batches, with and without momentum; Python takes every step of the second."""

    def __init__(self, **options: Any) -> None:
        self.sides: list[tuple[list[Parameter], Optimizer]] = []
        for arrange in (lambda optimizer: optimizer, in_python):
            params = make_params()
            groups = [{"params": params[:2], "momentum": 0.9}, {"params": params[2:]}]
            self.sides.append((params, arrange(descend.SGD(groups, **{"lr": 0.01, **options}))))
        self.steps = 0

    def step(self, without: slice | None = None, closure: bool = False) -> None:
        for params, optimizer in self.sides:
            set_gradients(params, self.steps)
            for p in params[without] if without else ():
                p.grad = None
            optimizer.step((lambda: 0.0) if closure else None)
        self.steps += 1
        (params, one), (others, other) = self.sides
        assert_same_bits(contents_of(one, params), contents_of(other, others))
        assert one.clock.updates == other.clock.updates


FIRST, ALL = slice(0, 2), slice(0, None)


@pytest.mark.parametrize("options", [{}, {"lr": cosine(60) * 0.01}], ids=["constant", "schedule"])
@pytest.mark.parametrize("closure", [False, True])
def test_a_batch_without_gradients_for_a_while(options: dict[str, Any], closure: bool, python_steps: list[int]):
    halves = Halves(**options)
    for k in range(40):
        halves.step(FIRST if k in (3, 4, 9, 17, 18, 30) else None, closure)
    assert halves.sides[0][1].clock.updates == 40
    assert len(python_steps) < 80 - 6, "compiled code has taken some of the steps"


@pytest.mark.parametrize("options", [{}, {"lr": cosine(60) * 0.01}], ids=["constant", "schedule"])
def test_steps_without_any_gradients_count_for_nothing(options: dict[str, Any]):
    halves = Halves(**options)
    for k in range(20):
        halves.step(ALL if 3 <= k < 7 else None)
    assert halves.sides[0][1].clock.updates == 16


def test_other_batches_after_a_hook_has_come_and_gone(python_steps: list[int]):
    halves = Halves()
    for _ in range(3):
        halves.step()
    handle = halves.sides[0][1].register_step_post_hook(lambda *_: None)
    halves.step(FIRST)
    halves.step()
    handle.remove()
    python_steps.clear()
    for _ in range(10):
        halves.step()
    assert halves.sides[0][1].clock.updates == 15
    assert len(python_steps) < 2 * 10, "compiled code takes steps again"


def test_other_batches_after_a_step_that_raised():
    halves = Halves(on_nonfinite="raise")
    for _ in range(3):
        halves.step()
    for params, optimizer in halves.sides:
        set_gradients(params, 50)
        for p in params[FIRST]:
            p.grad = None
        assert params[2].grad is not None
        params[2].grad.fill_(float("inf"))
        with pytest.raises(NonFiniteError):
            optimizer.step()
    for _ in range(4):
        halves.step()


@pytest.mark.parametrize("value", [0.01, 0.02])
def test_a_rate_that_is_a_tensor_is_read_at_each_step(value: float):
    halves = Halves()
    for _ in range(3):
        halves.step()
    rates = [torch.tensor(value), torch.tensor(value)]
    for (_, optimizer), rate in zip(halves.sides, rates, strict=True):
        optimizer.param_groups[0]["lr"] = rate
    for k in range(6):
        halves.step()
        for rate in rates:
            rate.fill_(0.1 / (k + 1))
    before = halves.sides[0][0][0].detach().clone()
    for rate in rates:
        rate.fill_(0.0)
    halves.step()
    assert torch.equal(before, halves.sides[0][0][0])


def test_demands_of_a_scaler_that_are_written_in_place():
    halves = Halves()
    found = [torch.tensor(0.0), torch.tensor(0.0)]
    for (_, optimizer), tensor in zip(halves.sides, found, strict=True):
        optimizer.found_inf = tensor
    for k in range(6):
        for tensor in found:
            tensor.fill_(float(k == 4))
        halves.step()
    assert halves.sides[0][1].skipped == 1


@pytest.mark.parametrize("drop", ["clear", "load"])
def test_states_that_are_given_up_are_freed(drop: str):
    training = Training()
    saved = training.optimizer.state_dict()
    held = weakref.ref(training.optimizer._state[training.params[0]]["exp_avg"])
    gc.disable()
    try:
        if drop == "clear":
            training.optimizer.state.clear()
        else:
            training.optimizer.load_state_dict(saved)
        assert held() is None
    finally:
        gc.enable()


def test_gradients_of_a_skipped_step_are_let_go():
    training = Training(on_nonfinite="skip")
    set_gradients(training.params, 3)
    gradient = training.params[1].grad
    assert gradient is not None
    gradient[0] = float("nan")
    before = gradient._use_count()
    training.optimizer.step()
    assert gradient._use_count() == before


def test_after_many_steps_a_disturbance_costs_few(python_steps: list[int]):
    training = Training(on_nonfinite="skip")
    for _ in range(12):
        for k in range(100):
            set_gradients(training.params, k)
            if k == 50:
                assert training.params[1].grad is not None
                training.params[1].grad[0] = float("inf")
            training.optimizer.step()
    assert len(python_steps) <= 12 * 3
