"""Each test leaves torch's threads and floating-point mode as it found them."""

import pytest
import torch


@pytest.fixture(autouse=True)
def same_torch():
    threads = torch.get_num_threads()
    yield
    torch.set_flush_denormal(False)
    torch.set_num_threads(threads)


@pytest.fixture(params=["eager", "cpu"])
def backend(request):
    return request.param


@pytest.fixture
def store_folder(tmp_path, monkeypatch):
    """An empty kernel store, of which nothing has been said yet."""
    from descend.backends.cpu import store

    monkeypatch.setenv("DESCEND_CACHE_DIR", str(tmp_path / "kernels"))
    monkeypatch.setattr(store, "_warned", set())
    return tmp_path / "kernels"
