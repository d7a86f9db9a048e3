"""``descend find-lr``: the answer in words and as a picture."""

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path

from rich.console import Console

from descend.cli.exits import DONE
from descend.compare.range_test import find_lr_on
from descend.compare.records import describe_refusal
from descend.draw import draw_range
from descend.draw.pictures import save


def run_range_test(
    task: str, optimizer: str, lowest: float, highest: float, steps: int, picture: Path | None, as_json: bool
) -> int:
    """Run the test and print; "no answer" is a result. Returns the exit code.

    Raises:
        DescendError: whatever :func:`descend.compare.range_test.find_lr_on` raises.
    """
    with redirect_stdout(sys.stderr):
        found = find_lr_on(task, optimizer, lowest=lowest, highest=highest, steps=steps)
    if picture is not None:
        try:
            picture.parent.mkdir(parents=True, exist_ok=True)
            files = save(draw_range(found, f"{optimizer} on {task}"), picture)
        except OSError as error:
            raise describe_refusal(picture, error, "Choose another place with --picture.") from error
        Console(stderr=True).print(f"Picture: {files[0]}", highlight=False, soft_wrap=True)
    if as_json:
        sys.stdout.write(json.dumps(found.to_data(), indent=2) + "\n")
    else:
        Console().print(str(found), highlight=False)
    return DONE
