"""Where the runs of a comparison happen, by the words of ``--on``."""

from descend.compare.cluster import RayCluster
from descend.compare.execution import Executor
from descend.compare.pool import LocalPool
from descend.errors import OptionError, message
from descend.optim.arguments import check_count


def find_place(on: str, workers: int) -> Executor:
    """The executor that was asked for.

    Args:
        on: ``here``, ``ray`` or ``ray://HOST:PORT``.
        workers: processes side by side, from 0; on Ray from 1.

    Raises:
        OptionError: there is no such place, or the number is out of range.
        MissingExtraError: Ray is not installed.
    """
    check_count("workers", workers, "compare", least=0)
    if on == "here":
        return LocalPool(workers)
    if isinstance(on, str) and (on == "ray" or (on.startswith("ray://") and len(on) > len("ray://"))):
        return RayCluster(None if on == "ray" else on, workers)
    raise OptionError(message("on", got=on, allowed="'here', 'ray' or 'ray://HOST:PORT'"))
