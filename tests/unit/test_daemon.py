"""What the daemon says of itself in its log."""

from __future__ import annotations

import logging
from pathlib import Path

from rigd.app import Rig, RigFault
from rigd.daemon import _Announcer, _begin, _unfinished
from rigd.session import Overview, Session, survey
from rigd.watchdog import Notifier
from tests.rigs import Seen, capture, small_rig, stored, with_rig


def test_a_fault_is_in_the_log_with_what_to_do(tmp_path, caplog):
    async def body(rig: Rig, _seen: Seen) -> None:
        rig.controller.listen(_Announcer(Notifier(None)))
        try:
            await rig.home()
        except RigFault:
            assert rig.state.fault is not None

    caplog.set_level(logging.WARNING, "rigd.daemon")
    with_rig(small_rig(tmp_path, "rail.faults.home_switch_broken=true"), body)
    (said,) = [record.getMessage() for record in caplog.records if record.name == "rigd.daemon"]
    assert "home switch not found" in said
    assert "next: look at the rail" in said


def test_an_unfinished_session_is_named_with_the_command_that_a_running_daemon_takes(tmp_path, caplog):
    unfinished = Overview(Path("sessions/20260101T000000Z-x"), "x", "", "unfinished", 3, 9)

    async def body(rig: Rig, _seen: Seen) -> None:
        await _begin(rig, [unfinished])

    with_rig(small_rig(tmp_path), body)
    assert "(3 of 9 frames): rigctl resume 20260101T000000Z-x" in caplog.text


def test_of_a_shared_folder_only_this_rig_s_own_sessions_are_unfinished(tmp_path):
    async def stop(rig: Rig, session: Session) -> None:
        await stored(rig, 2)
        await rig.suspend("the test wants it")

    config = small_rig(tmp_path)
    ours = capture(config, stop).path
    theirs = capture(small_rig(tmp_path, "rig.id=neighbour"), stop).path
    assert [seen.path for seen in _unfinished(config) if seen.unfinished] == [ours]
    assert [seen.rig for seen in survey(tmp_path / "sessions")] == ["small", "neighbour"]
    assert theirs.is_dir()
