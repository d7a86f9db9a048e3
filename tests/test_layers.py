"""The architecture, read from the source: who may import whom, and how long files and functions may be."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import descend

PACKAGE = Path(descend.__file__).parent

# A row may import the rows above it and itself. "descend" is the package's own __init__, the public names.
ROWS = [
    {"errors"},
    {"lang"},
    {"schedules"},
    {"rules"},
    {"storage"},
    {"backends"},
    {"optim"},
    {"matrix", "curvature"},
    {"checkpoints", "clip", "wrap"},
    {"watch"},
    {"tasks"},
    {"compare"},
    {"draw"},
    {"descend"},
    {"cli"},
    {"__main__"},
]
ROW_OF = {name: row for row, names in enumerate(ROWS) for name in names}
# Rows that need the standard library alone; a schedule draws itself if asked, and only then imports what draws.
PURE: dict[str, set[str]] = {"errors": set(), "lang": set(), "schedules": {"matplotlib"}, "rules": set()}
LAZY = ["llvmlite", "numba", "triton", "matplotlib", "sklearn", "scipy", "jinja2", "typer", "rich", "optuna", "ray"]

FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = {path: ".".join(["descend", *path.relative_to(PACKAGE).with_suffix("").parts]) for path in FILES}


def imports(source: str, module: str) -> Iterator[str]:
    """Every module that a source imports anywhere, in functions and for types too, as an absolute name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield ".".join([*module.split(".")[: -node.level], node.module or ""]).rstrip(".")
        elif isinstance(node, ast.ImportFrom) and node.module == "descend":
            # ``from descend import lang`` names a row, ``from descend import AdamW`` a public name.
            yield from (f"descend.{a.name}" if a.name in ROW_OF else "descend" for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def row_name(module: str) -> str:
    parts = [part for part in module.split(".") if part != "__init__"]
    return parts[1] if len(parts) > 1 else "descend"


def upward(source: str, module: str) -> list[str]:
    own = row_name(module)
    inside = [name for name in imports(source, module) if name.split(".")[0] == "descend"]
    return [
        f"{module} imports {name}" for name in inside if row_name(name) != own and ROW_OF[row_name(name)] >= ROW_OF[own]
    ]


def foreign(source: str, module: str) -> list[str]:
    roots = {name.split(".")[0] for name in imports(source, module)} - {"descend"} - PURE[row_name(module)]
    return [f"{module} imports {root}" for root in sorted(roots - sys.stdlib_module_names)]


def long_functions(source: str, module: str, most: int) -> list[str]:
    functions = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = [(node.name, (node.end_lineno or node.lineno) - node.lineno + 1) for node in functions]
    return [f"{module}.{name}: {length} lines" for name, length in lengths if length > most]


def test_every_module_has_a_row():
    assert [module for module in MODULES.values() if row_name(module) not in ROW_OF] == []


def test_no_import_points_upward():
    assert [arrow for path, module in MODULES.items() for arrow in upward(path.read_text(), module)] == []


def test_formulas_and_schedules_need_the_standard_library_alone():
    pure = {path: module for path, module in MODULES.items() if row_name(module) in PURE}
    assert [arrow for path, module in pure.items() for arrow in foreign(path.read_text(), module)] == []


def test_rules_import_the_language_alone():
    rules = {path: module for path, module in MODULES.items() if row_name(module) == "rules"}
    names = {name for path, module in rules.items() for name in imports(path.read_text(), module)}
    inside = {name for name in names if name.startswith("descend") and row_name(name) != "rules"}
    assert inside == {"descend.lang"}


def test_files_are_short():
    limits = {path: 60 if path.parent.name == "rules" else 400 for path in FILES if path.name != "__init__.py"}
    lengths = {path: len(path.read_text().splitlines()) for path in limits}
    assert [f"{path}: {lengths[path]} lines" for path in limits if lengths[path] > limits[path]] == []


def test_functions_are_short():
    found = [line for path, module in MODULES.items() for line in long_functions(path.read_text(), module, 60)]
    assert found == []


@pytest.mark.parametrize("vague", ["util", "utils", "helper", "helpers", "common", "misc"])
def test_no_file_has_a_name_that_says_nothing(vague: str):
    assert [path for path in PACKAGE.rglob("*") if path.stem.strip("_") == vague] == []


def test_importing_descend_starts_no_heavy_package():
    code = f"import sys, descend; print([name for name in {LAZY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("source", "module", "found"),
    [
        ("from descend.optim.optimizer import Optimizer", "descend.lang.rule", True),
        ("def f():\n    import descend.draw.curves", "descend.compare.runs", True),
        ("from ..optim import optimizer", "descend.lang.rule", True),
        ("from descend import AdamW", "descend.optim.build", True),
        ("from descend import optim", "descend.storage.codec", True),
        ("from descend.wrap import ema", "descend.clip.norm", True),
        ("from descend.lang import rule", "descend.rules.adam", False),
        ("from . import graph", "descend.lang.rule", False),
        ("import descend", "descend.tasks.digits", True),
        ("from descend.optim import optimizer", "descend.__init__", False),
    ],
)
def test_the_reading_of_imports(source: str, module: str, found: bool):
    assert bool(upward(source, module)) is found


def test_the_reading_of_lengths():
    body = "def f():\n" + "    pass\n" * 60
    assert long_functions(body, "m", 60) == ["m.f: 61 lines"]
    assert long_functions(body, "m", 61) == []
    assert foreign("import torch.nn\nimport math", "descend.lang.rule") == ["descend.lang.rule imports torch"]
