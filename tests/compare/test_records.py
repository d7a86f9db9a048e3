import errno
import gzip
import json
import os
import resource
import zlib

import pytest

from compare.workloads import protocol, record
from descend.compare.protocol import Protocol
from descend.compare.records import PROTOCOL, RUNS, UNTOLD, RecordFile, read_runs, write_atomically
from descend.errors import RecordError


def fill(folder, count=3):
    with RecordFile(folder, protocol()) as file:
        for seed in range(count):
            file.append([record(seed=seed)])
    return folder / RUNS


def seeds(folder):
    with RecordFile(folder, protocol()) as file:
        return [r["seed"] for r in file.records]


def test_runs_come_back_as_they_went_in_one_a_line(tmp_path):
    path = fill(tmp_path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["seed"] for line in lines] == [0, 1, 2]
    assert len(lines[0].pop("crc")) == 8
    assert lines[0] == {"schema": 3, "protocol": protocol().digest, **record(seed=0)}
    assert seeds(tmp_path) == [0, 1, 2]


def test_every_cut_of_the_last_line_loses_that_run_alone(tmp_path):
    path = fill(tmp_path)
    whole = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == 10]
    for cut in (ends[1] + 1, ends[1] + 40, ends[2] - 1):
        path.write_bytes(whole[:cut])
        assert seeds(tmp_path) == [0, 1]
        with RecordFile(tmp_path, protocol()) as file:
            file.append([record(seed=7)])
        assert seeds(tmp_path) == [0, 1, 7]


@pytest.mark.parametrize("damage", [b"{}\n", b"not json\n", b"\xff\xfe\n", b"3\n"])
def test_a_damaged_line_in_the_middle_is_named(tmp_path, damage):
    path = fill(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + damage + lines[2])
    with pytest.raises(RecordError, match="line 2 of .* is not a record"):
        seeds(tmp_path)


def test_schema_2_is_read_and_not_gone_on_with(tmp_path):
    with RecordFile(tmp_path, protocol()) as file:
        file.append([record(seed=0)])
    old = protocol(schema=2)
    assert {"search", "pruning", "optuna"} & old.to_data().keys() == set()
    assert Protocol.from_data(old.to_data()) == old and old.digest != protocol().digest
    line = {"schema": 2, "protocol": old.digest, **{k: v for k, v in record(seed=4).items() if k not in UNTOLD}}
    line["crc"] = f"{zlib.crc32(json.dumps(line, separators=(',', ':')).encode()):08x}"
    (tmp_path / RUNS).write_text(json.dumps(line) + "\n")
    (tmp_path / PROTOCOL).write_text(json.dumps(old.to_data()))
    (found,), _ = read_runs(tmp_path / RUNS, old.digest)
    assert {key: found[key] for key in UNTOLD} == UNTOLD and found["seed"] == 4
    with pytest.raises(RecordError, match="another layout.*got 2; allowed: 3.*descend report"):
        RecordFile(tmp_path, protocol())


def test_another_layout_is_refused(tmp_path):
    path = fill(tmp_path, 1)
    path.write_text(path.read_text().replace('"schema":3', '"schema":9'))
    with pytest.raises(RecordError, match="another layout: got 9; allowed: 2 or 3"):
        seeds(tmp_path)


def test_another_protocol_is_refused_and_the_difference_named(tmp_path):
    fill(tmp_path)
    with pytest.raises(RecordError, match="another protocol .steps: 12 there, 99 here.*--out"):
        RecordFile(tmp_path, protocol(steps=99))
    assert seeds(tmp_path) == [0, 1, 2], "the refusal has released the folder"


@pytest.mark.parametrize(("text", "words"), [(None, "is missing beside"), ("{", "is damaged or missing")])
def test_runs_without_their_protocol_are_refused(tmp_path, text, words):
    fill(tmp_path)
    (tmp_path / PROTOCOL).unlink() if text is None else (tmp_path / PROTOCOL).write_text(text)
    with pytest.raises(RecordError, match=words):
        RecordFile(tmp_path, protocol())


def test_a_folder_in_use_is_refused(tmp_path):
    with RecordFile(tmp_path, protocol()), pytest.raises(RecordError, match="another comparison is writing"):
        RecordFile(tmp_path, protocol())


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(RecordError, match="cannot be written.*--out"):
        RecordFile(tmp_path / "taken", protocol())


@pytest.mark.parametrize("size", ["nothing", "half a line"])
def test_a_full_disk_is_said_earlier_runs_are_safe_and_no_torn_line_stays(tmp_path, size):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with RecordFile(tmp_path, protocol()) as file:
        file.append([record(seed=0)])
        whole = (tmp_path / RUNS).read_bytes()
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + (100 if size == "half a line" else 0), before[1]))
        try:
            with pytest.raises(RecordError, match="cannot be written .File too large.*Make room"):
                file.append([record(seed=1), record(seed=2)])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert (tmp_path / RUNS).read_bytes() == whole
        assert [r["seed"] for r in file.records] == [0]
        file.append([record(seed=1)])
    assert seeds(tmp_path) == [0, 1]


def test_a_disk_that_fails_while_it_syncs_is_said(tmp_path, monkeypatch):
    with RecordFile(tmp_path, protocol()) as file:

        def fail(descriptor):
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(RecordError, match="Input/output error"):
            file.append([record(seed=1)])
        assert file.records == []


def test_interrupted_in_the_write_memory_says_what_the_file_says(tmp_path, monkeypatch):
    with RecordFile(tmp_path, protocol()) as file:

        def strike(descriptor):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", strike)
            with pytest.raises(KeyboardInterrupt):
                file.append([record(seed=1)])
        assert [r["seed"] for r in file.records] == [1], "it was written before Ctrl-C struck"
    assert seeds(tmp_path) == [1]


def test_a_read_only_folder_is_refused(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(RecordError, match="cannot be written .Read-only file system.*--out"):
        RecordFile(tmp_path, protocol())


def test_a_changed_digit_is_noticed(tmp_path):
    path = fill(tmp_path)
    path.write_text(path.read_text().replace('"validation_loss":0.3', '"validation_loss":0.2', 1))
    with pytest.raises(RecordError, match="line 1 of .* was changed after it was written"):
        seeds(tmp_path)


def test_a_run_of_another_protocol_does_not_mix_in(tmp_path):
    path = fill(tmp_path / "a")
    with RecordFile(tmp_path / "b", protocol(steps=99)) as file:
        file.append([record(seed=5)])
    path.write_bytes(path.read_bytes() + (tmp_path / "b" / RUNS).read_bytes())
    with pytest.raises(RecordError, match="line 4 of .* is of another protocol"):
        seeds(tmp_path / "a")


def test_numbers_that_json_does_not_have_are_refused(tmp_path):
    with RecordFile(tmp_path, protocol()) as file, pytest.raises(ValueError, match="JSON"):
        file.append([record(loss=float("nan"))])
    assert read_runs(tmp_path / RUNS) == ([], 0)


def test_in_memory_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with RecordFile(None, protocol()) as file:
        file.append([record(seed=4)])
        assert file.records[0]["seed"] == 4
    assert not list(tmp_path.iterdir())


def test_a_reader_never_sees_half_a_file(tmp_path, monkeypatch):
    path = tmp_path / "page"
    write_atomically(path, "old")
    monkeypatch.setattr(os, "replace", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, "new, but killed before the end")
    assert path.read_text() == "old"


def test_packed_records_are_read_and_not_written_to(tmp_path):
    path = fill(tmp_path)
    plain, _ = read_runs(path)
    packed = path.with_name("runs.jsonl.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert read_runs(path)[0] == plain and len(plain) == 3
    with pytest.raises(RecordError, match="runs.jsonl.gz is packed, which is only read.*gunzip"):
        RecordFile(tmp_path, protocol())
    assert not path.exists()
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(RecordError, match="runs.jsonl.gz is damaged"):
        read_runs(path)


def test_on_a_full_disk_nothing_is_left_lying_about(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        write_atomically(tmp_path / "page.html", "all of it")
    assert not list(tmp_path.iterdir())
