"""The kernel store: machine code on disk, checked before it is trusted.

A file is a checksum of its name and code followed by the code, written to a temporary name and renamed. Anything
wrong with it (truncated, flipped bits, unreadable) means that the kernel is compiled again. A folder that others can
write is refused, since whoever writes there decides what this process runs.
"""

import hashlib
import os
import stat
import tempfile
import warnings
from pathlib import Path

_DIGEST = hashlib.sha256().digest_size
_warned: set[str] = set()


def folder() -> Path:
    """Where kernels are kept: ``$DESCEND_CACHE_DIR``, else the user's cache folder.

    A user without a home, as in a container that runs under a bare number, has a temporary folder of their own.
    """
    chosen = os.environ.get("DESCEND_CACHE_DIR")
    if chosen:
        return Path(chosen)
    caches = os.environ.get("XDG_CACHE_HOME")
    if caches:
        return Path(caches) / "descend" / "kernels"
    try:
        return Path.home() / ".cache" / "descend" / "kernels"
    except RuntimeError:
        return Path(tempfile.gettempdir()) / f"descend-{os.getuid() if hasattr(os, 'getuid') else 'kernels'}"


def read(key: str) -> bytes | None:
    """The code kept under a key, or None if there is none that can be trusted."""
    if not _is_private(folder()):
        return None
    try:
        data = (folder() / key).read_bytes()
    except OSError:
        return None
    code = data[_DIGEST:]
    return code if code and _seal(key, code) == data[:_DIGEST] else None


def write(key: str, code: bytes) -> None:
    """Keep code under a key; a store that cannot be written is left alone, with one warning."""
    place = folder()
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not _is_private(place):
            return
        handle, name = tempfile.mkstemp(dir=place, prefix=".writing-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_seal(key, code) + code)
            os.replace(name, place / key)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        _warn_once(
            f"Kernels cannot be kept in {place} ({error.strerror}), so each process compiles its own; "
            "set DESCEND_CACHE_DIR to a folder that you can write."
        )


def _seal(key: str, code: bytes) -> bytes:
    """Checksum of code under its key: a file that was copied over another is as wrong as a damaged one."""
    return hashlib.sha256(key.encode() + b"\n" + code).digest()


def _is_private(place: Path) -> bool:
    """Whether only this user can write the folder; an absent one is."""
    try:
        facts = place.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    if not hasattr(os, "getuid"):
        return True
    if facts.st_uid == os.getuid() and not facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return True
    _warn_once(
        f"The kernel folder {place} can be written by others and holds machine code, so it is not used; "
        f"run chmod 700 on it or set DESCEND_CACHE_DIR."
    )
    return False


def _warn_once(text: str) -> None:
    if text not in _warned:
        _warned.add(text)
        warnings.warn(text, RuntimeWarning, stacklevel=2)
