"""How a comparison is done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

from descend.compare.selection import TRIALS
from descend.compare.variants import Variations
from descend.errors import OptionError, message
from descend.optim.arguments import check_flag


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

    def __post_init__(self) -> None:
        check_flag("together", self.together, "compare")
        for name, kind, allowed in (("out", (str, PathLike), "a folder"), ("baseline", str, "a contender's name")):
            value = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise OptionError(message(f"compare: {name}", got=value, allowed=f"{allowed}, or None"))
