"""Optuna as descend uses it: quiet, loaded only when it is needed, with one choice of samplers and pruner."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from descend.compare.protocol import Search
from descend.errors import missing_extra

if TYPE_CHECKING:
    import optuna

ROUND = 5
"""Trials that a sampler gives at once, in ignorance of one another; those of the first round are drawn at random."""
SEED = 42
"""Of the first round, for every contender; the next round has the next one."""


@contextmanager
def quiet_optuna(purpose: str) -> Iterator[Any]:
    """Optuna, without its log, which repeats with a traceback what is raised here, and its experimental warnings.

    Raises:
        MissingExtraError: it is not installed; says what it is needed for.
    """
    try:
        import optuna
    except ImportError as error:
        raise missing_extra("optuna", "bench", purpose) from error
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            yield optuna
        finally:
            optuna.logging.set_verbosity(before)


def find_optuna() -> str:
    """Its version.

    Raises:
        MissingExtraError: it is not installed.
    """
    with quiet_optuna("A sampled search") as optuna:
        return optuna.__version__


def make_sampler(optuna: Any, search: Search, number: int) -> "optuna.samplers.BaseSampler":
    """The sampler of a name for a round, from 0; TPE takes trials that are not finished for bad ones."""
    seed = SEED + number
    if search == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=ROUND, constant_liar=True)


def make_pruner(optuna: Any, steps: int) -> "optuna.pruners.BasePruner":
    """Gives a run of so many updates up where its best is worse than the median of the others at the same update.

    Not before there are five others, nor in the first fifth of the run.
    """
    return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=steps // 5)
