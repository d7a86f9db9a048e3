"""The machine and the programs that did a run: kept for the reader, never compared."""

import os
import platform
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch


def find_versions() -> tuple[str, str]:
    """Of descend and torch, in this process; others may give other last digits."""
    return version("descend"), str(torch.__version__)


def find_environment() -> dict[str, Any]:
    """Processor, cores, system, versions, and the threads that torch computes with in this process now."""
    return {**_find_machine(), "threads": torch.get_num_threads()}


@cache
def _find_machine() -> dict[str, Any]:
    descend, torch_version = find_versions()
    return {
        "processor": _name_processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": ".".join(map(str, sys.version_info[:3])),
        "torch": torch_version,
        "descend": descend,
    }


def _name_processor() -> str:
    """Linux keeps the name on sale in a file; elsewhere the standard library knows as much as there is."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def describe_environment(found: dict[str, Any]) -> str:
    """One environment in a line for people."""
    cores, threads = (_count(found[key], word) for key, word in (("cores", "core"), ("threads", "thread")))
    return (
        f"{found['processor']}, {cores} ({found['system']}) · Python {found['python']} · torch {found['torch']} · "
        f"descend {found['descend']} · {threads} a run"
    )


def _count(number: int | None, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
