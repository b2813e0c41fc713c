"""The journal survives what a power cut does to it, and says so when it was damaged otherwise."""

from __future__ import annotations

import errno
import json
import os

import pytest

from drivers.clock import VirtualClock
from rigd.session.journal import DamagedJournal, Journal, read


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.jsonl"


def written(path, *events):
    journal = Journal(path, VirtualClock())
    for event in events:
        journal.write(event, frame=len(event))
    journal.close()
    return path.read_bytes()


def test_what_is_written_is_read(path):
    written(path, "begun", "frame")
    assert [(entry["n"], entry["event"]) for entry in read(path).entries] == [(1, "begun"), (2, "frame")]


@pytest.mark.parametrize("cut", range(1, 60))
def test_a_torn_last_line_is_dropped_and_written_over(path, cut):
    whole = written(path, "begun", "frame")
    path.write_bytes(whole[:-cut])
    reading = read(path)
    assert reading.torn
    assert [entry["event"] for entry in reading.entries] == ["begun"]
    journal = Journal(path, VirtualClock())
    journal.write("again")
    journal.close()
    assert [entry["event"] for entry in read(path).entries] == ["begun", "again"]


def test_zeros_that_a_power_cut_left_at_the_end_are_dropped(path):
    whole = written(path, "begun")
    path.write_bytes(whole + b"\0" * 200)
    assert len(read(path).entries) == 1
    path.write_bytes(whole + b"\0" * 200 + b"\n")
    assert len(read(path).entries) == 1


@pytest.mark.parametrize("damage", [b"{]\n", b'{"n": 7, "event": "frame"}\n', b"[]\n"])
def test_damage_before_the_last_line_is_an_error_with_its_place(path, damage):
    whole = written(path, "begun", "frame", "frame")
    lines = whole.splitlines(keepends=True)
    path.write_bytes(lines[0] + damage + lines[2])
    with pytest.raises(DamagedJournal, match=r"journal\.jsonl:2: "):
        read(path)


def test_a_full_disk_leaves_the_journal_as_it_was(path, monkeypatch):
    journal = Journal(path, VirtualClock())
    journal.write("begun")
    before = path.read_bytes()
    real = os.pwrite

    def half(descriptor, data, offset):
        real(descriptor, data[: len(data) // 2], offset)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", half)
    with pytest.raises(OSError, match="No space") as caught:
        journal.write("frame")
    assert str(caught.value) == f"{path}: No space left on device; make room on that disk"
    assert path.read_bytes() == before
    monkeypatch.undo()
    journal.write("frame")
    assert json.loads(path.read_bytes().splitlines()[1])["n"] == 2
    journal.close()
