"""The CPU backend: a program becomes LLVM IR, one call of which steps all tensors."""

from descend.backends.cpu.compiler import compiled_kernels

__all__ = ["compiled_kernels"]
