"""Backends: a program run over lists of tensors. ``eager`` everywhere, ``cpu`` as compiled kernels."""
