from pathlib import Path

import descend
from descend.optim.overview import write_overview

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"


def test_the_committed_page_is_what_the_rules_say():
    assert PAGE.read_text() == write_overview(), "run `python -m descend.optim.overview > docs/methods.md`"


def test_every_method_has_a_row_without_a_blank():
    rows = [line for line in write_overview().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == list(descend.optimizers())
    assert all(cell.strip() for row in rows for cell in row.strip("|").split("|"))
