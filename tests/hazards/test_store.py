"""Damaged, missing and untrusted kernel files, seen from a step: always right values, compiled when in doubt."""

import warnings

import pytest

from descend.backends.cpu import compiler, runner
from hazards.formula_of_its_own import make_class, step_once


def count_compiled(cls) -> int:
    """How many kernels a step compiles that knows of no kernel but those in the store."""
    runner.load_kernel.cache_clear()
    before = len(compiler.compiled_kernels())
    constant = cls.rule.formula.__closure__[0].cell_contents
    assert step_once(cls).tolist() == [-constant] * 5
    return len(compiler.compiled_kernels()) - before


def flip(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 0x04
    return bytes(changed)


DAMAGE = {
    "empty": lambda data: b"",
    "one byte": lambda data: data[:1],
    "checksum alone": lambda data: data[:32],
    "half": lambda data: data[: len(data) // 2],
    "last byte missing": lambda data: data[:-1],
    "bit flipped in the checksum": lambda data: flip(data, 5),
    "bit flipped in the header": lambda data: flip(data, 36),
    "bit flipped in the code": lambda data: flip(data, len(data) // 2),
    "bit flipped at the end": lambda data: flip(data, -1),
    "more at the end": lambda data: data + b"\0",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_kernels(damage, store_folder):
    cls, _ = make_class()
    assert count_compiled(cls) == 1
    assert count_compiled(cls) == 0
    (file,) = store_folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(DAMAGE[damage](whole))
    assert count_compiled(cls) == 1
    assert file.read_bytes() == whole
    assert count_compiled(cls) == 0


def test_a_store_that_is_emptied(store_folder):
    cls, _ = make_class()
    assert count_compiled(cls) == 1
    for file in store_folder.iterdir():
        file.unlink()
    store_folder.rmdir()
    assert count_compiled(cls) == 1
    assert count_compiled(cls) == 0


def test_a_store_that_cannot_be_written(store_folder):
    store_folder.parent.joinpath("kernels").write_text("a file where the folder should be")
    cls, _ = make_class()
    with pytest.warns(RuntimeWarning, match="Kernels cannot be kept in .*kernels .*set DESCEND_CACHE_DIR"):
        assert count_compiled(cls) == 1
    with warnings.catch_warnings():  # said once
        warnings.simplefilter("error")
        assert count_compiled(cls) == 1


def test_a_store_that_others_can_write(store_folder):
    cls, _ = make_class()
    assert count_compiled(cls) == 1
    store_folder.chmod(0o777)
    with pytest.warns(RuntimeWarning, match="can be written by others and holds machine code.*chmod 700"):
        assert count_compiled(cls) == 1
    store_folder.chmod(0o700)
    assert count_compiled(cls) == 0


def test_kernels_are_never_taken_for_each_other(store_folder):
    """A file that was copied over another has a right checksum of the wrong kernel."""
    first, _ = make_class()
    assert count_compiled(first) == 1
    (own,) = store_folder.iterdir()
    second, _ = make_class()
    assert count_compiled(second) == 1
    (other,) = set(store_folder.iterdir()) - {own}
    other.write_bytes(own.read_bytes())
    assert count_compiled(second) == 1
