import inspect
from pathlib import Path

import descend
from descend.optim.stub import write_stub

STUB = Path(descend.__file__).with_suffix(".pyi")


def test_the_committed_stub_is_what_the_rules_say():
    assert STUB.read_text() == write_stub(), "run `python -m descend.optim.stub > src/descend/__init__.pyi`"


def test_every_public_name_stands_in_it():
    text = STUB.read_text()
    missing = [name for name in descend.__all__ if f"as {name}\n" not in text and f"class {name}(" not in text]
    assert missing == []


def test_it_has_every_parameter_in_order():
    for name, cls in descend.optimizers().items():
        body = STUB.read_text().split(f"class {name}(Optimizer):", 1)[1].split("-> None", 1)[0]
        lines = [line.strip() for line in body.splitlines() if line.startswith("        ")]
        written = [line.split(":")[0] for line in lines if ":" in line]
        assert written == list(inspect.signature(cls).parameters)
