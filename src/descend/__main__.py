"""``python -m descend``: the command line."""

from descend.cli.__main__ import main

if __name__ == "__main__":
    main()
