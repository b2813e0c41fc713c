"""What a rig says during whole stacks on virtual time: complete, in order, each thing once."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from drivers.clock import VirtualClock
from rigd.machine import events as ev
from rigd.machine.state import Mode
from rigd.messages import reports, verbs
from rigd.session.files import sha256_of
from tests.rigs import FRAMES, passes, small_rig, with_rig
from tests.unit._said import BOOT, Voice, a_stack, models, told, voice


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One whole stack, with everything said about it."""
    return told(small_rig(tmp_path_factory.mktemp("whole"), "remote.preview_interval_s=0.5"), a_stack)


def test_what_is_retained_is_complete(whole):
    speaks, session = whole
    assert set(speaks.switchboard.retained) == {
        "birth",
        "info",
        "settings",
        "state",
        "health",
        "preview/image",
        "preview/meta",
        f"session/{session.id}/summary",
    }
    assert [said.topic for said in speaks.ear.said[:4]] == ["birth", "info", "settings", "state"]


def test_everything_numbered_counts_up_without_a_gap(whole):
    speaks, _ = whole
    assert [said.seq for said in models(speaks.ear)] == list(range(1, speaks.reporter.seq + 1))


def test_a_stack_is_told_from_beginning_to_end(whole):
    speaks, session = whole
    ear = speaks.ear
    assert ear.events == ["session_started", "session_finished"]
    assert [frame.index for frame in ear.on(f"session/{session.id}/frame")] == list(range(FRAMES))
    (finished,) = ear.on("event/session_finished")
    assert (finished.outcome, finished.frame, finished.frames) == ("complete", FRAMES, FRAMES)
    modes = [state.mode for state in ear.states]
    assert [mode for before, mode in itertools.pairwise([None, *modes]) if mode != before] == [
        "unhomed",
        "homing",
        "idle",
        "capturing",
        "idle",
    ]
    of_stack = [state.session for state in ear.states if state.session is not None]
    assert {now.id for now in of_stack} == {session.id}
    assert [now.frame for now in of_stack] == sorted(now.frame for now in of_stack)
    assert of_stack[-1].frame == FRAMES
    assert ear.states[-1].session is None
    assert ear.states[-1].rail.homed
    assert not ear.states[-1].rail.moving


def test_a_frame_carries_its_evidence(whole):
    speaks, session = whole
    for frame in speaks.ear.on(f"session/{session.id}/frame"):
        record = session.frames[frame.index]
        assert (frame.sha256, frame.bytes, frame.file) == (record.sha256, record.bytes, record.file)
        assert frame.moved_s + 0.2 <= frame.start_s + 1e-9
        assert (frame.settle_asked_s, frame.settle_code) == (0.2, "fixed")
        assert "settle.fixed_s is 0.2 s" in frame.settle_why
        assert frame.settle_s == pytest.approx(frame.start_s - frame.moved_s)
        assert frame.metrics
        assert frame.settings["exposure_s"] > 0
    last = session.frames[FRAMES - 1]
    assert speaks.ear.states[-1].last_settle_s == last.start_s - last.moved_s


def test_one_summary_with_the_digest_of_the_manifest(whole):
    speaks, session = whole
    (summary,) = speaks.ear.on(f"session/{session.id}/summary")
    assert (summary.outcome, summary.frames, summary.planned, summary.rejected) == (
        "complete",
        FRAMES,
        FRAMES,
        0,
    )
    assert summary.manifest_sha256 == sha256_of(session.path / "session.json")
    assert summary.files == len(session.manifest["files"])
    assert summary.coverage
    assert summary.finished is not None


def test_info_says_what_the_rig_is(whole):
    speaks, _ = whole
    (info,) = speaks.ear.on("info")
    assert info.rig == "small"
    assert (info.camera.width, info.camera.height) == (96, 64)
    assert info.limits.max_um == 20_000
    assert "goto" in info.verbs
    assert set(info.verbs) == set(verbs.VERBS) - {"identify"}  # there is no light
    (birth,) = speaks.ear.on("birth")
    assert birth.boot_id == BOOT == speaks.ear.states[0].boot_id


def test_states_collapse_and_the_last_one_comes(whole):
    speaks, _ = whole
    urgent = [0.0]
    before = None
    for said in (said for said in speaks.ear.said if said.topic == "state"):
        key = (said.data.mode, said.data.fault, said.data.session and said.data.session.id)
        if key != before:
            urgent.append(said.at_s)
        before = key
    times = speaks.ear.times("state")
    for earlier, later in itertools.pairwise(times):
        assert later - earlier >= 0.0985 or later in urgent
    assert speaks.ear.states[-1].mode == "idle"


def test_where_the_rail_is_while_it_moves(tmp_path):
    async def body(speaks: Voice) -> None:
        await speaks.rig.home()
        speaks.ear.forget()
        await speaks.rig.command(ev.Goto(8000))
        assert speaks.ear.states[-1].rail.target_um == 5000.0
        await speaks.rig.controller.reached(Mode.IDLE)

    speaks, _ = told(small_rig(tmp_path, "rail.max_speed_um_per_s=1000"), body)
    moving = [said for said in speaks.ear.said if said.topic == "state" and said.data.rail.moving]
    positions = [said.data.rail.position_um for said in moving]
    assert len(positions) > 15
    assert positions == sorted(positions)
    assert len(set(positions)) > 15
    times = [said.at_s for said in moving]
    assert min(later - earlier for earlier, later in itertools.pairwise(times)) >= 0.19
    assert speaks.ear.states[-1].rail == reports.Rail(homed=True, position_um=5000.0, moving=False)


def test_at_rest_the_position_is_the_one_that_the_machine_goes_by(tmp_path):
    async def body(speaks: Voice) -> None:
        await speaks.rig.home()
        at_rest = speaks.ear.states[-1].rail
        rail = speaks.rig.controller.hands.rail
        rail.now = replace(rail.now, position=rail.now.position + 500)
        speaks.reporter.note_error("so that the state is another one")
        await passes(0.15)
        assert speaks.ear.states[-1].last_error
        assert speaks.ear.states[-1].rail == at_rest

    told(small_rig(tmp_path), body)


def test_while_homing_no_position_is_claimed(tmp_path):
    async def body(speaks: Voice) -> None:
        await speaks.rig.home()

    speaks, _ = told(small_rig(tmp_path), body)
    homing = [state.rail for state in speaks.ear.states if state.mode == "homing"]
    assert homing
    assert all(rail.position_um is None and not rail.homed and rail.moving for rail in homing)


def test_the_time_left_is_what_it_takes(whole):
    speaks, _ = whole
    said = [one for one in speaks.ear.said if one.topic == "state" and one.data.session is not None]
    end = next(one.at_s for one in speaks.ear.said if one.topic == "event/session_finished")
    for one in said:
        left = end - one.at_s
        assert one.data.session.eta_s == pytest.approx(left, abs=0.3)


def test_a_second_stack_is_not_taken_for_the_first(tmp_path):
    async def body(speaks: Voice):
        first = await a_stack(speaks)
        speaks.ear.forget()
        second = await speaks.rig.start("again", speaks.rig.plan().plan)
        await speaks.rig.ended()
        return first, second

    speaks, (first, second) = told(small_rig(tmp_path), body)
    assert first.id != second.id
    assert {state.session.id for state in speaks.ear.states if state.session} == {second.id}
    assert {state.session.name for state in speaks.ear.states if state.session} == {"again"}


def test_the_lease_is_told_at_once_and_renewing_it_is_not_urgent(tmp_path):
    async def body(speaks: Voice) -> None:
        clock = speaks.clock
        speaks.ear.forget()
        speaks.leases.lease = reports.LeaseNow(holder="lab", expires=clock.utc())
        speaks.status.state_changed()
        assert speaks.ear.states[-1].lease.holder == "lab"
        for _ in range(5):
            speaks.leases.lease = reports.LeaseNow(holder="lab", expires=clock.utc())
            speaks.status.state_changed()
            await passes(0.01)
        assert len(speaks.ear.states) == 1
        await passes(0.1)
        assert len(speaks.ear.states) == 2
        assert speaks.ear.states[-1].lease == speaks.leases.lease
        speaks.leases.lease = None
        speaks.status.state_changed()
        assert speaks.ear.states[-1].lease is None

    told(small_rig(tmp_path), body)


def test_nothing_is_said_twice(tmp_path):
    async def body(speaks: Voice) -> None:
        speaks.ear.forget()
        for _ in range(10):
            speaks.status.state_changed()
            await passes(1)

    speaks, _ = told(small_rig(tmp_path), body)
    assert not speaks.ear.states


def test_settings_and_errors_are_told(tmp_path):
    async def body(speaks: Voice) -> None:
        speaks.settings.step_um = 50.0
        speaks.status.settings_changed()
        speaks.reporter.note_error("something went wrong")
        await passes(0.2)

    speaks, _ = told(small_rig(tmp_path), body)
    assert [settings.step_um for settings in speaks.ear.on("settings")] == [100.0, 50.0]
    assert speaks.ear.states[-1].last_error == "something went wrong"


def test_what_cannot_be_told_costs_only_itself(tmp_path, caplog):
    async def body(speaks: Voice) -> None:
        speaks.status._story.opened = None
        await a_stack(speaks)

    speaks, _ = told(small_rig(tmp_path), body)
    assert "Opened could not be told" in caplog.text
    assert speaks.ear.events == ["session_finished"]


def test_a_test_shot_is_shown_without_a_session(tmp_path):
    async def body(speaks: Voice) -> None:
        speaks.status.show_test(await speaks.rig.test_shot())

    speaks, _ = told(small_rig(tmp_path), body)
    (meta,) = speaks.ear.on("preview/meta")
    assert meta.session is None
    assert (meta.width, meta.height) == (96, 64)


def test_a_rig_that_is_not_there_yet_can_be_announced(tmp_path):
    clock = VirtualClock()

    async def body(rig, seen):
        rig.controller.state = type(rig.state)(rail=rig.state.rail)
        speaks = voice(rig, clock, seen)
        speaks.status.announce()
        return speaks

    speaks = with_rig(small_rig(tmp_path), body, clock)
    assert speaks.ear.states[0].mode == "offline"
    assert not speaks.ear.states[0].camera_connected
