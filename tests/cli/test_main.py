import subprocess
import sys
from importlib.util import find_spec

import pytest

from descend.cli import __main__ as entry
from descend.cli.exits import MISSING, RECORDS, WRONG, exit_code
from descend.errors import MissingExtraError, OptionError, RecordError, TaskError


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["descend", *arguments])
    with pytest.raises(SystemExit) as ended:
        entry.main()
    return ended.value.code


def test_exit_codes_of_errors():
    assert exit_code(RecordError("")) == RECORDS == 3
    assert exit_code(MissingExtraError("")) == MISSING == 4
    assert exit_code(TaskError("")) == exit_code(OptionError("")) == WRONG == 1


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_without_the_extra_the_way_out_is_named(monkeypatch, capsys, package):
    monkeypatch.setattr(entry, "find_spec", lambda name: None if name == package else find_spec(name))
    assert run(monkeypatch, "optimizers") == 4
    assert f"needs {package}" in (said := capsys.readouterr().err) and "pip install 'descend[bench]'" in said


def test_errors_are_one_line_and_no_traceback(monkeypatch, capsys):
    assert run(monkeypatch, "show", "adamm") == 1
    said = capsys.readouterr().err
    assert "adamm" in said and "Did you mean" in said and "Traceback" not in said


def test_a_wrong_command_line_is_2(monkeypatch, capsys):
    assert run(monkeypatch, "compare", "--sedes", "3") == 2
    assert "--seeds" in capsys.readouterr().err


def test_version(monkeypatch, capsys):
    import descend

    assert run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"descend {descend.__version__}\n"


def test_help_names_the_exit_codes(monkeypatch, capsys):
    assert run(monkeypatch, "compare", "--help") == 0
    assert "130 interrupted" in capsys.readouterr().out.replace("\n", " ").replace("  ", " ")


def test_importing_descend_imports_none_of_the_extra():
    code = (
        "import sys, descend; loaded = {'typer', 'rich', 'matplotlib', 'sklearn', 'jinja2'} & set(sys.modules); "
        "assert not loaded - {'jinja2'} and 'descend.cli' not in sys.modules, loaded"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
