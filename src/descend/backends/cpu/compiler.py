"""From LLVM IR text to machine code that can be called, through the kernel store."""

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

from descend.backends.cpu import store

_LOCK = threading.Lock()
_HELD = contextlib.ExitStack()


def _keep_others_out() -> None:
    """Before a fork: a child forked while another thread is inside LLVM inherits locks that nobody will release."""
    _LOCK.acquire()
    # llvmlite takes a lock of its own around every call, also around those outside of ours, such as freeing a kernel
    inner = getattr(getattr(sys.modules.get("llvmlite.binding.ffi"), "lib", None), "_lock", None)
    if inner is not None:
        _HELD.enter_context(inner)


def _let_others_in() -> None:
    _HELD.close()
    _LOCK.release()


os.register_at_fork(before=_keep_others_out, after_in_parent=_let_others_in, after_in_child=_let_others_in)

_COMPILED: list[tuple[str, float]] = []


@dataclass(frozen=True)
class Kernel:
    """A loaded module.

    Args:
        name: for people.
        engine: owns the machine code; must outlive every call.
        passes: number of passes.
    """

    name: str
    engine: Any
    passes: int

    def function(self, name: str, *arguments: Any, result: Any = None, unlocked: bool = True) -> Any:
        """A C function of the module.

        Args:
            name: ``"stage_0"``, say.
            arguments: ctypes types of its arguments.
            result: ctypes type of its result.
            unlocked: whether it releases the interpreter's lock while it runs.
        """
        kind = ctypes.CFUNCTYPE if unlocked else ctypes.PYFUNCTYPE
        return kind(result, *arguments)(self.address(name))

    def address(self, name: str) -> int:
        """Where a function of the module lies."""
        return self.engine.get_function_address(name)


def compiled_kernels() -> list[tuple[str, float]]:
    """Name and seconds of each kernel that this process compiled, those from the store left out."""
    return list(_COMPILED)


def machine() -> str:
    """The processor's family, as the templates name it."""
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())


@functools.cache
def _llvm() -> Any:
    """LLVM, imported and initialised when the first kernel is needed."""
    from llvmlite import binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


def _describe_target() -> Any:
    """LLVM's description of this processor; an engine takes ownership of the one that it gets."""
    llvm = _llvm()
    return llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=3,
        codemodel="jitdefault",
        jit=True,
    )


def load(name: str, text: str, passes: int) -> Kernel:
    """Machine code of a module, from the store or compiled now.

    Args:
        name: for people.
        text: the module's LLVM IR.
        passes: number of passes.
    """
    with _LOCK:
        llvm = _llvm()
        key = _identify(text, llvm)
        code = store.read(key)
        if code is None:
            start = time.perf_counter()
            code = _compile(text, llvm)
            _COMPILED.append((name, time.perf_counter() - start))
            store.write(key, code)
        engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _describe_target())
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
    return Kernel(name, engine, passes)


def _identify(text: str, llvm: Any) -> str:
    """Everything that machine code depends on, as one hash."""
    versions = f"{llvm.llvm_version_info} {llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}"
    return hashlib.sha256(f"{versions}\n{text}".encode()).hexdigest()


def _compile(text: str, llvm: Any) -> bytes:
    target = _describe_target()
    module = llvm.parse_assembly(text)
    module.triple = llvm.get_process_triple()
    module.data_layout = str(target.target_data)
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    options.loop_unrolling = True
    builder = llvm.create_pass_builder(target, options)
    builder.getModulePassManager().run(module, builder)
    return target.emit_object(module)
