"""States that the user edits, replaces or clears between steps, against torch with the same edit."""

from collections import defaultdict

import pytest
import torch

import descend
from hazards.twins import Twins


def assert_follows(edit, backend: str, *, name: str = "Adam", **options: object) -> Twins:
    """Two steps, an edit ``edit(optimizer, parameters)`` on both sides, two more steps."""
    twins = Twins(name, backend, shapes=((4, 4), (4, 4), (3,)), **options)
    twins.step(2)
    for params, optimizer in twins.sides:
        edit(optimizer, params)
    twins.step(2)
    twins.assert_equal()
    return twins


def write_a_state(optimizer, params):
    optimizer.state[params[0]]["exp_avg"] = torch.full((4, 4), 0.5)


def write_in_place(optimizer, params):
    optimizer.state[params[0]]["exp_avg"].fill_(0.5)
    optimizer.state[params[1]]["exp_avg_sq"].mul_(2.0)


def write_a_step_count(optimizer, params):
    optimizer.state[params[0]]["step"] = torch.tensor(7.0)


def write_all_states(optimizer, params):
    optimizer.state[params[1]] = {
        "step": torch.tensor(5.0),
        "exp_avg": torch.ones(4, 4),
        "exp_avg_sq": torch.ones(4, 4),
    }


def update_states(optimizer, params):
    optimizer.state[params[1]].update(exp_avg=torch.ones(4, 4), step=torch.tensor(3.0))


def merge_states(optimizer, params):
    optimizer.state[params[1]] |= {"exp_avg": torch.ones(4, 4)}


def delete_states(optimizer, params):
    del optimizer.state[params[0]]
    optimizer.state.pop(params[2])


def clear_a_parameter(optimizer, params):
    optimizer.state[params[0]].clear()


def clear_everything(optimizer, params):
    optimizer.state.clear()


def scale_all(optimizer, params):
    for state in optimizer.state.values():
        for key in state:
            state[key] = state[key] * 1


def share_one_state(optimizer, params):
    """Two parameters whose states are views of one buffer."""
    buffer = torch.zeros(2, 4, 4)
    for i in range(2):
        optimizer.state[params[i]]["exp_avg"] = buffer[i]


EDITS = [write_a_state, write_in_place, write_a_step_count, write_all_states, update_states, merge_states,
         delete_states, clear_a_parameter, clear_everything, scale_all, share_one_state]  # fmt: skip


@pytest.mark.parametrize("edit", EDITS, ids=lambda f: f.__name__)
def test_edits(edit, backend):
    assert_follows(edit, backend)


def update_the_table(optimizer, params):
    optimizer.state.update(
        {params[0]: {"step": torch.tensor(5.0), "exp_avg": torch.ones(4, 4), "exp_avg_sq": torch.ones(4, 4)}}
    )


def take_the_last(optimizer, params):
    optimizer.state.popitem()


def replace_the_table(optimizer, params):
    """How people start an optimizer anew."""
    optimizer.state = defaultdict(dict)


def reset_one_count_in_place(optimizer, params):
    optimizer.state[params[1]]["step"].zero_()


UNSEEN = [update_the_table, take_the_last, replace_the_table, reset_one_count_in_place]


@pytest.mark.parametrize("edit", UNSEEN, ids=lambda f: f.__name__)
def test_edits_that_go_round_the_table(edit, backend):
    assert_follows(edit, backend)


def test_a_momentum_buffer_is_reset(backend):
    def edit(optimizer, params):
        for p in params:
            optimizer.state[p]["momentum_buffer"].zero_()

    assert_follows(edit, backend, name="SGD", momentum=0.9)


def test_a_momentum_buffer_is_taken_away(backend):
    """Then it starts anew from the next gradient, as at the first step."""

    def edit(optimizer, params):
        optimizer.state.clear()

    assert_follows(edit, backend, name="SGD", momentum=0.9, dampening=0.5)


@pytest.mark.parametrize("backend", ["eager", "cpu"])
@pytest.mark.parametrize("way", ["transposed", "strided"])
def test_a_state_of_another_layout(way, backend):
    def edit(optimizer, params):
        old = optimizer.state[params[0]]["exp_avg"]
        new = old.t().contiguous().t() if way == "transposed" else torch.stack([old, old * 0], dim=-1)[..., 0]
        optimizer.state[params[0]]["exp_avg"] = new

    assert_follows(edit, backend)


def test_an_expanded_state_is_copied(backend):
    """A kernel would write behind it."""
    p = torch.nn.Parameter(torch.zeros(16))
    optimizer = descend.Adam([("layer.weight", p)], lr=0.1, backend=backend)
    p.grad = torch.ones(16)
    optimizer.step()
    memory = torch.zeros(64)
    optimizer.state[p]["exp_avg"] = memory[:1].expand(16)
    optimizer.step()
    assert (memory == 0).all()
    torch.testing.assert_close(optimizer.state[p]["exp_avg"], torch.full((16,), 0.1))


def test_reading_states_allocates_nothing(backend):
    p = torch.nn.Parameter(torch.zeros(3))
    optimizer = descend.Adam([p], backend=backend)
    assert optimizer.state.get(p) is None and p not in optimizer.state
    assert optimizer.state_dict()["state"] == {}
    assert optimizer.state[p] == {}  # as torch's defaultdict does
