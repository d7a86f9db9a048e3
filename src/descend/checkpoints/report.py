"""What became of each state on the way from one method, or library, to another; prints as a table."""

from dataclasses import dataclass, replace
from typing import Any

from descend.checkpoints.quantities import GRADES


@dataclass(frozen=True)
class Carried:
    """One line of the report.

    Args:
        name: of a state, or what else was carried.
        grade: ``exact``, ``approximate`` (the same thing, averaged otherwise), ``estimated`` (an assumption stands for
            what was never kept), ``new`` (nothing was carried) or ``dropped``.
        how: what it was made of.
        count: of how many tensors; 0 for what is not of tensors.
    """

    name: str
    grade: str
    how: str
    count: int


@dataclass(frozen=True)
class Conversion:
    """A converted state and the report on it; prints as a table.

    Args:
        state_dict: for ``load_state_dict`` of the target.
        source: the method that it was of.
        target: the method that it is for.
        lines: what each state was made of.
    """

    state_dict: dict[str, Any]
    source: str
    target: str
    lines: tuple[Carried, ...]

    @property
    def exact(self) -> bool:
        """Whether nothing was lost, estimated or begun anew."""
        return all(line.grade == "exact" for line in self.lines)

    def __repr__(self) -> str:
        """The report as a table."""
        widest = max((len(line.name) for line in self.lines), default=0)
        counts = [f"  ({x.count} tensor{'s' * (x.count > 1)})" * (x.count > 0) for x in self.lines]
        rows = [f"  {x.name:<{widest}}  {x.grade:<11}  {x.how}{n}" for x, n in zip(self.lines, counts, strict=True)]
        head = f"{self.source} -> {self.target}: what was carried, and what it was made of."
        return "\n".join([head, *rows])


def tally(lines: list[Carried]) -> list[Carried]:
    """Equal lines once, the exact ones first, with the number of tensors."""
    counted: dict[Carried, int] = {}
    for line in lines:
        key = replace(line, count=0)
        counted[key] = counted.get(key, 0) + line.count
    ordered = sorted(counted, key=lambda x: (*GRADES, "dropped").index(x.grade))
    return [replace(line, count=counted[line]) for line in ordered]
