"""The rows of docs/speed.md, from a record of benchmarks/step.py.

python benchmarks/speed_table.py benchmarks/results/NAME.json
"""

import json
import sys
from pathlib import Path
from typing import Any

from contenders import OURS

HEAD = """| case | ms | fastest other | ratio | alone | bound | its bytes, x | counted |
|---|---|---|---|---|---|---|---|"""


def write_table(record: dict[str, Any]) -> str:
    """One line a case."""
    return "\n".join([HEAD, *map(write_row, record["steps"])])


def write_row(row: dict[str, Any]) -> str:
    """A case with its ratios, what was asked, and our time over the one that its bytes take."""
    ours = row["times"][OURS]
    cells = [row["case"], f"{ours['after_backward']:.3f}", row.get("against", "none"), "–", "–", "–", "–"]
    if "ratio" in row:
        cells[3:5] = f"{row['ratio']:.2f}", f"{row['ratio_alone']:.2f}"
    if "ratio" in row and row["bound"] is not None:
        cells[5] = f"{row['bound']:g}" + ("" if row["ratio"] >= row["bound"] else " (not reached)")
    if "bytes" in row:
        cells[6] = f"{row['bytes']:.2f}" + ("" if row["bytes"] <= row["bytes_bound"] else " (above 1.3)")
    return "| " + " | ".join([*cells, f"{ours['counted']}/{ours['samples']}"]) + " |"


if __name__ == "__main__":
    print(write_table(json.loads(Path(sys.argv[1]).read_text())))
