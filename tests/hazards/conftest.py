"""Each test leaves torch's threads and floating-point mode as it found them."""

import pytest
import torch

from descend.optim import batches, step_plan


@pytest.fixture(autouse=True)
def same_torch():
    threads = torch.get_num_threads()
    yield
    torch.set_flush_denormal(False)
    torch.set_num_threads(threads)


@pytest.fixture(params=["eager", "cpu", "cpu, asked from Python"])
def backend(request, monkeypatch):
    """A backend by name; the last is the CPU's where compiled code cannot ask torch and Python for what they hold."""
    if request.param not in ("eager", "cpu"):
        monkeypatch.setattr(batches, "find_torch", lambda: None)
        monkeypatch.setattr(step_plan, "can_look_inside", lambda: False)
    return request.param.split(",")[0]


@pytest.fixture
def store_folder(tmp_path, monkeypatch):
    """An empty kernel store, of which nothing has been said yet."""
    from descend.backends.cpu import store

    monkeypatch.setenv("DESCEND_CACHE_DIR", str(tmp_path / "kernels"))
    monkeypatch.setattr(store, "_warned", set())
    return tmp_path / "kernels"
