"""How a comparison is done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

from descend.compare.protocol import Search, parse_search
from descend.compare.selection import SAMPLED, TRIALS
from descend.compare.space import Tuned
from descend.compare.variants import Variations
from descend.errors import OptionError, message
from descend.optim.arguments import check_count, check_flag


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a comparison is done; :func:`descend.compare.compare` says what each of them means."""

    seeds: int = 5
    search_seeds: int = 3
    search: Search = "grid"
    trials: int | None = None
    tune: Tuned = ()
    pruning: bool = True
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
        check_flag("pruning", self.pruning, "compare")
        parse_search(self.search)
        if self.trials is not None:
            check_count("trials", self.trials, "compare")
        if self.tune and not self.sampled:
            do = "Search with --search tpe or --search random (or search=), or sweep with --vary (or vary=)."
            raise OptionError(message("compare: a grid has learning rates alone, and others are to be tuned", do=do))
        for name, kind, allowed in (("out", (str, PathLike), "a folder"), ("baseline", str, "a contender's name")):
            value = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise OptionError(message(f"compare: {name}", got=value, allowed=f"{allowed}, or None"))

    @property
    def sampled(self) -> bool:
        """Whether a sampler gives the trials."""
        return self.search != "grid"

    @property
    def trial_count(self) -> int:
        """Settings tried for each contender."""
        return self.trials or (SAMPLED if self.sampled else TRIALS)
