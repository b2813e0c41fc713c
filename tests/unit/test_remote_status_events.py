"""What happens to a rig is told once, in order, and with the words that help."""

from __future__ import annotations

import itertools
import json

import pytest

from rigd.machine import events as ev
from rigd.machine.state import Mode, Phase
from tests.rigs import FRAMES, capture, passes, small_rig, stored
from tests.unit._said import Voice, a_stack, told


def test_a_pause_is_told_at_once_and_so_is_going_on(tmp_path):
    async def body(speaks: Voice) -> None:
        rig = speaks.rig
        await rig.home()
        await rig.start("test", rig.plan().plan)
        await stored(rig, 3)
        await rig.command(ev.Pause())
        await rig.controller.reached(Mode.PAUSED)
        state = speaks.ear.states[-1]
        assert state.mode == "paused"
        assert state.session.phase == "paused"
        assert state.session.why == "paused by the operator"
        before = len(speaks.ear.states)
        await passes(60)
        assert len(speaks.ear.states) <= before + 2  # a verdict or two that were on their way
        left_s = speaks.ear.states[-1].session.eta_s
        resumed_s = speaks.clock.now()
        await rig.command(ev.Resume())
        await rig.ended()
        (end_s,) = speaks.ear.times("event/session_finished")
        assert end_s - resumed_s == pytest.approx(left_s, abs=0.6)
        for said in speaks.ear.said:
            if said.topic == "state" and said.at_s > resumed_s and said.data.session:
                assert said.data.session.eta_s == pytest.approx(end_s - said.at_s, abs=0.6)

    speaks, _ = told(small_rig(tmp_path), body)
    assert speaks.ear.events == ["session_started", "session_paused", "session_resumed", "session_finished"]
    (paused,) = speaks.ear.on("event/session_paused")
    assert paused.why == "paused by the operator"
    assert 3 <= paused.frame < FRAMES
    assert speaks.reporter.last_error == ""


@pytest.mark.parametrize("phase", [each for each in Phase if each is not Phase.APPROACHING])
def test_a_pause_that_was_asked_for_is_no_error_whenever_it_comes(tmp_path, phase):
    async def body(speaks: Voice) -> None:
        rig = speaks.rig
        asked = False

        def ask(notice):
            nonlocal asked
            stack = rig.state.stack
            if stack is not None and stack.phase is phase and not asked:
                asked = True
                rig.controller.post(ev.Pause("a look at the subject"))

        rig.controller.listen(ask)
        await rig.home()
        await rig.start("test", rig.plan().plan)
        await rig.ended()
        assert asked
        if phase not in {Phase.ENDING, Phase.CLOSING}:
            assert rig.state.mode is Mode.PAUSED
            assert speaks.ear.on("event/session_paused")[-1].why == "a look at the subject"
        assert speaks.reporter.last_error == ""

    told(small_rig(tmp_path), body)


def test_an_aborted_stack(tmp_path):
    async def body(speaks: Voice):
        rig = speaks.rig
        await rig.home()
        session = await rig.start("test", rig.plan().plan)
        await stored(rig, 2)
        await rig.command(ev.Abort())
        await rig.ended()
        return session

    speaks, session = told(small_rig(tmp_path), body)
    assert speaks.ear.events == ["session_started", "session_finished"]
    (summary,) = speaks.ear.on(f"session/{session.id}/summary")
    assert summary.outcome == "aborted"
    assert summary.why == "aborted by the operator"
    (finished,) = speaks.ear.on("event/session_finished")
    assert finished.frame == summary.frames < FRAMES


def test_a_suspended_stack_that_goes_on_has_no_summary_until_it_is_left_again(tmp_path):
    async def body(speaks: Voice):
        rig = speaks.rig
        await rig.home()
        session = await rig.start("test", rig.plan().plan)
        await stored(rig, 4)
        await rig.command(ev.Suspend("enough for today"))
        await rig.ended()
        await speaks.status.drained()
        assert speaks.ear.on(f"session/{session.id}/summary")[-1].outcome == "suspended"
        await rig.resume(session.path)
        assert f"session/{session.id}/summary" not in speaks.switchboard.retained
        await rig.ended()
        return session

    speaks, session = told(small_rig(tmp_path), body)
    first, nothing, last = speaks.ear.on(f"session/{session.id}/summary")
    assert nothing is None
    assert (first.why, first.finished, first.files) == ("enough for today", None, 0)
    assert last.outcome == "complete"
    assert last.frames == FRAMES
    begun = speaks.ear.on("event/session_started")
    assert [event.done for event in begun] == [0, first.frames]


def test_an_estop_is_told_before_the_session_is_left(tmp_path):
    async def body(speaks: Voice):
        rig = speaks.rig
        await rig.home()
        session = await rig.start("test", rig.plan().plan)
        await stored(rig, 3)
        rig.controller.post(ev.EStop("a hand on the button"))
        rig.controller.post(ev.EStop("a hand on the button"))
        await rig.controller.reached(Mode.ESTOPPED)
        state = speaks.ear.states[-1]
        assert state.mode == "estopped"
        assert state.fault.code == "estop"
        assert state.session is None
        assert not state.rail.homed
        assert state.rail.position_um is None
        assert not state.rail.moving
        assert state.last_error == "a hand on the button"
        await speaks.ear.until(lambda: "session_finished" in speaks.ear.events)
        await rig.command(ev.ClearFault())
        await rig.controller.reached(Mode.UNHOMED)
        return session

    speaks, session = told(small_rig(tmp_path), body)
    assert speaks.ear.events == ["session_started", "estop", "session_finished", "fault_cleared"]
    assert speaks.ear.on(f"session/{session.id}/summary")[-1].outcome == "suspended"


def test_a_rail_that_is_unplugged(tmp_path):
    speaks, _ = told(small_rig(tmp_path, "rail.faults.unplug_after_moves=6"), a_stack)
    assert speaks.ear.events == ["session_started", "fault", "session_finished"]
    (fault,) = speaks.ear.on("event/fault")
    assert fault.code == "rail_lost"
    assert fault.next_step
    faulty = next(state for state in speaks.ear.states if state.mode == "fault")
    assert faulty.last_error == faulty.fault.message == fault.message
    assert not faulty.rail.moving


def test_a_fault_that_comes_back_is_told_once(tmp_path):
    """The daemon looks for a missing part every ten seconds; nobody wants to hear of each look."""

    async def body(speaks: Voice) -> None:
        rig = speaks.rig
        rig.controller.post(ev.RailLost("gone"))
        await rig.controller.reached(Mode.FAULT)
        opened = rig.parts.rail.open
        poll = rig.parts.rail.poll

        def missing():
            raise OSError("no such port")

        rig.parts.rail.open = rig.parts.rail.poll = missing
        for _ in range(3):
            await rig.command(ev.ClearFault())
            await rig.controller.reached(Mode.FAULT)
        rig.parts.rail.open, rig.parts.rail.poll = opened, poll
        await rig.command(ev.ClearFault())
        await rig.controller.reached(Mode.UNHOMED)

    speaks, _ = told(small_rig(tmp_path), body)
    faults = speaks.ear.on("event/fault")
    assert [fault.code for fault in faults] == ["rail_lost", "open"]
    assert speaks.ear.events == ["fault", "fault", "fault_cleared"]


@pytest.mark.parametrize("fault", ["black", "stale", "lost"])
def test_a_picture_that_is_taken_again(tmp_path, fault):
    speaks, session = told(small_rig(tmp_path, f"camera.faults.{fault}.at=[4, 9]"), a_stack)
    retried = speaks.ear.on("event/frame_retried")
    assert len(retried) == 2 == len(speaks.seen.rejected)
    assert [event.reason for event in retried] == [notice.reason for notice in speaks.seen.rejected]
    assert [event.index for event in retried] == [notice.frame for notice in speaks.seen.rejected]
    assert speaks.ear.on(f"session/{session.id}/summary")[-1].rejected == 2


def test_a_camera_that_hangs_is_gone_until_it_gives_a_picture(tmp_path):
    config = small_rig(tmp_path, "camera.faults.hang.at=[5]", "capture.exposure_timeout_s=2")
    speaks, _ = told(config, a_stack)
    (retried,) = speaks.ear.on("event/frame_retried")
    assert "2" in retried.reason
    connected = [state.camera_connected for state in speaks.ear.states]
    assert [now for before, now in itertools.pairwise([None, *connected]) if now != before] == [
        True,
        False,
        True,
    ]


def test_a_frame_that_fails_too_often_pauses_and_is_no_retake(tmp_path):
    config = small_rig(
        tmp_path, "camera.faults.black.at=[5, 6, 7, 8, 9, 10, 11, 12]", "capture.checks.max_retries=2"
    )
    speaks, _ = told(config, a_stack)
    (paused,) = speaks.ear.on("event/session_paused")
    assert "failed 3 times" in paused.why
    assert speaks.reporter.last_error == paused.why
    assert len(speaks.ear.on("event/frame_retried")) == len(speaks.seen.rejected) - 1


def test_a_fused_session_is_told_and_its_summary_renewed(tmp_path):
    async def body(speaks: Voice):
        session = await a_stack(speaks)
        await speaks.status.drained()
        manifest = session.path / "session.json"
        manifest.write_bytes(manifest.read_bytes() + b"\n")
        speaks.status.fused(session.id, True, "", ["fused.tif"])
        await speaks.status.drained()
        speaks.status.fused(session.id, False, "no memory", [])
        return session

    speaks, session = told(small_rig(tmp_path), body)
    first, second, third = speaks.ear.on(f"session/{session.id}/summary")
    assert first.manifest_sha256 != second.manifest_sha256 == third.manifest_sha256
    good, bad = speaks.ear.on("event/session_fused")
    assert good.files == ["fused.tif"]
    assert bad.why == "no memory"
    assert "no memory" in speaks.reporter.last_error


def test_a_session_that_lacked_only_its_results(tmp_path):
    config = small_rig(tmp_path)
    path = capture(config).path
    manifest = path / "session.json"
    data = json.loads(manifest.read_text())
    data.update(result=None)
    data.pop("files")
    manifest.write_text(json.dumps(data))
    journal = path / "journal.jsonl"
    journal.write_text(
        "".join(line for line in journal.read_text().splitlines(True) if '"finished"' not in line)
    )

    async def body(speaks: Voice) -> None:
        await speaks.status.drained()
        await speaks.rig.home()
        await speaks.rig.resume(path)

    speaks, _ = told(config, body)
    assert speaks.ear.events == ["session_started", "session_finished"]
    assert speaks.ear.on(f"session/{path.name}/summary")[-1].outcome == "complete"
