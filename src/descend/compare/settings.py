"""How a comparison is done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from descend.compare.selection import TRIALS
from descend.compare.variants import Variations


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a comparison is done; :func:`descend.compare.compare` says what each of them means."""

    seeds: int = 5
    search_seeds: int = 3
    trials: int = TRIALS
    steps: int | None = None
    lrs: Mapping[str, Sequence[float]] = field(default_factory=dict)
    vary: Variations = field(default_factory=dict)
    baseline: str | None = None
    out: str | Path | None = None
    workers: int = 2
    on: str = "here"
    together: bool = True
