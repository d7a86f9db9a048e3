"""Finished runs on disk: one JSON object a line, only ever appended to.

A folder holds the results of one task under one protocol: ``protocol.json``, what all its runs have in common, and
``runs.jsonl``, one finished run a line; packed for the shelf it is ``runs.jsonl.gz``, which is only read.
``docs/records.md`` describes every field. Read the runs with
``pandas.read_json("runs.jsonl", lines=True)`` or ``polars.read_ndjson("runs.jsonl")``.
"""

import gzip
import json
import os
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from descend.compare.protocol import READABLE, SCHEMA, Protocol, Record
from descend.errors import RecordError, message

try:
    import fcntl
except ImportError:  # Windows has no flock; there two comparisons in one folder are not noticed.
    fcntl = None

RUNS, PACKED = "runs.jsonl", ".gz"
PROTOCOL = "protocol.json"
UNTOLD: Record = {"trial": None, "values": {}, "pruned": False, "settings": "", "environment": None}
"""What records of schema 2 did not say: all their searches were grids."""
ELSEWHERE = "Choose another folder with --out (or out=)."
_OR_ELSEWHERE = "or choose another folder with --out (or out=)."


def read_runs(path: Path, protocol: str | None = None) -> tuple[list[Record], int]:
    """The complete records of a file, and the number of bytes that they take.

    What follows the last complete line was being written when its process was killed; it is left out.

    Args:
        path: of ``runs.jsonl``; where there is none, ``runs.jsonl.gz`` beside it is read.
        protocol: the digest that every record must carry, where it is known.

    Raises:
        RecordError: a line before the end is damaged, of another layout or of another protocol.
    """
    packed = path.with_name(path.name + PACKED)
    if not path.exists() and not packed.exists():
        return [], 0
    whole, _, _ = (path.read_bytes() if path.exists() else _unpack(packed)).rpartition(b"\n")
    lines = whole.split(b"\n") if whole else []
    records = [_read_line(line, f"line {number} of {path}", protocol) for number, line in enumerate(lines, start=1)]
    return records, len(whole) + 1 if whole else 0


def _unpack(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes())
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RecordError(message(f"{path} is damaged ({error})", do="Restore it from a copy.")) from error


def _read_line(line: bytes, place: str, protocol: str | None) -> Record:
    try:
        record = json.loads(line)
        schema = record["schema"]
    except (ValueError, TypeError, KeyError) as error:
        do = "Restore the file from a copy, or delete that line: its run will be repeated."
        raise RecordError(message(f"{place} is not a record", do=do)) from error
    if schema not in READABLE:
        do = "Read it with the version of descend that wrote it, or use another folder."
        raise RecordError(
            message(f"{place} has another layout", got=schema, allowed=" or ".join(map(str, READABLE)), do=do)
        )
    if record.pop("crc", None) != _checksum(record):
        do = "Restore the file from a copy, or delete that line: its run will be repeated."
        raise RecordError(message(f"{place} was changed after it was written", do=do))
    if protocol is not None and record["protocol"] != protocol:
        do = "Take it out: runs under different protocols cannot be compared."
        raise RecordError(message(f"{place} is of another protocol", got=record["protocol"], allowed=protocol, do=do))
    return record if schema == SCHEMA else {**UNTOLD, **record}


def _checksum(record: Record) -> str:
    """Eight hexadecimal digits of everything else in the record: a changed digit would pass as a result."""
    return f"{zlib.crc32(json.dumps(record, separators=(',', ':')).encode()):08x}"


class RecordFile:
    """The finished runs of one task: read at the start, then appended to.

    Args:
        folder: where they are kept; created when missing. None keeps them in memory.
        protocol: what all runs have in common.

    Raises:
        RecordError: the folder holds another protocol, a damaged file, is in use or cannot be written.
    """

    def __init__(self, folder: Path | None, protocol: Protocol) -> None:
        self.folder, self.protocol = folder, protocol
        self.records: list[Record] = []
        self._descriptor: int | None = None
        if folder is not None:
            try:
                self._open(folder)
            except OSError as error:
                self.close()
                raise describe_refusal(folder, error, ELSEWHERE) from error
            except RecordError:
                self.close()
                raise

    def _open(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        packed = folder / f"{RUNS}{PACKED}"
        if packed.exists():
            do = f"Run gunzip {packed} to go on with it, {_OR_ELSEWHERE}"
            raise RecordError(message(f"{packed} is packed, which is only read", do=do))
        self._descriptor = os.open(folder / RUNS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._lock(folder, self._descriptor)
        self._agree(folder / PROTOCOL)
        self._read(folder, self._descriptor)
        _keep_names(folder)

    def _read(self, folder: Path, descriptor: int) -> None:
        """Take over what is on disk, and cut off what was being written when a process was killed."""
        self.records, size = read_runs(folder / RUNS, self.protocol.digest)
        if size < os.fstat(descriptor).st_size:
            os.ftruncate(descriptor, size)

    @staticmethod
    def _lock(folder: Path, descriptor: int) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            do = f"Wait until it has ended, {_OR_ELSEWHERE}"
            raise RecordError(message(f"another comparison is writing to {folder}", do=do)) from error

    def _agree(self, path: Path) -> None:
        ours = self.protocol.to_data()
        if not path.exists():
            if (path.parent / RUNS).stat().st_size:
                raise RecordError(message(f"{path} is missing beside {RUNS}", do="Use another folder."))
            write_atomically(path, json.dumps(ours, indent=2) + "\n")
            return
        theirs = read_protocol(path)
        if theirs.get("schema") != SCHEMA:
            do = f"Show it with descend report, {_OR_ELSEWHERE}"
            what = f"{path.parent} holds records of another layout, which are not gone on with"
            raise RecordError(message(what, got=theirs.get("schema"), allowed=str(SCHEMA), do=do))
        different = sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))
        if different:
            changes = "; ".join(f"{key}: {theirs.get(key)} there, {ours.get(key)} here" for key in different)
            do = f"Give the same settings to continue it, {_OR_ELSEWHERE}"
            raise RecordError(message(f"{path.parent} holds a comparison with another protocol ({changes})", do=do))

    def append(self, records: Iterable[Record]) -> None:
        """Add finished runs, all in one write; once this returns, they survive a power cut.

        Raises:
            RecordError: the disk is full or the folder has become read-only; earlier runs are safe.
        """
        added: list[Record] = []
        for record in records:
            full = {"schema": SCHEMA, "protocol": self.protocol.digest, **record}
            added.append(json.loads(json.dumps(full, allow_nan=False)))
        if self._descriptor is not None:
            lines = "".join(
                json.dumps({**record, "crc": _checksum(record)}, separators=(",", ":")) + "\n" for record in added
            )
            try:
                self._write(self._descriptor, lines.encode())
            except (KeyboardInterrupt, SystemExit):
                assert self.folder is not None
                self._read(self.folder, self._descriptor)  # whether Ctrl-C came before or after the write
                raise
        self.records += added

    def _write(self, descriptor: int, text: bytes) -> None:
        end = os.fstat(descriptor).st_size
        try:
            written = os.write(descriptor, text)
            if written < len(text):  # The disk has become full, or a limit is reached: the rest says which.
                os.write(descriptor, text[written:])
            os.fsync(descriptor)
        except OSError as error:
            with suppress(OSError):  # a torn line is cut off at the next start
                os.ftruncate(descriptor, end)
            do = "Make room and give the same command again: it goes on where it stopped."
            raise describe_refusal(self.folder, error, do) from error

    def close(self) -> None:
        """Release the folder for others."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> "RecordFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def describe_refusal(path: Path | None, error: OSError, do: str) -> RecordError:
    """The error for a file or folder of results that the system does not let us write."""
    return RecordError(message(f"{path} cannot be written ({error.strerror})", do=do))


def read_protocol(path: Path) -> dict[str, Any]:
    """What a ``protocol.json`` says.

    Raises:
        RecordError: it cannot be read as such.
    """
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise RecordError(message(f"{path} is damaged or missing", do="Use another folder.")) from error


def write_atomically(path: Path, text: str) -> None:
    """Write a whole file so that a reader sees the old one or the new one, never half of it."""
    partial = path.with_name(path.name + ".part")
    try:
        with open(partial, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)  # On a full disk it would take the last of the room.
        raise
    _keep_names(path.parent)


def _keep_names(folder: Path) -> None:
    """Make the names of new files survive a power cut, where a folder can be opened for that."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
