"""The kernel store: what is kept comes back, and anything wrong with it is as if it were absent."""

import os
import stat
import threading
import warnings
from pathlib import Path

import pytest

from descend.backends.cpu import store

CODE = bytes(range(256)) * 5


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("DESCEND_CACHE_DIR", str(tmp_path / "kernels"))
    monkeypatch.setattr(store, "_warned", set())
    return tmp_path / "kernels"


def test_what_is_written_comes_back(place):
    assert store.read("key") is None
    store.write("key", CODE)
    assert store.read("key") == CODE
    assert store.read("other") is None
    assert [p.name for p in place.iterdir()] == ["key"]
    store.write("key", b"new")
    assert store.read("key") == b"new"


def test_only_the_user_can_enter_a_new_store(place):
    store.write("key", CODE)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, len(CODE) + 31])
def test_a_truncated_file_is_as_if_absent(place, length):
    store.write("key", CODE)
    (place / "key").write_bytes((place / "key").read_bytes()[:length])
    assert store.read("key") is None


@pytest.mark.parametrize("at", [0, 31, 32, 700, len(CODE) + 31])
def test_a_flipped_bit_is_seen(place, at):
    store.write("key", CODE)
    data = bytearray((place / "key").read_bytes())
    data[at] ^= 0x10
    (place / "key").write_bytes(data)
    assert store.read("key") is None


def test_a_folder_in_the_place_of_a_file_is_as_if_absent(place):
    (place / "key").mkdir(parents=True, mode=0o700)
    place.chmod(0o700)
    assert store.read("key") is None
    with pytest.warns(RuntimeWarning, match="Kernels cannot be kept"):
        store.write("key", CODE)
    assert [p.name for p in place.iterdir()] == ["key"]  # nothing half written stays behind


def test_a_store_that_cannot_be_made_warns_once(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("DESCEND_CACHE_DIR", str(tmp_path / "file" / "kernels"))
    monkeypatch.setattr(store, "_warned", set())
    with pytest.warns(RuntimeWarning, match="set DESCEND_CACHE_DIR to a folder that you can write"):
        store.write("key", CODE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store.write("key", CODE)
        assert store.read("key") is None


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="permissions of POSIX")
@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777, 0o1777])
def test_a_store_that_others_can_write_is_refused(place, mode):
    store.write("key", CODE)
    place.chmod(mode)
    with pytest.warns(RuntimeWarning, match="can be written by others"):
        assert store.read("key") is None
    store.write("new", CODE)
    assert [p.name for p in place.iterdir()] == ["key"]
    place.chmod(0o755)  # others may read
    assert store.read("key") == CODE


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="permissions of POSIX")
def test_a_store_of_another_user_is_refused(place, monkeypatch):
    store.write("key", CODE)
    monkeypatch.setattr(os, "getuid", lambda: place.stat().st_uid + 1)
    with pytest.warns(RuntimeWarning, match="can be written by others"):
        assert store.read("key") is None


def test_where_kernels_are_kept(monkeypatch):
    monkeypatch.setenv("DESCEND_CACHE_DIR", "chosen")
    assert store.folder() == Path("chosen")
    monkeypatch.delenv("DESCEND_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "caches")
    assert store.folder() == Path("caches", "descend", "kernels")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "home")
    assert store.folder() == Path("home", ".cache", "descend", "kernels")


def test_a_user_without_a_home_has_a_store(tmp_path, monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    for name in ("DESCEND_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.setattr(store.tempfile, "gettempdir", lambda: str(tmp_path))
    store.write("key", CODE)
    assert store.read("key") == CODE
    assert store.folder().parent == tmp_path


def test_writers_of_one_key_never_show_half_a_file(place):
    codes = {bytes([i]) * 100_000 for i in range(4)}
    seen = set()
    store.write("key", next(iter(codes)))

    def write(code):
        for _ in range(20):
            store.write("key", code)

    threads = [threading.Thread(target=write, args=(c,)) for c in codes]
    for thread in threads:
        thread.start()
    while any(t.is_alive() for t in threads):
        seen.add(store.read("key"))
    for thread in threads:
        thread.join()
    assert seen <= codes
    assert [p.name for p in place.iterdir()] == ["key"]
