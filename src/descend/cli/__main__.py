"""Entry point of the command ``descend``, also ``python -m descend.cli``."""

import sys
from collections.abc import Callable
from importlib.util import find_spec

from descend.errors import DescendError, MissingExtraError, missing_extra


def main() -> None:
    """Run the command line and exit; the exit codes are those of :mod:`descend.cli.exits`."""
    from descend.cli.exits import MISSING, exit_code

    try:
        run = _load()
    except MissingExtraError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(MISSING)
    try:
        run()
    except DescendError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(exit_code(error))


def _load() -> Callable[[], object]:
    for name in ("typer", "rich"):
        if find_spec(name) is None:
            raise missing_extra(name, "bench", "The command line")
    from descend.cli.app import app

    return app


if __name__ == "__main__":
    main()
