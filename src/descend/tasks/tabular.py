"""Tables of numbers: three sets that scikit-learn ships, and the prices of diamonds.

Breast cancer (Wolberg, Mangasarian, Street and Street, 1993) and wine (Aeberhard and Forina, 1992) are of the UCI
Machine Learning Repository. Diabetes: Efron, Hastie, Johnstone and Tibshirani (2004), "Least Angle Regression".
Diamonds: the set of ggplot2 (Wickham, 2016), as plotnine carries it.
"""

import csv
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from descend.tasks.data import Data, Part, split
from descend.tasks.metric import accuracy, r2
from descend.tasks.package import Package
from descend.tasks.shipped import read_from_sklearn
from descend.tasks.task import Facts, Task

FILES = {
    "breast_cancer.csv": "fed3eb72d0575ef6192293f5093c6e801b1476b577d0386bf4455504522172ed",
    "wine_data.csv": "10e8a802908b34f86e5da8ce962f3c806694bc98450a18f61851af59f324bede",
    "diabetes_data_raw.csv.gz": "86badf50b4f9436ddd1e497dc0ae1b93166f8120221ee7dca4634fe849f3be7c",
    "diabetes_target.csv.gz": "244713a551f62a291a354212d8a048adec6cb1244b2bc44e66a0698f5006d26d",
}
DIAMONDS = Package(
    name="plotnine",
    version="0.15.9",
    archives=("36f4526235b3ddd9ea379dd677093ea2ee1b58ab98adec1bde891930283448cd",),
    megabytes=1.6,
    files={"plotnine/data/diamonds.csv": "9574730b03aba241d899c4a97511c5061b19358fab89510774fb6c24168345c4"},
)
KINDS = ("cut", "color", "clarity")
SIZES = ("carat", "depth", "table", "x", "y", "z")


def _table(name: str, delimiter: str | None = None, header: int = 0) -> Tensor:
    text = read_from_sklearn(name, FILES[name], "This table").decode()
    return torch.from_numpy(np.loadtxt(text.splitlines()[header:], delimiter=delimiter, dtype=np.float64))


def classes(name: str) -> Data:
    """A table of scikit-learn whose last column is the class."""
    table = _table(name, ",", header=1)
    return standardize(split(table[:, :-1], table[:, -1].long()))


def diabetes() -> Data:
    """Ten measurements of 442 patients, and how far their disease is a year later."""
    return standardize(split(_table("diabetes_data_raw.csv.gz"), _table("diabetes_target.csv.gz").unsqueeze(1)))


def diamonds() -> Data:
    """Size, cut, colour and clarity of 53,940 diamonds, and the logarithm of their prices."""
    rows = list(csv.DictReader(DIAMONDS.read("plotnine/data/diamonds.csv").decode().splitlines()))
    columns = [np.array([float(row[name]) for row in rows]) for name in SIZES]
    for name in KINDS:
        values = np.array([row[name] for row in rows])
        columns += [(values == value).astype(np.float64) for value in sorted(set(values.tolist()))]
    prices = np.log([[float(row["price"])] for row in rows])
    return standardize(split(torch.from_numpy(np.stack(columns, 1)), torch.from_numpy(prices), (0.8, 0.1, 0.1)))


def standardize(data: Data) -> Data:
    """Columns with mean 0 and standard deviation 1 on the training part, as float32; real targets too."""

    def scaler(values: Tensor) -> Callable[[Tensor], Tensor]:
        if not values.is_floating_point():
            return lambda other: other
        mean, deviation = values.mean(0), values.std(0).clamp_min(1e-12)
        return lambda other: ((other - mean) / deviation).float()

    inputs, targets = scaler(data.train.inputs), scaler(data.train.targets)
    return Data(*(Part(inputs(p.inputs), targets(p.targets)) for p in data.parts))


def perceptron(inputs: int, outputs: int) -> nn.Module:
    """Two hidden layers of 64 units."""
    return nn.Sequential(nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, outputs))


breast_cancer = Task(
    name="breast-cancer",
    card=(
        "Thirty measurements of cell nuclei from 569 breast masses, malignant or benign; a perceptron with two "
        "hidden layers of 64. Small and easy: an interval over seeds, not a winner, is what to expect."
    ),
    data=partial(classes, "breast_cancer.csv"),
    model=partial(perceptron, 30, 2),
    loss=functional.cross_entropy,
    metric=accuracy,
    batch_size=32,
    steps=220,
    target=0.95,
    facts=Facts("569 rows of 30 numbers", 6274, 0.4, "CC BY 4.0 (UCI); shipped with scikit-learn"),
)

wine = Task(
    name="wine",
    card=(
        "Thirteen chemical measurements of 178 wines from three cultivars; a perceptron with two hidden layers "
        "of 64. The smallest task: it shows how a method behaves with almost no data and hardly any steps."
    ),
    data=partial(classes, "wine_data.csv"),
    model=partial(perceptron, 13, 3),
    loss=functional.cross_entropy,
    metric=accuracy,
    batch_size=32,
    steps=90,
    target=0.95,
    facts=Facts("178 rows of 13 numbers", 5251, 0.2, "CC BY 4.0 (UCI); shipped with scikit-learn"),
)

diabetes_mlp = Task(
    name="diabetes",
    card=(
        "Ten measurements of 442 patients, and how far their diabetes has gone a year later; a perceptron with "
        "two hidden layers of 64 and squared error. Most of the variance cannot be explained: methods that fit "
        "fast overfit within the budget."
    ),
    data=diabetes,
    model=partial(perceptron, 10, 1),
    loss=functional.mse_loss,
    metric=r2,
    batch_size=32,
    steps=80,
    evaluate_every=8,
    target=0.30,
    facts=Facts("442 rows of 10 numbers", 4929, 0.2, "public domain data of Efron et al.; shipped with scikit-learn"),
)

diamonds_mlp = Task(
    name="diamonds",
    card=(
        "Size, cut, colour and clarity of 53,940 diamonds, and the logarithm of their prices; a perceptron with "
        "two hidden layers of 64 and squared error. The large table: 843 updates are five times through it in "
        "batches of 256."
    ),
    data=diamonds,
    model=partial(perceptron, 26, 1),
    loss=functional.mse_loss,
    metric=r2,
    batch_size=256,
    steps=843,
    target=0.98,
    packages=(DIAMONDS,),
    facts=Facts("53,940 rows of 26 numbers", 5953, 2, "MIT; carried by plotnine"),
)
