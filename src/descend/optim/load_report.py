"""What loading a state found: the report that ``load_state_dict`` returns, and raises in words when it is strict."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from descend.errors import CheckpointError

Kind = Literal["missing", "unexpected", "mismatched", "anew", "narrowed", "changed"]
MISFITS: tuple[Kind, ...] = ("missing", "unexpected", "mismatched")
"""Kinds that ``strict=True`` refuses. A parameter without a saved state begins anew and is no misfit: it was frozen."""

_TOLD = 20


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Args:
        kind: ``missing`` or ``unexpected`` in the checkpoint, ``mismatched`` in shape or meaning, a parameter that
            begins ``anew``, a state ``narrowed`` to another type, an option ``changed`` by loading.
        name: of the parameter, state or option.
        what: is the matter.
        do: the way out.
    """

    kind: Kind
    name: str
    what: str
    do: str = ""


@dataclass(frozen=True)
class LoadReport:
    """What ``load_state_dict`` returns; prints as a table.

    Args:
        owner: the optimizer's name.
        parameters: how many it has.
        loaded: how many of them have a state now.
        findings: what did not fit or was changed, in the order of the groups.
    """

    owner: str
    parameters: int
    loaded: int
    findings: tuple[Finding, ...] = ()

    def of(self, *kinds: Kind) -> tuple[Finding, ...]:
        """The findings of these kinds: ``report.of("missing", "unexpected")``."""
        return tuple(f for f in self.findings if f.kind in kinds)

    @property
    def fits(self) -> bool:
        """Whether nothing was missing, unexpected or mismatched."""
        return not self.of(*MISFITS)

    def __repr__(self) -> str:
        """The same as a table, with a line that sums it up."""
        counted = Counter(f.kind for f in self.findings)
        tally = ", ".join(f"{n} {kind}" for kind, n in counted.items()) or "everything fits"
        head = f"{self.owner}: {self.loaded} of {self.parameters} parameters have a state from the checkpoint; {tally}."
        return "\n".join([head, *tabulate(self.findings)])


def tabulate(findings: Sequence[Finding]) -> list[str]:
    """The findings as lines in columns."""
    names = max((len(f.name) for f in findings), default=0)
    return [f"  {f.kind:<10}  {f.name:<{names}}  {f.what}" for f in findings]


def refuse_misfits(owner: str, findings: Sequence[Finding]) -> None:
    """Raise what a strict load found, all of it.

    Raises:
        CheckpointError: if anything is missing, unexpected or mismatched.
    """
    misfits = [f for f in findings if f.kind in MISFITS]
    if misfits:
        ways = list(dict.fromkeys(f.do for f in misfits if f.do))
        lines = [f"{owner}: the checkpoint does not fit; nothing was loaded.", *tabulate(misfits[:_TOLD])]
        lines += [f"  ... and {len(misfits) - _TOLD} more"] if len(misfits) > _TOLD else []
        lines.append(". ".join([*ways, "load_state_dict(..., strict=False) loads what fits and returns this table."]))
        raise CheckpointError("\n".join(lines))
