"""A session on disk: what counts, what survives, what is noticed."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from drivers.clock import VirtualClock
from rigd.plan import PlanRequest, RailModel, make_plan
from rigd.session import FrameRecord, SessionError, create, reopen, survey, verify
from rigd.session.files import explained, sha256, write_atomic
from rigd.session.journal import JournalInUse
from rigd.session.store import frame_name, slug
from rigd.session.survey import overview

PLAN = make_plan(PlanRequest(near_um=1000, far_um=1400, step_um=100), RailModel(0.625, 0, 5000, 10))


def new(root, name="Test Stack"):
    return create(root, name, PLAN, config={"rig": {"id": "t"}}, config_hash="0" * 64, clock=VirtualClock())


def accept(session, frame):
    payload = b"picture %d" % frame
    record = FrameRecord(
        frame=frame,
        file=frame_name(frame, ".jpg"),
        bytes=len(payload),
        sha256=sha256(payload),
        position=PLAN.positions[frame],
        position_um=PLAN.um(PLAN.positions[frame]),
        asked_um=PLAN.asked_um[frame],
        moved_s=1.0,
        settled_s=1.3,
        start_s=1.4,
        end_s=1.5,
        data_s=1.6,
        sequence=frame,
    )
    session.accept(record, payload)
    return session.path / record.file


def complete(root):
    session = new(root)
    for frame in range(PLAN.frames):
        accept(session, frame)
    session.add_result("preview.jpg", b"preview")
    session.finish("complete", {"coverage": "near end reached"})
    return session.path


def test_a_finished_session_is_whole_and_lists_every_file(tmp_path):
    path = complete(tmp_path)
    found = verify(path)
    assert found.whole, found.problems
    manifest = json.loads((path / "session.json").read_text())
    assert manifest["result"]["outcome"] == "complete"
    assert set(manifest["files"]) == {
        "journal.jsonl",
        "preview.jpg",
        *(frame_name(k, ".jpg") for k in range(PLAN.frames)),
    }


@pytest.mark.parametrize("victim", ["frames/0003.jpg", "preview.jpg", "journal.jsonl"])
def test_a_changed_or_missing_file_is_noticed(tmp_path, victim):
    path = complete(tmp_path)
    original = (path / victim).read_bytes()
    (path / victim).write_bytes(
        original + b" " if victim != "journal.jsonl" else original.replace(b'"mono_s"', b'"mono_S"', 1)
    )
    assert any(victim in problem for problem in verify(path).problems)
    (path / victim).unlink()
    assert not verify(path).whole


def test_a_frame_that_no_record_knows_is_noticed(tmp_path):
    path = complete(tmp_path)
    (path / "frames" / "0099.jpg").write_bytes(b"stranger")
    assert verify(path).problems == ("frames/0099.jpg is in no record",)


def test_two_sessions_of_one_second_get_two_folders(tmp_path):
    names = [new(tmp_path).path.name for _ in range(3)]
    assert len(set(names)) == 3
    assert all(name.startswith("20260101T001640Z-test-stack") for name in names)


def test_an_unfinished_session_is_found_and_goes_on(tmp_path):
    session = new(tmp_path)
    accept(session, 0)
    accept(session, 1)
    (session.path / "frames" / ".0003.jpg.part").write_bytes(b"half")
    session.close()
    (seen,) = survey(tmp_path)
    assert (seen.outcome, seen.frames, seen.planned) == ("unfinished", 2, PLAN.frames)
    again = reopen(session.path, VirtualClock())
    assert set(again.frames) == {0, 1}
    assert not list(session.path.rglob("*.part"))
    for frame in range(2, PLAN.frames):
        accept(again, frame)
    again.finish("complete", {})
    assert verify(session.path).whole
    with pytest.raises(SessionError, match="finished already"):
        reopen(session.path, VirtualClock())


def test_a_frame_whose_file_is_damaged_is_taken_again(tmp_path):
    session = new(tmp_path)
    accept(session, 0)
    path = accept(session, 1)
    session.close()
    path.write_bytes(b"scratched")
    assert set(reopen(session.path, VirtualClock()).frames) == {0}


def test_a_frame_taken_again_counts_as_taken_last(tmp_path):
    session = new(tmp_path)
    accept(session, 0)
    accept(session, 0)
    session.close()
    assert verify(session.path).whole


def test_a_full_disk_stores_nothing_by_halves(tmp_path, monkeypatch):
    session = new(tmp_path)
    accept(session, 0)

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space") as caught:
        accept(session, 1)
    words = f"{session.path}/frames/0002.jpg: No space left on device; make room on that disk"
    assert str(caught.value) == words
    monkeypatch.undo()
    assert set(session.frames) == {0}
    assert [path.name for path in sorted((session.path / "frames").iterdir())] == ["0001.jpg"]
    accept(session, 1)
    session.close()
    assert verify(session.path).whole


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: path.mkdir(), "no session.json"),
        (lambda path: (path.mkdir(), (path / "session.json").write_text("{")), "cannot be read"),
        (lambda path: (path.mkdir(), (path / "session.json").write_text("[]")), "not a session"),
        (
            lambda path: (
                path.mkdir(),
                (path / "session.json").write_text('{"plan": {}, "result": null, "format": 99}'),
            ),
            "newer rigd",
        ),
    ],
)
def test_what_is_no_session_says_why(tmp_path, make, why):
    path = tmp_path / "thing"
    make(path)
    with pytest.raises(SessionError, match=why):
        reopen(path, VirtualClock())
    assert why in verify(path).problems[0]
    assert overview(path).outcome == "damaged"
    listed = survey(tmp_path)
    # A folder with neither manifest nor journal is somebody else's: lost+found, for example.
    assert [seen.outcome for seen in listed] == ["damaged"] * any(path.iterdir())


@pytest.mark.parametrize(
    "change",
    [
        {"name": None},
        {"plan": {}},
        {"result": {}},
        {"format": "x"},
        {"config": 3},
        {"plan": {**PLAN.to_dict(), "positions": ["a"] * PLAN.frames}},
        {"plan": {**PLAN.to_dict(), "positions": [1, 2]}},
    ],
)
def test_a_damaged_manifest_is_said_and_does_not_hide_the_other_sessions(tmp_path, change):
    broken, good = new(tmp_path), complete(tmp_path)
    broken.close()
    path = broken.path / "session.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert sorted(seen.outcome for seen in survey(tmp_path)) == ["complete", "damaged"]
    with pytest.raises(SessionError):
        reopen(broken.path, VirtualClock())
    assert verify(good).whole


def test_a_session_whose_journal_is_gone_or_another_ones_is_refused_and_keeps_its_pictures(tmp_path):
    session = new(tmp_path)
    accept(session, 0)
    session.close()
    journal = session.path / "journal.jsonl"
    for damage in (journal.unlink, lambda: journal.write_bytes(b"")):
        damage()
        with pytest.raises(OSError, match="journal"):
            reopen(session.path, VirtualClock())
    assert (session.path / "frames" / "0001.jpg").read_bytes() == b"picture 0"


@pytest.mark.parametrize("entry", [{"file": "../../../etc/passwd"}, {"frame": 99}, {"file": None}])
def test_a_journal_line_that_points_elsewhere_is_damage(tmp_path, entry):
    session = new(tmp_path)
    accept(session, 0)
    session.close()
    path = session.path / "journal.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], json.dumps({**json.loads(lines[1]), **entry}), ""]))
    assert overview(session.path).outcome == "damaged"


def test_a_session_is_written_by_one_only(tmp_path):
    session = new(tmp_path)
    accept(session, 0)
    with pytest.raises(JournalInUse):
        reopen(session.path, VirtualClock())
    accept(session, 1)
    session.close()
    again = reopen(session.path, VirtualClock())
    assert set(again.frames) == {0, 1}
    again.close()


def test_an_atomic_write_leaves_the_old_file_when_it_fails(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def broken(self, target):
        raise OSError("unplugged")

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(OSError, match="unplugged"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Käfer Nr. 3!", "k-fer-nr-3"), ("", "stack"), ("../../etc", "etc"), ("x" * 90, "x" * 40)],
)
def test_names_become_safe_folders(name, expected):
    assert slug(name) == expected


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            OSError(errno.EROFS, "Read-only file system", "/a/b"),
            "/a/b: Read-only file system; that disk is mounted",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "/a"),
            "/a: Permission denied; let the user that rigd runs as",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device; make room"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/a"), "/a: No such file or directory"),
        (SessionError(Path("/a"), "finished already"), "/a: finished already"),
        (OSError("somebody's own words"), "somebody's own words"),
    ],
)
def test_what_is_wrong_with_a_disk_is_said_without_numbers_and_with_the_fix(error, words):
    assert explained(error).startswith(words)
    assert "Errno" not in explained(error)
