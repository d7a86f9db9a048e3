"""From text to machine code: compiled once, kept, trusted only if whole."""

import ctypes
import os
import threading

import pytest

from descend.backends.cpu import compiler, store

TEXT = """
define void @add_number(ptr %x) {{
  %old = load double, ptr %x
  %new = fadd double %old, {number:.1f}
  store double %new, ptr %x
  ret void
}}
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("DESCEND_CACHE_DIR", str(tmp_path / "kernels"))
    monkeypatch.setattr(store, "_warned", set())
    return tmp_path / "kernels"


def run(kernel: compiler.Kernel, x: float) -> float:
    cell = ctypes.c_double(x)
    kernel.function("add_number", ctypes.c_void_p)(ctypes.addressof(cell))
    return cell.value


def compiled(name: str) -> int:
    return sum(1 for known, _ in compiler.compiled_kernels() if known == name)


def test_a_kernel_is_compiled_once_and_then_read(place):
    text = TEXT.format(number=2.0)
    kernels = [compiler.load("test: once", text, 1) for _ in range(3)]
    assert [run(k, 1.5) for k in kernels] == [3.5, 3.5, 3.5]
    assert compiled("test: once") == 1
    assert len(list(place.iterdir())) == 1


def test_other_text_is_another_kernel(place):
    kernels = [compiler.load("test: other", TEXT.format(number=n), 1) for n in (3.0, 4.0)]
    assert [run(k, 1.0) for k in kernels] == [4.0, 5.0]
    assert compiled("test: other") == 2
    assert len(list(place.iterdir())) == 2


def test_other_versions_and_processors_have_kernels_of_their_own(monkeypatch):
    llvm = compiler._llvm()
    keys = {compiler._identify("text", llvm), compiler._identify("text ", llvm)}
    monkeypatch.setattr(llvm, "get_host_cpu_name", lambda: "another")
    keys.add(compiler._identify("text", llvm))
    monkeypatch.setattr(llvm, "llvm_version_info", (1, 2, 3))
    keys.add(compiler._identify("text", llvm))
    assert len(keys) == 4


@pytest.mark.parametrize("damage", ["empty", "truncated", "flipped", "text"])
def test_a_damaged_file_is_compiled_again(place, damage):
    name, text = f"test: {damage}", TEXT.format(number=5.0)
    compiler.load(name, text, 1)
    (file,) = place.iterdir()
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    file.write_bytes({"empty": b"", "truncated": whole[:-7], "flipped": bytes(flipped), "text": b"# kernel"}[damage])
    assert run(compiler.load(name, text, 1), 1.0) == 6.0
    assert compiled(name) == 2
    assert file.read_bytes() == whole
    assert run(compiler.load(name, text, 1), 1.0) == 6.0
    assert compiled(name) == 2


def test_without_a_store_kernels_are_compiled_each_time(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DESCEND_CACHE_DIR", str(tmp_path / "file" / "no"))
    monkeypatch.setattr(store, "_warned", set())
    text = TEXT.format(number=6.0)
    with pytest.warns(RuntimeWarning, match="Kernels cannot be kept"):
        first = compiler.load("test: no store", text, 1)
    assert [run(first, 1.0), run(compiler.load("test: no store", text, 1), 2.0)] == [7.0, 8.0]
    assert compiled("test: no store") == 2


def test_wrong_text_is_refused_and_leaves_the_lock_free(place):
    with pytest.raises(RuntimeError, match="LLVM IR parsing error"):
        compiler.load("test: wrong", "define nothing", 1)
    assert run(compiler.load("test: right", TEXT.format(number=7.0), 1), 0.0) == 7.0


def test_threads_that_want_one_kernel_share_one_compilation(place):
    text, results = TEXT.format(number=8.0), []
    barrier = threading.Barrier(4)

    def load():
        barrier.wait()
        results.append(run(compiler.load("test: threads", text, 1), 1.0))

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [9.0] * 4
    assert compiled("test: threads") == 1


def test_machine_is_named_as_llvm_does(monkeypatch):
    for given, name in {"AMD64": "x86_64", "x86_64": "x86_64", "arm64": "aarch64", "riscv64": "riscv64"}.items():
        monkeypatch.setattr(compiler.platform, "machine", lambda given=given: given)
        assert compiler.machine() == name


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_waits_for_a_compilation():
    """In the child the lock is free whatever another thread of the parent was doing."""
    entered, leave = threading.Event(), threading.Event()

    def compile_slowly():
        with compiler._LOCK:
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=compile_slowly)
    thread.start()
    entered.wait(10)
    threading.Timer(0.2, leave.set).start()
    child = os.fork()
    if child == 0:
        os._exit(0 if compiler._LOCK.acquire(timeout=5) else 1)
    waited = leave.is_set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert waited
