"""Molecules from SMILES, the line notation of chemistry.

Source: Weininger (1988), "SMILES, a chemical language and information system. 1. Introduction to methodology and
encoding rules", and the OpenSMILES specification 1.0, sections 3.1 to 3.5. Read are atoms, bonds, branches, rings
and disconnected parts. Stereochemistry, isotopes and atom classes are accepted and left out.
"""

import re
from collections import deque
from dataclasses import dataclass, replace

from descend.errors import TaskError, message

TOKEN = re.compile(
    r"(?P<bracket>\[[^\[\]]+\])|(?P<organic>Br|Cl|[BCNOPSFI]|[bcnops])|(?P<bond>[-=#$:/\\~])"
    r"|(?P<open>\()|(?P<close>\))|(?P<ring>%\d\d|\d)|(?P<dot>\.)"
)
BRACKET = re.compile(
    r"\[\d*(?P<symbol>[A-Z][a-z]?|se|as|[bcnops])(?:@[A-Z]{2}\d+|@{0,2})"
    r"(?P<hydrogens>H\d*)?(?P<charge>\+\+|--|[+-]\d*)?(?::\d+)?\]"
)
ORDERS = {"-": 1.0, "=": 2.0, "#": 3.0, "$": 4.0, ":": 1.5, "/": 1.0, "\\": 1.0, "~": 1.0}
AROMATIC = 1.5
VALENCES = {"B": 3, "C": 4, "N": 3, "O": 2, "P": 3, "S": 2, "F": 1, "Cl": 1, "Br": 1, "I": 1}
"""The lowest normal one of each element that may stand outside brackets (OpenSMILES, section 3.1.5)."""


@dataclass(frozen=True)
class Atom:
    """An atom: element, whether written as aromatic, formal charge, and hydrogens: named in brackets, else implied."""

    element: str
    aromatic: bool = False
    charge: int = 0
    hydrogens: int = 0


@dataclass(frozen=True)
class Molecule:
    """Atoms, and bonds as (first atom, second atom, order); an aromatic bond has order 1.5."""

    atoms: tuple[Atom, ...]
    bonds: tuple[tuple[int, int, float], ...]


def parse(text: str) -> Molecule:
    """The molecule that a SMILES describes; hydrogens are counted with the atoms that they are bound to.

    Raises:
        TaskError: names the place where the text is not SMILES.
    """
    return _Reader(text).read()


def find_rings(molecule: Molecule) -> list[bool]:
    """For each atom whether it lies on a ring: on the way back between two atoms whose bond closes one."""
    neighbours: list[list[int]] = [[] for _ in molecule.atoms]
    for first, second, _ in molecule.bonds:
        neighbours[first].append(second)
        neighbours[second].append(first)
    depths: dict[int, int] = {}
    above: dict[int, int] = {}
    for root in range(len(molecule.atoms)):
        waiting = deque([root] if root not in depths else [])
        depths.setdefault(root, 0)
        while waiting:
            atom = waiting.popleft()
            for other in neighbours[atom]:
                if other not in depths:
                    depths[other], above[other] = depths[atom] + 1, atom
                    waiting.append(other)
    on_ring = [False] * len(molecule.atoms)
    for first, second, _ in molecule.bonds:
        if above.get(first) != second and above.get(second) != first:
            while first != second:
                on_ring[first] = on_ring[second] = True
                first, second = (above[first], second) if depths[first] >= depths[second] else (first, above[second])
            on_ring[first] = True
    return on_ring


class _Reader:
    """One pass over the text; ``last`` is the atom that the next one is bound to."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.atoms: list[Atom] = []
        self.bonds: list[tuple[int, int, float]] = []
        self.last: int | None = None
        self.order: float | None = None
        self.branches: list[int | None] = []
        self.rings: dict[str, tuple[int, float | None]] = {}
        self.organic: list[int] = []

    def read(self) -> Molecule:
        place = 0
        while place < len(self.text):
            found = TOKEN.match(self.text, place)
            if found is None or found.lastgroup is None:
                raise self.refuse(place, "no SMILES symbol")
            getattr(self, f"read_{found.lastgroup}")(found[0], place)
            place = found.end()
        if self.branches or self.rings or self.order is not None:
            raise self.refuse(place, "ends inside a branch, a ring or a bond")
        self.imply_hydrogens()
        return Molecule(tuple(self.atoms), tuple(self.bonds))

    def imply_hydrogens(self) -> None:
        """Atoms outside brackets have as many as their bonds leave of their valence."""
        used = [0.0] * len(self.atoms)
        for first, second, order in self.bonds:
            used[first] += order
            used[second] += order
        for place in self.organic:
            atom = self.atoms[place]
            self.atoms[place] = replace(atom, hydrogens=max(0, VALENCES[atom.element] - int(used[place])))

    def refuse(self, place: int, why: str) -> TaskError:
        return TaskError(message(f"{why} at character {place + 1} of the SMILES {self.text!r}"))

    def read_bracket(self, token: str, place: int) -> None:
        found = BRACKET.fullmatch(token)
        if found is None:
            raise self.refuse(place, f"{token} is no atom")
        symbol, hydrogens, charge = found["symbol"], found["hydrogens"] or "H0", found["charge"] or "+0"
        size = len(charge) if charge in ("++", "--") else int(charge[1:] or 1)
        self.add(symbol, -size if charge[0] == "-" else size, int(hydrogens[1:] or 1))

    def read_organic(self, token: str, place: int) -> None:
        self.organic.append(len(self.atoms))
        self.add(token, 0, 0)

    def add(self, symbol: str, charge: int, hydrogens: int) -> None:
        self.atoms.append(Atom(symbol.capitalize(), symbol[0].islower(), charge, hydrogens))
        new = len(self.atoms) - 1
        if self.last is not None:
            self.bind(self.last, new, self.order)
        self.last, self.order = new, None

    def bind(self, first: int, second: int, order: float | None) -> None:
        if order is None:
            order = AROMATIC if self.atoms[first].aromatic and self.atoms[second].aromatic else 1.0
        self.bonds.append((first, second, order))

    def read_bond(self, token: str, place: int) -> None:
        if self.last is None or self.order is not None:
            raise self.refuse(place, "a bond without an atom before it")
        self.order = ORDERS[token]

    def read_open(self, token: str, place: int) -> None:
        self.branches.append(self.last)

    def read_close(self, token: str, place: int) -> None:
        if not self.branches:
            raise self.refuse(place, "a branch ends that has not begun")
        self.last = self.branches.pop()

    def read_ring(self, token: str, place: int) -> None:
        if self.last is None:
            raise self.refuse(place, "a ring without an atom before it")
        number = token.lstrip("%0") or "0"
        if number not in self.rings:
            self.rings[number] = (self.last, self.order)
        else:
            first, order = self.rings.pop(number)
            if first == self.last:
                raise self.refuse(place, "an atom in a ring with itself")
            self.bind(first, self.last, self.order if order is None else order)
        self.order = None

    def read_dot(self, token: str, place: int) -> None:
        self.last = None
