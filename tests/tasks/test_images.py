import gzip

import numpy as np
import pytest
import torch

from descend.errors import DataError
from descend.tasks import check, images
from tasks.training import disjoint, train


def write_idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    return gzip.compress(head + array.astype(np.uint8).tobytes())


@pytest.mark.parametrize("shape", [(5,), (4, 28, 28)])
def test_idx_files_come_back_as_they_were(shape):
    array = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    assert torch.equal(images.read_idx(write_idx(array)), torch.from_numpy(array))


@pytest.fixture
def made_up(monkeypatch):
    """Twenty times as few images as Fashion-MNIST has; bright below for odd classes, above for even ones."""

    def read(self, file):
        count = 500 if "t10k" in file else 3000
        labels = np.arange(count) % 10
        if "labels" in file:
            return write_idx(labels)
        noise = np.random.default_rng(count).integers(0, 60, (count, 28, 28))
        for label in range(10):
            noise[labels == label, 2 * label : 2 * label + 4] += 150
        return write_idx(noise)

    monkeypatch.setattr(images.Package, "read", read)
    monkeypatch.setattr(images.Package, "present", True)
    images.read_fashion.cache_clear()
    yield
    images.read_fashion.cache_clear()


def test_parts_of_fashion_are_disjoint_and_scaled(made_up):
    data = images.fashion(2000, 200)
    assert [len(data.train), len(data.validation), len(data.test)] == [2000, 200, 500]
    assert data.train.inputs.shape[1:] == (1, 28, 28) and 0 <= data.train.inputs.min() < data.train.inputs.max() <= 1
    assert disjoint(data.train.inputs, data.validation.inputs, data.test.inputs)
    assert torch.equal(data.train.targets, images.fashion(2000, 200).train.targets)


def test_the_network_learns_and_has_the_size_of_its_card(made_up):
    task = images.fashion_cnn
    check(task)
    assert sum(p.numel() for p in task.model().parameters()) == task.facts.parameters
    before, after = train(task, "AdamW", 3e-3, steps=30, rows=200)
    assert before < 0.3 and after > 0.9


def test_the_small_mnist_has_as_many_of_each_class_in_each_part(monkeypatch):
    ends = "0," * 781
    text = "\n".join(f"{i % 250},{i // 250},255,{ends}{i // 500}" for i in range(5000))
    monkeypatch.setattr(images.Package, "read", lambda self, file: gzip.compress(text.encode()))
    data = images.digits()
    for part, count in ((data.train, 350), (data.validation, 50), (data.test, 100)):
        assert torch.bincount(part.targets).tolist() == [count] * 10
    assert disjoint(data.train.inputs, data.validation.inputs, data.test.inputs)


@pytest.mark.skipif(not images.FASHION.present, reason="Fashion-MNIST is not on this machine")
def test_fashion_is_what_it_is():
    train, test = images.read_fashion()
    assert torch.bincount(train.targets).tolist() == [6000] * 10
    assert torch.bincount(test.targets).tolist() == [1000] * 10


def test_without_the_data_the_command_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("DESCEND_DATA", str(tmp_path))
    monkeypatch.setattr(images.Package, "locate", lambda self, file: None)
    with pytest.raises(DataError, match=r"dataset-fashion-mnist.*31 MB\). Run: descend tasks get fashion-cnn"):
        check(images.fashion_cnn)


def test_training_images_move_by_at_most_two_pixels_each_on_its_own():
    shift = images.Shift(2)
    seen = torch.zeros(500, 1, 28, 28)
    seen[:, :, 10, 15] = 1
    torch.manual_seed(0)
    moved = shift(seen)
    assert moved.shape == seen.shape
    places = {tuple(place) for place in torch.nonzero(moved)[:, 2:].tolist()}
    assert places == {(row, column) for row in range(8, 13) for column in range(13, 18)}
    assert moved.sum(dim=(1, 2, 3)).eq(1).all()


def test_the_border_fills_what_is_left_and_evaluation_moves_nothing():
    shift, seen = images.Shift(1), torch.rand(50, 1, 28, 28)
    assert torch.equal(shift.eval()(seen), seen)
    padded = torch.nn.functional.pad(seen, (1, 1, 1, 1), mode="replicate")
    for image, source in zip(shift.train()(seen), padded, strict=True):
        views = [source[:, i : i + 28, j : j + 28] for i in range(3) for j in range(3)]
        assert any(torch.equal(image, view) for view in views)
