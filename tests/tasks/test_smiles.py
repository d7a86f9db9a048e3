import pytest

from descend.errors import TaskError
from descend.tasks.smiles import Atom, find_rings, parse


def shape(text):
    molecule = parse(text)
    return "".join(atom.element for atom in molecule.atoms), [tuple(bond) for bond in molecule.bonds]


@pytest.mark.parametrize(
    ("text", "elements", "bonds"),
    [
        ("CCO", "CCO", [(0, 1, 1), (1, 2, 1)]),
        ("C=C", "CC", [(0, 1, 2)]),
        ("C#N", "CN", [(0, 1, 3)]),
        ("C(=O)O", "COO", [(0, 1, 2), (0, 2, 1)]),
        ("C(C(N)F)Cl", "CCNFCl", [(0, 1, 1), (1, 2, 1), (1, 3, 1), (0, 4, 1)]),
        ("C1CC1", "CCC", [(0, 1, 1), (1, 2, 1), (0, 2, 1)]),
        ("C=1CC1", "CCC", [(0, 1, 1), (1, 2, 1), (0, 2, 2)]),
        ("C%12CC%12", "CCC", [(0, 1, 1), (1, 2, 1), (0, 2, 1)]),
        ("C1CC1C1CC1", "CCCCCC", [(0, 1, 1), (1, 2, 1), (0, 2, 1), (2, 3, 1), (3, 4, 1), (4, 5, 1), (3, 5, 1)]),
        ("c1ccccc1", "C" * 6, [(i, i + 1, 1.5) for i in range(5)] + [(0, 5, 1.5)]),
        ("c1ccccc1-c1ccccc1", "C" * 12, None),
        ("[Na+].[Cl-]", "NaCl", []),
        ("F/C=C\\F", "FCCF", [(0, 1, 1), (1, 2, 2), (2, 3, 1)]),
        ("BrCI", "BrCI", [(0, 1, 1), (1, 2, 1)]),
    ],
)
def test_atoms_and_bonds(text, elements, bonds):
    found = shape(text)
    assert found[0] == elements
    if bonds is not None:
        assert found[1] == bonds


def test_a_single_bond_between_aromatic_rings_is_single():
    orders = [order for _, _, order in parse("c1ccccc1-c1ccccc1").bonds]
    assert orders.count(1.0) == 1 and orders.count(1.5) == 12


@pytest.mark.parametrize(
    ("text", "atom"),
    [
        ("[NH4+]", Atom("N", False, 1, 4)),
        ("[O-]", Atom("O", False, -1, 0)),
        ("[Fe++]", Atom("Fe", False, 2, 0)),
        ("[Ca+2]", Atom("Ca", False, 2, 0)),
        ("[nH]", Atom("N", True, 0, 1)),
        ("[C@@H]", Atom("C", False, 0, 1)),
        ("[13CH3:7]", Atom("C", False, 0, 3)),
        ("[se]", Atom("Se", True, 0, 0)),
    ],
)
def test_brackets(text, atom):
    assert parse(text).atoms == (atom,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("C?C", "no SMILES symbol at character 2"),
        ("C1CC", "ends inside a branch, a ring or a bond"),
        ("C(C", "ends inside"),
        ("C=", "ends inside"),
        ("CC)", "branch ends that has not begun at character 3"),
        ("=C", "bond without an atom"),
        ("1CC1", "ring without an atom"),
        ("C11", "ring with itself"),
        ("[Xx9z]", "is no atom"),
    ],
)
def test_what_is_no_smiles_is_refused_by_its_place(text, words):
    with pytest.raises(TaskError, match=words):
        parse(text)


@pytest.mark.parametrize(
    ("text", "hydrogens"),
    [
        ("C", [4]),
        ("CC(=O)O", [3, 0, 0, 1]),
        ("N#CC", [0, 0, 3]),
        ("c1ccncc1O", [1, 1, 1, 0, 1, 0, 1]),
        ("CS(=O)(=O)Cl", [3, 0, 0, 0, 0]),
        ("CN(C)C", [3, 0, 3, 3]),
        ("c1cc[nH]c1", [1, 1, 1, 1, 1]),
    ],
)
def test_hydrogens_outside_brackets_are_what_the_valence_leaves(text, hydrogens):
    assert [atom.hydrogens for atom in parse(text).atoms] == hydrogens


@pytest.mark.parametrize(
    ("text", "rings"),
    [
        ("CCC", "000"),
        ("C1CC1C", "1110"),
        ("C1CC1CC1CC1", "1110111"),
        ("C1CC2CCC1C2O", "11111110"),
        ("c1ccc2ccccc2c1", "1" * 10),
        ("C1CC1.CC", "11100"),
        ("C1.CC1", "000"),
        ("C1.C2.C12", "000"),
    ],
)
def test_atoms_on_rings_and_on_chains_between_them(text, rings):
    assert find_rings(parse(text)) == [mark == "1" for mark in rings]
