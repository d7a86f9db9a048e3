"""Molecules that pass from the blood into the brain or do not, and a graph network.

Data: Meng, Xi, Yu and Ayers (2021), "A curated diverse molecular database of blood-brain barrier permeability with
chemical descriptors", Scientific Data 8:289. Network: Xu, Hu, Leskovec and Jegelka (2019), "How Powerful are Graph
Neural Networks?", equation 4.1, with bonds added to the messages as in Hu et al. (2020), "Strategies for
Pre-training Graph Neural Networks", section 2.
"""

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from descend.tasks.data import Data, Part, shuffle
from descend.tasks.metric import roc_auc
from descend.tasks.ragged import Ragged
from descend.tasks.shipped import read_own
from descend.tasks.smiles import Molecule, find_rings, parse
from descend.tasks.task import Facts, Task

SHA256 = "b66cffa8f1c4214cb088ede1cd1f8176884089c5ca0b230a4378945eba502be7"
ELEMENTS = ("C", "N", "O", "S", "F", "Cl", "Br", "I", "P", "B", "Na", "Si")
TYPICAL_SIZE = 27
"""Atoms in a molecule on average; sums are divided by it to begin with values near 1."""
CHARGES, HYDROGENS, DEGREES, ORDERS = 3, 4, 5, (1.0, 1.5, 2.0, 3.0)
FEATURES = (len(ELEMENTS) + 1, 2, CHARGES, HYDROGENS, DEGREES, 2)
"""Values of each property of an atom: element or another, aromatic, charge, hydrogens, neighbours, on a ring."""


def describe(molecule: Molecule) -> list[list[int]]:
    """The properties of each atom, as numbers below those of ``FEATURES``."""
    degrees = [0] * len(molecule.atoms)
    for first, second, _ in molecule.bonds:
        degrees[first] += 1
        degrees[second] += 1
    return [
        [
            ELEMENTS.index(atom.element) if atom.element in ELEMENTS else len(ELEMENTS),
            int(atom.aromatic),
            max(-1, min(1, atom.charge)) + 1,
            min(atom.hydrogens, HYDROGENS - 1),
            min(degree, DEGREES - 1),
            int(ring),
        ]
        for atom, degree, ring in zip(molecule.atoms, degrees, find_rings(molecule), strict=True)
    ]


def connect(molecule: Molecule) -> list[list[int]]:
    """Each bond in both directions: from, to, kind."""
    bonds = ((first, second, ORDERS.index(order)) for first, second, order in molecule.bonds)
    return [row for first, second, kind in bonds for row in ([first, second, kind], [second, first, kind])]


@lru_cache(maxsize=1)
def graphs() -> Data:
    """The 7,807 molecules, 80/10/10 with a fixed seed; a molecule that occurs twice stays in one part."""
    lines = [line.split("\t") for line in read_own("b3db.tsv.gz", SHA256).decode().splitlines()]
    molecules = [parse(smiles) for smiles, _ in lines]
    whole = Part(
        {
            "atoms": Ragged.from_rows((describe(m) for m in molecules), width=len(FEATURES)),
            "bonds": Ragged.from_rows((connect(m) for m in molecules), width=3),
        },
        torch.tensor([float(label) for _, label in lines]),
    )
    names = sorted({smiles for smiles, _ in lines})
    order = shuffle(len(names)).tolist()
    place = {names[one]: rank / len(names) for rank, one in enumerate(order)}
    shares = torch.tensor([place[smiles] for smiles, _ in lines], dtype=torch.float64)
    chosen = (shares < 0.8, (shares >= 0.8) & (shares < 0.9), shares >= 0.9)
    return Data(*(whole.batch(torch.nonzero(rows).flatten()) for rows in chosen))


class Layer(nn.Module):
    """One round of messages: the sum over neighbours and bonds, then a perceptron."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bonds = nn.Embedding(len(ORDERS), width)
        self.own = nn.Parameter(torch.zeros(()))
        self.perceptron = nn.Sequential(
            nn.Linear(width, 2 * width), nn.BatchNorm1d(2 * width), nn.ReLU(), nn.Linear(2 * width, width)
        )
        self.norm = nn.BatchNorm1d(width)

    def forward(self, atoms: Tensor, sources: Tensor, sinks: Tensor, kinds: Tensor) -> Tensor:
        """New vectors of the atoms; bonds lead from sources to sinks."""
        messages = functional.relu(atoms[sources] + self.bonds(kinds))
        total = torch.zeros_like(atoms).index_add(0, sinks, messages)
        return functional.relu(self.norm(self.perceptron((1 + self.own) * atoms + total)))


class GraphNetwork(nn.Module):
    """Three rounds of width 64; a molecule is the sum of its atoms after each of them (equation 4.2)."""

    def __init__(self, width: int = 64, rounds: int = 3) -> None:
        super().__init__()
        self.properties = nn.ModuleList(nn.Embedding(values, width) for values in FEATURES)
        self.layers = nn.ModuleList(Layer(width) for _ in range(rounds))
        self.head = nn.Sequential(nn.Linear((rounds + 1) * width, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, graphs: dict[str, Ragged]) -> Tensor:
        """A score for each molecule; above 0 where it is taken to pass."""
        atoms, bonds = graphs["atoms"], graphs["bonds"]
        ends = bonds.values[:, :2] + atoms.starts[bonds.owners].unsqueeze(1)
        x = torch.stack([embed(atoms.values[:, i]) for i, embed in enumerate(self.properties)]).sum(0)
        rounds = [x]
        for layer in self.layers:
            rounds.append(layer(rounds[-1], ends[:, 0], ends[:, 1], bonds.values[:, 2]))
        every = torch.cat(rounds, 1)
        sums = every.new_zeros(len(atoms), every.shape[1]).index_add(0, atoms.owners, every)
        return self.head(sums / TYPICAL_SIZE).squeeze(1)


b3db_gin = Task(
    name="b3db-gin",
    card=(
        "7,807 molecules of B3DB and whether they pass from the blood into the brain; a graph isomorphism network "
        "of three rounds. The area under the ROC curve is 0.5 for guessing and near 0.93 after a good run. The "
        "guides' graph case, with their measure, validation AUC."
    ),
    data=graphs,
    model=GraphNetwork,
    loss=functional.binary_cross_entropy_with_logits,
    metric=roc_auc,
    batch_size=64,
    steps=2340,
    evaluate_every=195,
    target=0.92,
    facts=Facts("7,807 molecules of 27 atoms on average", 70_084, 55, "CC0 1.0 (B3DB)"),
)
