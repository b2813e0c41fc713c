"""What a rig offers to whoever commands it from elsewhere: test shots, settings, identify, live position, notices, e-stop."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import numpy as np
import pytest

from drivers.clock import VirtualClock
from rigd.app import RESTING, Refused, RigFault, open_rig
from rigd.config import config_hash
from rigd.control.lamp import Lamp
from rigd.control.notices import Accepted, Changed, Closed, Merged, Opened
from rigd.machine import events as ev
from rigd.machine.state import Mode
from rigd.session.files import sha256
from rigd.virtualtime import run
from rigd.workers import Worker
from tests.rigs import FRAMES, SMALL, capture, passes, small_rig, stored, with_rig

LIT = SMALL + "light: {driver: sim}\n"
SWITCHED = SMALL + "switches: {estop: {driver: sim}}\n"


def with_settle(config, seconds):
    return config.model_copy(update={"settle": config.settle.model_copy(update={"fixed_s": seconds})})


async def shooting(rig):
    """Begin a test shot; the task, once the machine has taken it."""
    task = asyncio.create_task(rig.test_shot())
    await rig.controller.reached(Mode.TESTING)
    return task


def exposures(rig):
    """What was really exposed, oldest first."""
    return list(rig.parts.context.shared["sim.world"].exposures._entries.values())


# --------------------------------------------------------------------------------------------------------- test shots


def test_a_test_shot_is_taken_where_the_rail_stands_and_looked_at(tmp_path):
    async def body(rig, seen):
        await rig.home()
        await rig.goto(5500)
        picture = await rig.test_shot()
        assert rig.state.mode is Mode.IDLE
        assert picture.position_um == 5500
        assert picture.data.suffix == ".jpg"
        assert picture.sha256 == sha256(picture.data.payload)
        assert (picture.width, picture.height) == (96, 64)
        assert picture.image.shape == (64, 96, 3)
        assert picture.image.dtype == np.uint8
        assert picture.metrics["sharpness"] > 0
        assert picture.settings["exposure_s"] > 0
        assert picture.note == ""
        assert seen.closed is None
        (truth,) = exposures(rig)
        assert not truth.moving
        assert truth.position_um == pytest.approx(5500, abs=25)

    with_rig(small_rig(tmp_path), body)
    assert not (tmp_path / "sessions").exists()


def test_a_test_shot_needs_no_home(tmp_path):
    async def body(rig, seen):
        picture = await rig.test_shot()
        assert rig.state.mode is Mode.UNHOMED
        assert picture.position_um is None
        assert picture.image is not None

    with_rig(small_rig(tmp_path), body)


@pytest.mark.parametrize("seed", range(12))
def test_no_test_shot_begins_before_the_settle_is_over_whatever_the_camera_hands_out(tmp_path, seed):
    """Held against the simulator's own truth: a rail that rings for 1.5 s, and a camera that gives old frames."""
    ringing = SMALL.replace(
        "backlash_um: 20}", "backlash_um: 20, profile: trapezoid, quintic_min_periods: 0}"
    )
    ringing = ringing.replace("  threads: 1\n", "  threads: 1\n  mode: naive\n  buffers: 4\n", 1)
    config = small_rig(
        tmp_path,
        f"rig.seed={seed}",
        "settle.fixed_s=1.6",
        "camera.frame_period_s=0.5",
        "camera.faults.stale.probability=0.3",
        text=ringing,
    )

    async def body(rig, seen):
        await rig.home()
        for position_um in (5000, 5900, 5100):
            await rig.goto(position_um)
            picture = await rig.test_shot()
            assert picture.start_s >= picture.settled_s
            truth = next(one for one in exposures(rig) if one.start_s == picture.start_s)
            assert not truth.moving
            assert truth.ring_um_max < 1.0
            assert truth.position_um == pytest.approx(position_um, abs=25)

    with_rig(config, body)


def test_a_camera_that_gives_nothing_but_old_pictures_has_no_test_shot(tmp_path, monkeypatch):
    async def body(rig, seen):
        await rig.home()
        camera = rig.parts.camera
        expose = camera.expose

        def old(not_before_s, position_um):
            return replace(expose(not_before_s, position_um), start_s=not_before_s - 0.001)

        monkeypatch.setattr(camera, "expose", old)
        with pytest.raises(RigFault, match="before the rig had settled") as caught:
            await rig.test_shot()
        assert caught.value.code == "camera"
        assert rig.state.mode is Mode.IDLE
        assert rig.state.fault is None

    with_rig(small_rig(tmp_path), body)


@pytest.mark.parametrize(
    ("fault", "note", "decoded"),
    [
        ("camera.faults.black.at=[1]", "black", True),
        ("camera.faults.truncated.at=[1]", "damaged", False),
        ("camera.faults.drift.at=[1]", "exposure time", True),
    ],
)
def test_what_a_stack_would_refuse_is_noted_and_shown_all_the_same(tmp_path, fault, note, decoded):
    async def body(rig, seen):
        picture = await rig.test_shot()
        assert note in picture.note
        assert (picture.image is not None) is decoded
        assert bool(picture.metrics) is decoded
        assert picture.data.payload

    with_rig(small_rig(tmp_path, fault), body)


@pytest.mark.parametrize("fault", ["hang", "hang_transfer", "lost"])
def test_a_picture_that_is_not_to_be_had_is_no_fault_of_the_rig(tmp_path, fault):
    async def body(rig, seen):
        await rig.home()
        with pytest.raises(RigFault) as caught:
            await rig.test_shot()
        assert caught.value.code == "camera"
        assert rig.state.mode is Mode.IDLE
        assert rig.state.homed
        assert (await rig.test_shot()).image is not None

    with_rig(small_rig(tmp_path, f"camera.faults.{fault}.at=[1]"), body)


def test_a_test_shot_is_refused_while_anything_is_under_way(tmp_path):
    async def body(rig, seen):
        await rig.home()
        going = asyncio.create_task(rig.goto(6000))
        await rig.controller.reached(Mode.MOVING)
        with pytest.raises(Refused, match="not while moving"):
            await rig.test_shot()
        await going
        first = await shooting(rig)
        with pytest.raises(Refused, match="not while testing: wait for the picture"):
            await rig.test_shot()
        for command in (ev.Home(), ev.Goto(9000), ev.Jog(10), ev.Release()):
            with pytest.raises(Refused, match="testing"):
                await rig.command(command)
        with pytest.raises(Refused, match="testing"):
            await rig.start("early", rig.plan().plan)
        assert (await first).image is not None
        await rig.start("stack", rig.plan().plan)
        with pytest.raises(Refused, match="not while capturing"):
            await rig.test_shot()
        await rig.ended()
        assert seen.closed.outcome == "complete"

    with_rig(small_rig(tmp_path), body)


MOMENTS = (0.0, 0.1, 0.199, 0.21, 0.26, 0.3)
"""While it settles, while the shutter is open, while data are on their way."""


@pytest.mark.parametrize("after_s", MOMENTS)
def test_a_stop_gives_a_test_shot_up(tmp_path, after_s):
    async def body(rig, seen):
        await rig.home()
        shot = await shooting(rig)
        await passes(after_s)
        assert rig.state.mode is Mode.TESTING
        await rig.command(ev.Stop())
        with pytest.raises(Refused, match="the test shot was stopped"):
            await shot
        assert rig.state.mode is Mode.IDLE
        if after_s < 0.2:
            await rig.controller.drained()
            assert exposures(rig) == [], "exposed after the stop"
        assert (await rig.test_shot()).image is not None

    with_rig(small_rig(tmp_path, "camera.transfer_s=0.3"), body)


@pytest.mark.parametrize("after_s", MOMENTS)
@pytest.mark.parametrize(
    ("event", "mode"),
    [
        (ev.EStop("button"), Mode.ESTOPPED),
        (ev.LimitHit("far switch"), Mode.FAULT),
        (ev.RailLost("gone"), Mode.FAULT),
    ],
)
def test_an_alarm_gives_a_test_shot_up_and_a_late_picture_changes_nothing(tmp_path, after_s, event, mode):
    async def body(rig, seen):
        await rig.home()
        shot = await shooting(rig)
        await passes(after_s)
        await rig.command(event)
        assert rig.state.mode is mode
        with pytest.raises(RigFault, match=getattr(event, "why", getattr(event, "what", ""))):
            await shot
        await rig.controller.drained()
        assert rig.state.mode is mode
        assert not rig.state.homed
        await rig.command(ev.ClearFault())
        await rig.controller.reached(Mode.UNHOMED)
        await rig.home()
        assert (await rig.test_shot()).image is not None

    with_rig(small_rig(tmp_path, "camera.transfer_s=0.3"), body)


def test_an_open_exposure_is_ended_by_a_stop_and_not_waited_for(tmp_path):
    async def body(rig, seen):
        clock = rig.controller.hands._clock
        shot = await shooting(rig)
        await passes(1.0)
        stopped_s = clock.now()
        await rig.command(ev.Stop())
        with pytest.raises(Refused, match="stopped"):
            await shot
        await rig.controller.drained()
        assert clock.now() - stopped_s < 0.5
        assert rig.controller.hands.camera.restarts == 0

    with_rig(small_rig(tmp_path, "camera.faults.hang.at=[1]"), body)


def test_a_stop_at_the_very_moment_of_a_test_shot_lets_nothing_be_exposed(tmp_path):
    async def body(rig, seen):
        await rig.home()
        shot = asyncio.create_task(rig.test_shot())
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: rig.controller.post(ev.Stop()))
        with pytest.raises(Refused, match="stopped"):
            await shot
        await rig.controller.drained()
        assert exposures(rig) == []

    with_rig(small_rig(tmp_path), body)


def test_a_rail_that_is_lost_during_a_test_shot_is_a_fault(tmp_path):
    async def body(rig, seen):
        await rig.home()
        shot = await shooting(rig)
        await passes(0.1)
        rig.parts.rail.halt()
        with pytest.raises(RigFault, match="lost its position"):
            await shot
        assert rig.state.mode is Mode.FAULT

    with_rig(small_rig(tmp_path, "settle.fixed_s=3"), body)


def test_one_who_no_longer_waits_for_a_test_shot_leaves_the_rig_usable(tmp_path):
    async def body(rig, seen):
        shot = await shooting(rig)
        shot.cancel()
        await asyncio.gather(shot, return_exceptions=True)
        await rig.controller.reached(*RESTING)
        assert (await rig.test_shot()).image is not None

    with_rig(small_rig(tmp_path), body)


def test_a_test_shot_that_nobody_waits_for_ends(tmp_path):
    async def body(rig, seen):
        await rig.command(ev.TestShot())
        await rig.controller.reached(Mode.UNHOMED)
        assert rig.state.fault is None

    with_rig(small_rig(tmp_path), body)


def test_the_light_is_on_for_a_test_shot_and_off_afterwards(tmp_path):
    async def body(rig, seen):
        dark = rig.parts.light
        assert not dark.lit
        shot = await shooting(rig)
        await passes(0.1)
        assert dark.lit
        assert (await shot).note == "", "the simulated camera sees nothing without it"
        assert not dark.lit
        stopped = await shooting(rig)
        await passes(0.1)
        await rig.command(ev.Stop())
        await asyncio.gather(stopped, return_exceptions=True)
        await rig.controller.drained()
        assert not dark.lit

    with_rig(small_rig(tmp_path, text=LIT), body)


# ---------------------------------------------------------------------------------------------------------- identify


def test_identify_blinks_and_ends_dark(tmp_path):
    async def body(rig, seen):
        blinking = asyncio.create_task(rig.identify(1.0))
        lit = []
        await passes(0.125)
        for _ in range(5):
            lit.append(rig.parts.light.lit)
            await passes(0.25)
        await blinking
        assert lit == [True, False, True, False, False]

    with_rig(small_rig(tmp_path, text=LIT), body)


def test_identify_that_is_cancelled_ends_dark(tmp_path):
    async def body(rig, seen):
        blinking = asyncio.create_task(rig.identify(5.0))
        await passes(0.1)
        assert rig.parts.light.lit
        blinking.cancel()
        await asyncio.gather(blinking, return_exceptions=True)
        assert not rig.parts.light.lit

    with_rig(small_rig(tmp_path, text=LIT), body)


def test_identify_gives_way_to_pictures(tmp_path):
    async def body(rig, seen):
        await rig.home()
        blinking = asyncio.create_task(rig.identify(60.0))
        await passes(0.3)
        with pytest.raises(Refused, match="blinking already"):
            await rig.identify(1.0)
        shot = await shooting(rig)
        with pytest.raises(Refused, match="testing"):
            await rig.identify(1.0)
        assert (await shot).note == ""
        await blinking
        blinking = asyncio.create_task(rig.identify(60.0))
        await passes(0.3)
        await rig.start("lit", rig.plan().plan)
        with pytest.raises(Refused, match="capturing"):
            await rig.identify(1.0)
        await stored(rig, 2)
        assert blinking.done()
        assert rig.parts.light.lit
        await rig.ended()
        assert seen.closed.outcome == "complete"
        assert seen.rejected == []
        assert not rig.parts.light.lit

    with_rig(small_rig(tmp_path, text=LIT), body)


def test_identify_without_a_light_says_so(tmp_path):
    async def body(rig, seen):
        with pytest.raises(Refused, match="no light"):
            await rig.identify(1.0)

    with_rig(small_rig(tmp_path), body)


def test_a_light_is_on_until_the_last_who_needs_it_is_done():
    class Light:
        def __init__(self):
            self.said = []

        def open(self): ...
        def close(self): ...
        def on(self):
            self.said.append("on")

        def off(self):
            self.said.append("off")

    async def main():
        worker = Worker("light", clock)
        light = Light()
        lamp = Lamp(light, worker)
        await lamp.on("stack")
        await lamp.on("late")
        await lamp.off("stack")
        assert light.said[-1] == "on"
        assert lamp.problem == "the light is on for a picture"
        await lamp.off("late")
        assert light.said[-1] == "off"
        assert lamp.problem is None
        worker.close()

    clock = VirtualClock()
    run(main(), clock)


# ---------------------------------------------------------------------------------------------------------- settings


def test_another_plan_and_settle_are_what_the_next_stack_is_taken_with(tmp_path):
    config = small_rig(tmp_path)
    other = with_settle(config, 0.5)
    other = other.model_copy(update={"plan": other.plan.model_copy(update={"step_um": 275.0})})

    async def body(rig, seen):
        await rig.home()
        planned = rig.plan(other)
        assert planned.plan.frames == 5
        assert rig.plan().plan.frames == FRAMES
        session = await rig.start("other", planned.plan, other)
        assert rig.config == other
        await rig.ended()
        assert seen.accepted == list(range(5))
        assert all(
            one.record.start_s - one.record.moved_s >= 0.5
            for one in seen.notices
            if isinstance(one, Accepted)
        )
        manifest = json.loads((session.path / "session.json").read_text())
        assert manifest["config"]["settle"]["fixed_s"] == 0.5
        assert manifest["config"]["plan"]["step_um"] == 275
        assert manifest["config_hash"] == config_hash(other) != config_hash(config)

    with_rig(config, body)


def test_a_test_shot_follows_the_settle(tmp_path):
    config = small_rig(tmp_path)

    async def body(rig, seen):
        rig.reconfigure(with_settle(config, 2.0))
        before_s = rig.controller.hands._clock.now()
        picture = await rig.test_shot()
        assert picture.start_s - before_s >= 2.0
        rig.reconfigure(config)
        assert rig.config == config

    with_rig(config, body)


def test_settings_do_not_change_under_a_stack(tmp_path):
    config = small_rig(tmp_path)

    async def during(rig, session):
        await stored(rig, 2)
        with pytest.raises(Refused, match="stack is under way"):
            rig.reconfigure(with_settle(config, 9.0))
        with pytest.raises(Refused, match="capturing"):
            await rig.start("second", rig.plan().plan, with_settle(config, 9.0))
        assert rig.config == config
        await rig.command(ev.Pause())
        await rig.controller.reached(Mode.PAUSED)
        with pytest.raises(Refused, match="stack is under way"):
            rig.reconfigure(with_settle(config, 9.0))
        await rig.command(ev.Resume())

    ran = capture(config, during)
    assert ran.seen.closed.outcome == "complete"
    assert ran.rig.controller.hands.still.settle.fixed_s == 0.2


def test_what_makes_it_another_rig_needs_a_new_start(tmp_path):
    config = small_rig(tmp_path)
    other = config.model_copy(update={"limits": config.limits.model_copy(update={"max_um": 30_000.0})})

    async def body(rig, seen):
        with pytest.raises(ValueError, match="only plan, settle and capture"):
            rig.reconfigure(other)
        with pytest.raises(ValueError, match="only plan, settle and capture"):
            await rig.start("other", rig.plan().plan, other)
        assert rig.state.mode is Mode.UNHOMED

    with_rig(config, body)


def test_of_two_who_start_at_once_one_gets_its_own_session_and_the_other_an_answer(tmp_path):
    async def body(rig, seen):
        await rig.home()
        plan = rig.plan().plan
        first, second = await asyncio.gather(
            rig.start("first", plan), rig.start("second", plan), return_exceptions=True
        )
        assert first.manifest["name"] == "first"
        assert isinstance(second, Refused)
        await rig.ended()
        assert [path.name for path in (tmp_path / "sessions").iterdir()] == [first.id]
        assert seen.closed.session_id == first.id

    with_rig(small_rig(tmp_path), body)


# ----------------------------------------------------------------------------------------------------------- notices


def test_a_session_is_announced_before_its_first_frame_and_named_when_it_is_left(tmp_path):
    async def leave(rig, session):
        await stored(rig, 5)
        await rig.suspend("stopped")

    config = small_rig(tmp_path)
    ran = capture(config, leave)
    kept = len(ran.session.frames)
    told = [one for one in ran.seen.notices if not isinstance(one, (Changed, Merged))]
    opened = told[0]
    assert opened == Opened(
        ran.session.id, "test", ran.path, FRAMES, 0, created=ran.session.manifest["created"]
    )
    assert isinstance(told[-1], Closed)
    assert (told[-1].outcome, told[-1].session_id) == ("suspended", ran.session.id)

    async def go_on(rig, seen):
        await rig.home()
        await rig.resume(ran.path)
        await rig.ended()
        opened, *frames, closed = (one for one in seen.notices if not isinstance(one, (Changed, Merged)))
        assert (opened.session_id, opened.done, opened.frames) == (ran.session.id, kept, FRAMES)
        assert len([one for one in frames if isinstance(one, Accepted)]) == FRAMES - kept
        assert (closed.outcome, closed.session_id) == ("complete", ran.session.id)

    with_rig(config, go_on)


def test_a_session_that_only_lacked_its_results_is_announced_too(tmp_path):
    async def leave(rig, session):
        await stored(rig, FRAMES)
        await rig.suspend("stopped")

    config = small_rig(tmp_path, "capture.rehome_at_end=true")
    ran = capture(config, leave)
    assert ran.seen.closed.outcome == "suspended"

    async def go_on(rig, seen):
        await rig.home()
        await rig.resume(ran.path)
        opened, closed = (one for one in seen.notices if isinstance(one, (Opened, Closed)))
        assert (opened.done, closed.outcome) == (FRAMES, "complete")
        assert opened.session_id == closed.session_id == ran.session.id

    with_rig(config, go_on)


def test_the_rails_live_position_is_known_while_it_moves(tmp_path):
    async def body(rig, seen):
        assert rig.rail_now is not None
        assert rig.rail_now.position is None
        await rig.home()
        going = asyncio.create_task(rig.goto(15_000))
        await rig.controller.reached(Mode.MOVING)
        places = []
        while not going.done():
            await passes(0.06)
            places.append(rig.rail_now)
        await going
        moving = [status.position for status in places if status.moving]
        assert len(set(moving)) > 5
        assert moving == sorted(moving)
        assert rig.rail_now.position == 15_000 / 0.625
        assert not rig.rail_now.moving
        await rig.command(ev.Release())
        await rig.controller.drained()
        assert rig.rail_now.position is None

    with_rig(small_rig(tmp_path), body)


# ------------------------------------------------------------------------------------------------------------ e-stop


def test_an_estop_pressed_at_the_start_is_cleared_once_it_is_released(tmp_path):
    config = small_rig(tmp_path, "switches.estop.pressed=true", text=SWITCHED)

    async def main():
        async with open_rig(config, clock, strict=False) as rig:
            await rig.controller.reached(Mode.ESTOPPED)
            with pytest.raises(Refused, match="still pressed: release it"):
                await rig.command(ev.ClearFault())
            assert rig.state.mode is Mode.ESTOPPED
            rig.parts.switches["estop"].let_go()
            await passes(0.1)
            assert rig.state.mode is Mode.ESTOPPED, "released is not cleared"
            await rig.command(ev.ClearFault())
            await rig.controller.reached(Mode.UNHOMED)
            await rig.home()
            assert rig.state.mode is Mode.IDLE

    clock = VirtualClock()
    run(main(), clock)


def test_an_estop_over_the_wire_and_one_by_hand_are_both_to_be_released(tmp_path):
    async def body(rig, seen):
        contact = rig.parts.switches["estop"]
        await rig.home()
        await rig.command(ev.EStop("e-stop over mqtt"))
        contact.press()
        await passes(0.1)
        assert rig.state.fault.message == "the e-stop is pressed"
        with pytest.raises(Refused, match="still pressed"):
            await rig.command(ev.ClearFault())
        contact.let_go()
        await passes(0.1)
        contact.press()
        await passes(0.1)
        with pytest.raises(Refused, match="still pressed"):
            await rig.command(ev.ClearFault())
        contact.let_go()
        await passes(0.1)
        await rig.command(ev.ClearFault())
        await rig.controller.reached(Mode.UNHOMED)

    with_rig(small_rig(tmp_path, text=SWITCHED), body)
