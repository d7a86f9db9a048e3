"""Finished runs on disk: one JSON object a line, only ever appended to.

A folder holds the results of one task under one protocol::

    protocol.json     what all runs of the folder have in common
    runs.jsonl        one finished run a line

Read them with ``pandas.read_json("runs.jsonl", lines=True)`` or ``polars.read_ndjson("runs.jsonl")``. Fields:

===========================
======================================================================================= schema, protocol
version of this layout; digest of protocol.json task, contender, options     what was trained by what;
options as Python literals identity                     digest of the optimizer's class, formula and options
lr, seed, stage              the trial; stage is "search" or "final" diverged, diverged_at        whether
and at which update the run was given up steps                        updates at which the validation part
was looked at, from 0 validation_losses, _metrics  one value for each of these looks train_loss
mean training loss between two looks, one value fewer validation_loss, _metric     at the end of the run; of
the untrained model where the run diverged test_loss, test_metric       at the end of a final run; null in
the search steps_to_target              first look at which the validation metric had reached the target;
null if never seconds_to_target            seconds of training until then updates
updates that were done seconds                      of training, without evaluations and without the first
optimizer step optimizer_seconds            of these, in the optimizer's step first_step_seconds
of the first optimizer step, which may compile a kernel state_bytes, parameters      of the optimizer's
state; trainable numbers of the model ===========================
=======================================================================================
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from descend.compare.protocol import SCHEMA, Protocol, Record
from descend.errors import RecordError, message

try:
    import fcntl
except ImportError:  # Windows has no flock; there two comparisons in one folder are not noticed.
    fcntl = None

RUNS = "runs.jsonl"
PROTOCOL = "protocol.json"


def read_runs(path: Path) -> tuple[list[Record], int]:
    """The complete records of a file, and the number of bytes that they take.

    What follows the last complete line was being written when its process was killed; it is left out.

    Raises:
        RecordError: a line before the end is not a record, or one of another schema.
    """
    if not path.exists():
        return [], 0
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    lines = whole.split(b"\n") if whole else []
    records: list[Record] = []
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            schema = record["schema"]
        except (ValueError, TypeError, KeyError) as error:
            do = "Restore the file from a copy, or delete that line: its run will be repeated."
            raise RecordError(message(f"line {number} of {path} is not a record", do=do)) from error
        if schema != SCHEMA:
            do = f"Read it with the version of descend that wrote it, or use another folder. {path}"
            raise RecordError(message(f"line {number} has another layout", got=schema, allowed=str(SCHEMA), do=do))
        records.append(record)
    return records, len(whole) + 1 if whole else 0


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
        self._stream: BinaryIO | None = None
        if folder is not None:
            try:
                self._open(folder)
            except OSError as error:
                self.close()
                do = "Choose another folder with --out (or out=)."
                raise RecordError(message(f"{folder} cannot be written ({error.strerror})", do=do)) from error
            except RecordError:
                self.close()
                raise

    def _open(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._stream = open(folder / RUNS, "ab")
        self._lock(folder)
        self._agree(folder / PROTOCOL)
        self.records, size = read_runs(folder / RUNS)
        if size < (folder / RUNS).stat().st_size:
            self._stream.truncate(size)

    def _lock(self, folder: Path) -> None:
        if fcntl is None or self._stream is None:
            return
        try:
            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            do = "Wait until it has ended, or choose another folder with --out (or out=)."
            raise RecordError(message(f"another comparison is writing to {folder}", do=do)) from error

    def _agree(self, path: Path) -> None:
        ours = self.protocol.to_data()
        if not path.exists():
            if (path.parent / RUNS).stat().st_size:
                raise RecordError(message(f"{path} is missing beside {RUNS}", do="Use another folder."))
            write_atomically(path, json.dumps(ours, indent=2) + "\n")
            return
        try:
            theirs: dict[str, Any] = dict(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise RecordError(message(f"{path} is damaged", do="Use another folder.")) from error
        different = sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))
        if different:
            changes = "; ".join(f"{key}: {theirs.get(key)} there, {ours.get(key)} here" for key in different)
            do = "Give the same settings to continue it, or choose another folder with --out (or out=)."
            raise RecordError(message(f"{path.parent} holds a comparison with another protocol ({changes})", do=do))

    def append(self, record: Record) -> None:
        """Add one finished run; once this returns, it survives a power cut.

        Raises:
            RecordError: the disk is full or the folder has become read-only; earlier runs are safe.
        """
        record = {"schema": SCHEMA, "protocol": self.protocol.digest, **record}
        line = json.dumps(record, allow_nan=False, separators=(",", ":"))
        self.records.append(json.loads(line))
        if self._stream is not None:
            try:
                # Ctrl-C strikes in the slow fsync at the latest: the run is in the list and in the file by then.
                self._stream.write(line.encode() + b"\n")
                self._stream.flush()
                os.fsync(self._stream.fileno())
            except OSError as error:
                self.records.pop()
                do = "Make room and give the same command again: it goes on where it stopped."
                raise RecordError(message(f"{self.folder} cannot be written ({error.strerror})", do=do)) from error

    def close(self) -> None:
        """Release the folder for others."""
        if self._stream is not None:
            with suppress(OSError):  # Bytes for a full disk are offered again; the error has been told.
                self._stream.close()
            self._stream = None

    def __enter__(self) -> "RecordFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def write_atomically(path: Path, text: str) -> None:
    """Write a whole file so that a reader sees the old one or the new one, never half of it."""
    partial = path.with_name(path.name + ".part")
    with open(partial, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(partial, path)
