"""Entry point of the command ``descend``, also ``python -m descend.cli``."""

import sys

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


def _load():
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ImportError as error:
        raise missing_extra(error.name or "typer", "bench", "The command line") from error
    from descend.cli.app import app

    return app


if __name__ == "__main__":
    main()
