"""One stack through the whole daemon, on a simulated rig and virtual time."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from pathlib import Path

import numpy as np
import pytest
import tifffile

from rigd.app import HALTED, Refused, RigFault
from rigd.control.notices import Closed
from rigd.machine import events as ev
from rigd.machine.state import Mode
from rigd.plan import PlanError
from rigd.preview import Preview
from rigd.session import SessionError, reopen, verify
from rigd.session.journal import JournalInUse, read
from tests.rigs import FRAMES, SMALL, capture, journal_events, passes, resume, small_rig, stored, with_rig


def test_a_stack_is_captured_stored_merged_and_proved(tmp_path):
    ran = capture(small_rig(tmp_path))
    assert ran.seen.accepted == list(range(FRAMES))
    assert ran.state.mode is Mode.IDLE
    found = verify(ran.path)
    assert found.whole, found.problems
    assert found.overview.outcome == "complete"
    depth = tifffile.imread(ran.path / "depth.tif")
    assert depth.shape == (64, 96)
    assert np.nanmin(depth) >= 5000 - 100
    assert np.nanmax(depth) <= 6100 + 100
    assert (ran.path / "preview.jpg").stat().st_size > 500
    assert json.loads((ran.path / "coverage.json").read_text())["text"]


def test_every_frame_carries_its_evidence(tmp_path):
    ran = capture(small_rig(tmp_path))
    frames = [entry for entry in read(ran.path / "journal.jsonl").entries if entry["event"] == "frame"]
    assert len(frames) == FRAMES
    for entry in frames:
        assert (
            entry["moved_s"] + 0.2
            <= entry["settled_s"] + 1e-9
            <= entry["start_s"] + 2e-9
            <= entry["end_s"] + 3e-9
        )
        assert abs(entry["position_um"] - entry["asked_um"]) <= 0.3125
        assert entry["settings"]["exposure_s"] > 0
        assert {"sha256", "sequence", "metrics"} <= entry.keys()
    assert frames[0]["position_um"] == 5000
    assert frames[-1]["position_um"] == 6100


def test_the_next_move_starts_before_the_frame_is_there(tmp_path):
    ran = capture(small_rig(tmp_path, "camera.transfer_s=0.15"))
    frames = [entry for entry in read(ran.path / "journal.jsonl").entries if entry["event"] == "frame"]
    stored_after_s = [entry["mono_s"] - entry["end_s"] for entry in frames]
    assert min(stored_after_s) >= 0.15 - 1e-6
    cycles_s = np.diff([entry["end_s"] for entry in frames])
    moves_s = [b["moved_s"] - a["end_s"] for a, b in itertools.pairwise(frames)]
    assert max(moves_s) < 0.35, "a move waited for the transfer before it"
    assert np.median(cycles_s) < 0.15 + 0.2 + 0.2 + 0.15, "transfer is added to move and settle"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("black", "black"),
        ("truncated", "damaged"),
        ("duplicate", "again|the same picture|before the rig had settled"),
        ("stale", "before the rig had settled|again"),
        ("drift", "changed its"),
        ("lost", "no data"),
    ],
)
def test_a_bad_frame_is_taken_again(tmp_path, fault, reason):
    ran = capture(small_rig(tmp_path, f"camera.faults.{fault}.at=[4, 9]"))
    assert len(ran.seen.rejected) == 2, ran.seen.rejected
    for rejected in ran.seen.rejected:
        assert any(part in rejected.reason for part in reason.split("|")), rejected.reason
    assert verify(ran.path).whole
    assert sorted(ran.seen.accepted) == list(range(FRAMES))
    assert journal_events(ran.path).count("rejected") == 2


def test_a_camera_that_hangs_is_started_again(tmp_path):
    ran = capture(small_rig(tmp_path, "camera.faults.hang.at=[5]", "capture.exposure_timeout_s=2"))
    assert ran.rig.controller.hands.camera.restarts == 1
    assert verify(ran.path).overview.outcome == "complete"


def test_a_slow_transfer_is_not_a_hanging_camera(tmp_path):
    ran = capture(small_rig(tmp_path, "camera.transfer_s=6", "capture.exposure_timeout_s=1"))
    assert ran.rig.controller.hands.camera.restarts == 0
    assert ran.seen.rejected == []
    assert verify(ran.path).overview.outcome == "complete"


def test_a_stop_does_not_cost_the_picture_that_is_being_transferred(tmp_path):
    async def stop(rig, session):
        await passes(2.0)  # the first picture is on its way, the second waits behind it
        assert await rig.controller.command(ev.Stop()) is None
        await rig.controller.reached(Mode.PAUSED)
        await passes(10.0)
        assert set(session.frames) == {0}
        assert await rig.controller.command(ev.Resume()) is None

    ran = capture(small_rig(tmp_path, "camera.transfer_s=6"), stop)
    assert ran.seen.rejected == []
    assert ran.seen.accepted == list(range(FRAMES))


def test_data_that_never_come_are_given_up(tmp_path):
    ran = capture(small_rig(tmp_path, "camera.faults.hang_transfer.at=[5]", "capture.transfer_timeout_s=2"))
    # The next exposure may be in the camera already; starting it again costs that one too.
    assert 1 <= len(ran.seen.rejected) <= 2
    assert verify(ran.path).overview.outcome == "complete"


def test_a_frame_that_keeps_failing_pauses_the_stack_and_says_why(tmp_path):
    config = small_rig(
        tmp_path, "camera.faults.black.at=[5, 6, 7, 8, 9, 10, 11, 12]", "capture.checks.max_retries=2"
    )
    ran = capture(config)
    assert ran.state.mode is Mode.PAUSED
    assert ran.state.stack is not None
    assert "failed 3 times" in ran.state.stack.why
    assert "black" in ran.state.stack.why
    assert "paused" in journal_events(ran.path)


def test_pause_and_resume_lose_nothing(tmp_path):
    async def pause_twice(rig, session):
        for more in (3, 4):
            await stored(rig, more)
            assert await rig.controller.command(ev.Pause()) is None
            await rig.controller.reached(Mode.PAUSED)
            await passes(5)
            assert await rig.controller.command(ev.Resume()) is None

    ran = capture(small_rig(tmp_path), pause_twice)
    assert ran.seen.accepted == list(range(FRAMES))
    assert verify(ran.path).overview.outcome == "complete"
    assert [event for event in journal_events(ran.path) if event in {"paused", "resumed"}] == [
        "paused",
        "resumed",
    ] * 2


@pytest.mark.parametrize("after_s", [0.01, 0.1, 0.2, 0.3, 0.35, 0.41, 0.6, 1.7])
def test_abort_ends_the_session_at_any_moment(tmp_path, after_s):
    async def abort(rig, session):
        await passes(after_s)
        assert await rig.controller.command(ev.Abort()) is None

    ran = capture(small_rig(tmp_path), abort)
    assert ran.state.mode is Mode.IDLE
    found = verify(ran.path)
    assert found.whole, found.problems
    assert found.overview.outcome == "aborted"


@pytest.mark.parametrize("after_s", [0.01, 0.1, 0.2, 0.3, 0.35, 0.41, 0.6, 1.7])
def test_stop_stands_the_rail_and_the_stack_goes_on_afterwards(tmp_path, after_s):
    async def stop(rig, session):
        await passes(after_s)
        assert await rig.controller.command(ev.Stop()) is None
        await rig.controller.reached(Mode.PAUSED)
        assert not (await rig.controller.hands.rail.poll()).moving
        assert await rig.controller.command(ev.Resume()) is None

    ran = capture(small_rig(tmp_path), stop)
    assert ran.seen.accepted == list(range(FRAMES))
    assert verify(ran.path).overview.outcome == "complete"


@pytest.mark.parametrize("after_s", [0.05, 0.2, 0.4, 1.0, 2.0])
def test_an_emergency_stop_leaves_a_session_that_can_be_resumed(tmp_path, after_s):
    async def estop(rig, session):
        await passes(after_s)
        assert await rig.controller.command(ev.EStop()) is None
        await rig.controller.reached(Mode.ESTOPPED)
        await rig.controller.drained()
        assert not (await rig.controller.hands.rail.poll()).moving
        assert rig.state.position is None

    config = small_rig(tmp_path)
    ran = capture(config, estop)
    assert ran.state.mode is Mode.ESTOPPED
    kept = set(ran.session.frames)
    assert verify(ran.path).overview.unfinished
    again = resume(config, ran.path)
    assert set(again.seen.accepted) == set(range(FRAMES)) - kept
    assert verify(ran.path).overview.outcome == "complete"


def test_an_unplugged_rail_is_a_named_fault_within_a_second_and_the_stack_can_be_resumed(tmp_path):
    ran = capture(small_rig(tmp_path, "rail.faults.unplug_after_moves=6"))
    assert ran.state.mode is Mode.FAULT
    assert ran.state.fault is not None
    assert "unplugged" in ran.state.fault.message
    assert "home" in ran.state.fault.next_step
    assert verify(ran.path).overview.unfinished
    resume(small_rig(tmp_path), ran.path)
    assert verify(ran.path).overview.outcome == "complete"


def test_lost_steps_are_reported_when_it_homes_again_at_the_end(tmp_path):
    ran = capture(
        small_rig(
            tmp_path,
            "rail.faults.lose_steps=40",
            "rail.faults.lose_steps_at_move=5",
            "capture.rehome_at_end=true",
        )
    )
    homed = [entry for entry in read(ran.path / "journal.jsonl").entries if entry["event"] == "homed"]
    assert abs(homed[-1]["error_microsteps"] - 40) <= 2 or abs(homed[-1]["error_microsteps"] + 40) <= 2
    manifest = json.loads((ran.path / "session.json").read_text())
    assert manifest["result"]["home_error_microsteps"] == homed[-1]["error_microsteps"]


@pytest.mark.parametrize(
    ("end", "mode", "at_um"),
    [
        ("return", Mode.IDLE, 5000),
        ("stay", Mode.IDLE, 6100),
        ("park", Mode.IDLE, 750),
        ("release", Mode.UNHOMED, None),
    ],
)
def test_the_rail_ends_as_configured(tmp_path, end, mode, at_um):
    ran = capture(small_rig(tmp_path, f"capture.end={end}", "capture.park_um=750"))
    assert ran.state.mode is mode
    assert (None if ran.state.position is None else ran.state.position * 0.625) == at_um


def test_a_resumed_stack_in_front_of_another_subject_is_not_mixed(tmp_path):
    async def leave(rig, session):
        await stored(rig, 5)
        await rig.suspend("stopped")

    ran = capture(small_rig(tmp_path), leave)
    kept = set(ran.session.frames)
    other = resume(small_rig(tmp_path, "rig.seed=99"), ran.path)
    assert other.state.mode is Mode.PAUSED
    assert other.state.stack is not None
    assert "does not look as it did before" in other.state.stack.why
    assert set(other.session.frames) == kept


def test_far_to_near_is_captured_from_the_other_side(tmp_path):
    ran = capture(small_rig(tmp_path, "plan.direction=far_to_near"))
    frames = [entry for entry in read(ran.path / "journal.jsonl").entries if entry["event"] == "frame"]
    assert [entry["position_um"] for entry in frames] == sorted(
        (entry["position_um"] for entry in frames), reverse=True
    )
    assert verify(ran.path).whole
    truth_um = [ran.world.exposures[entry["sequence"]].position_um for entry in frames]
    steps = -np.diff(truth_um)
    assert np.allclose(steps, 100, atol=2.5), "the backlash shows"


def test_backlash_never_shows_in_the_true_positions(tmp_path):
    ran = capture(small_rig(tmp_path, "rail.backlash_um=60", "camera.faults.black.at=[5]"))
    frames = {
        entry["frame"]: entry
        for entry in read(ran.path / "journal.jsonl").entries
        if entry["event"] == "frame"
    }
    truth_um = [ran.world.exposures[frames[k]["sequence"]].position_um for k in range(FRAMES)]
    assert np.allclose(np.diff(truth_um), 100, atol=2.5)


def test_a_plan_that_the_rail_cannot_do_moves_nothing(tmp_path):
    config = small_rig(tmp_path)
    config = config.model_copy(update={"limits": config.limits.model_copy(update={"max_um": 5500.0})})

    async def body(rig, seen):
        before = await rig.controller.hands.rail.poll()
        with pytest.raises(PlanError, match="above the limit"):
            rig.plan()
        assert await rig.controller.hands.rail.poll() == before

    with_rig(config, body)


def test_nothing_starts_before_home_is_known(tmp_path):
    async def body(rig, seen):
        with pytest.raises(Refused, match="home first"):
            await rig.start("early", rig.plan().plan)
        assert not (tmp_path / "sessions").exists()

    with_rig(small_rig(tmp_path), body)


def test_a_home_switch_that_never_closes_is_a_fault_that_says_what_to_do(tmp_path):
    async def body(rig, seen):
        with pytest.raises(RigFault, match=r"Next: .*home"):
            await rig.home()
        assert rig.state.mode in HALTED

    with_rig(small_rig(tmp_path, "rail.faults.home_switch_broken=true"), body)


def test_a_full_disk_pauses_the_stack_and_keeps_what_there_is(tmp_path, monkeypatch):
    from rigd.session.store import Session

    real = Session.accept

    def full_after_five(self, record, payload):
        if len(self.frames) == 5:
            raise OSError(28, "No space left on device")
        real(self, record, payload)

    monkeypatch.setattr(Session, "accept", full_after_five)
    config = small_rig(tmp_path)
    ran = capture(config)
    assert ran.state.mode is Mode.PAUSED
    assert ran.state.stack is not None
    assert "No space left" in ran.state.stack.why
    monkeypatch.undo()
    again = resume(config, ran.path)
    assert verify(again.path).overview.outcome == "complete"


def test_no_thread_and_no_file_is_left_behind(tmp_path):
    capture(small_rig(tmp_path))  # what is made once, at the first run: the renderer's threads
    threads, files = set(threading.enumerate()), len(list(Path("/proc/self/fd").iterdir()))
    capture(small_rig(tmp_path))
    assert [thread.name for thread in threading.enumerate() if thread not in threads] == []
    assert len(list(Path("/proc/self/fd").iterdir())) == files


@pytest.mark.parametrize(
    ("motion", "stop", "modes"),
    [
        (ev.Goto(8000), ev.Stop(), {Mode.IDLE}),
        (ev.Home(), ev.Stop(), {Mode.UNHOMED}),
        (ev.Home(), ev.EStop(), {Mode.ESTOPPED}),
        (ev.Goto(8000), ev.EStop(), {Mode.ESTOPPED}),
        (ev.Jog(3000), ev.Stop(), {Mode.IDLE}),
    ],
)
@pytest.mark.parametrize("between_s", [None, 0.0, 0.001, 0.1])
def test_a_stop_is_obeyed_also_by_a_motion_that_is_just_being_started(
    tmp_path, motion, stop, modes, between_s
):
    async def body(rig, seen):
        await rig.home()
        first = asyncio.create_task(rig.controller.command(motion))
        if between_s is not None:
            await passes(between_s)
        second = asyncio.create_task(rig.controller.command(stop))
        assert (await first, await second) == (None, None)
        state = await rig.controller.reached(Mode.IDLE, Mode.UNHOMED, Mode.FAULT, Mode.ESTOPPED)
        assert state.mode in modes
        await rig.controller.drained()
        for _ in range(20):
            await passes(0.05)
            assert not (await rig.controller.hands.rail.poll()).moving
        if state.position is not None:
            assert (await rig.controller.hands.rail.poll()).position == rig.state.position

    with_rig(small_rig(tmp_path), body)


@pytest.mark.parametrize(
    ("command", "mode"), [(ev.Abort(), Mode.IDLE), (ev.Suspend(), Mode.IDLE), (ev.EStop(), Mode.ESTOPPED)]
)
def test_a_stack_can_be_given_up_while_its_session_is_still_being_made(tmp_path, command, mode):
    async def body(rig, seen):
        await rig.home()
        starting = asyncio.create_task(rig.start("test", rig.plan().plan))
        while rig.state.mode is not Mode.CAPTURING:
            await passes(0)
        assert await rig.controller.command(command) is None
        session = await starting
        state = await rig.controller.reached(Mode.IDLE, Mode.UNHOMED, Mode.FAULT, Mode.ESTOPPED)
        await rig.controller.drained()
        assert state.mode is mode
        assert rig.controller.hands.pipeline is None
        assert not rig.parts.light.lit
        assert verify(session.path).whole

    with_rig(small_rig(tmp_path, text=SMALL + "light: {driver: sim}\n"), body)


def test_a_session_that_cannot_be_made_is_said_and_leaves_nothing(tmp_path):
    async def body(rig, seen):
        await rig.home()
        plan = rig.plan().plan
        (tmp_path / "sessions").write_text("in the way")
        with pytest.raises(OSError, match="sessions"):
            await rig.start("test", plan)
        with pytest.raises(PlanError, match="name a folder"):
            rig.plan()

    with_rig(small_rig(tmp_path), body)


def test_a_listener_that_fails_does_not_stop_the_rig(tmp_path):
    async def body(rig, seen):
        def broken(notice):
            raise BrokenPipeError

        rig.controller.listen(broken)
        await rig.home()
        session = await rig.start("test", rig.plan().plan)
        await rig.ended()
        return session.path

    assert verify(with_rig(small_rig(tmp_path), body)).overview.outcome == "complete"


def test_a_session_under_way_cannot_be_resumed_by_another(tmp_path):
    async def intrude(rig, session):
        await stored(rig, 3)
        with pytest.raises(JournalInUse, match="in use"):
            reopen(session.path, rig.parts.context.clock)

    ran = capture(small_rig(tmp_path), intrude)
    assert ran.seen.accepted == list(range(FRAMES))
    assert verify(ran.path).whole


def test_a_session_of_another_rail_is_refused(tmp_path):
    async def leave(rig, session):
        await stored(rig, 5)
        await rig.suspend("stopped")

    ran = capture(small_rig(tmp_path), leave)
    with pytest.raises(SessionError, match="microsteps"):
        resume(small_rig(tmp_path, "rail.microsteps=8"), ran.path)
    assert verify(ran.path).overview.unfinished


def test_a_session_that_lacks_only_its_results_is_finished(tmp_path):
    ran = capture(small_rig(tmp_path))
    manifest = json.loads((ran.path / "session.json").read_text())
    (ran.path / "session.json").write_text(json.dumps({**manifest, "result": None}))
    again = resume(small_rig(tmp_path), ran.path)
    assert again.seen.accepted == []
    assert again.seen.closed is not None
    assert again.seen.closed.outcome == "complete"
    assert verify(ran.path).overview.outcome == "complete"


def test_the_light_is_on_for_the_stack_only(tmp_path):
    lit = []

    async def look(rig, session):
        await stored(rig, 1)
        lit.append(rig.parts.light.lit)

    config = small_rig(tmp_path, text=SMALL + "light: {driver: sim}\n")
    ran = capture(config, look)
    lit.append(ran.rig.parts.light.lit)
    assert lit == [True, False]
    assert verify(ran.path).overview.outcome == "complete"


def test_a_lamp_that_stays_dark_is_noticed_at_the_first_frame(tmp_path):
    ran = capture(small_rig(tmp_path, text=SMALL + "light: {driver: sim, broken: true}\n"))
    assert ran.state.mode is Mode.PAUSED
    assert ran.state.stack is not None
    assert "black" in ran.state.stack.why
    assert ran.seen.accepted == []


def test_the_emergency_stop_contact_stops_everything(tmp_path):
    async def press(rig, session):
        await stored(rig, 3)
        rig.parts.switches["estop"].press()
        await rig.controller.reached(Mode.ESTOPPED)
        await rig.controller.drained()
        assert not (await rig.controller.hands.rail.poll()).moving

    ran = capture(small_rig(tmp_path, text=SMALL + "switches: {estop: {driver: sim}}\n"), press)
    assert ran.state.mode is Mode.ESTOPPED
    assert verify(ran.path).overview.unfinished


def test_a_part_that_hangs_while_it_is_opened_is_a_fault(tmp_path, monkeypatch):
    from drivers.sim.camera import SimCamera

    monkeypatch.setattr(SimCamera, "open", lambda self: self._clock.wait_until(self._clock.now() + 1e5))

    async def body(rig, seen):
        pytest.fail("the rig was opened")

    with pytest.raises(RigFault, match="opening its parts"):
        with_rig(small_rig(tmp_path), body)


def test_the_results_of_one_stack_are_not_reported_with_the_next(tmp_path):
    async def body(rig, seen):
        await rig.home()
        for abort in (False, True):
            await rig.start("test", rig.plan().plan)
            if abort:
                await rig.suspend("stopped")
            await rig.ended()
        return [notice.results for notice in seen.notices if isinstance(notice, Closed)]

    first, second = with_rig(small_rig(tmp_path), body)
    assert first is not None
    assert second is None


def test_a_resume_that_fails_lets_go_of_the_session(tmp_path, monkeypatch):
    async def leave(rig, session):
        await stored(rig, 5)
        await rig.suspend("stopped")

    config = small_rig(tmp_path)
    ran = capture(config, leave)

    def broken(self):
        raise MemoryError("no room for the preview")

    monkeypatch.setattr(Preview, "restore", broken)
    with pytest.raises(MemoryError):
        resume(config, ran.path)
    monkeypatch.undo()
    assert verify(resume(config, ran.path).path).overview.outcome == "complete"
