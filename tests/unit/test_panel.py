"""The panel: each button's command, the rules that hold for it as for every other way, and what the LED says."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from drivers.base import DriverError
from rigd.config.panel import ROLES
from rigd.machine.state import Mode
from rigd.panel.patterns import PATTERNS, REFUSED, TAKEN
from rigd.remote.bus import Incoming
from tests.rigs import passes
from tests.unit._panel import BUTTONS, NO_PLAN, PANEL, Desk, at_panel

ROOT = Path(__file__).parents[2]


def test_the_test_presses_every_button_there_is():
    assert sorted(BUTTONS) == sorted(ROLES)


def flashes(lights) -> int:
    """How often the LED flashed quickly in between."""
    return sum(lit for lit, lasted in lights[1:-1] if lasted <= 0.1)


# ------------------------------------------------------------------------------------------------------------- a stack


def test_a_stack_without_network_screen_and_plan(tmp_path):
    """Home, go to near, mark it, go to far, mark it, start: nothing but buttons."""

    async def body(desk: Desk):
        await desk.pushed_to(Mode.IDLE, "home")
        marks = []
        for role, hold_s in (("near", 5.0), ("far", 1.0)):
            await desk.press("jog_far", hold_s)
            await desk.reached(Mode.IDLE)
            await desk.press(role)
            marks.append(desk.position_um)
        await desk.press("start")
        await desk.reached(Mode.CAPTURING)
        await desk.reached(Mode.IDLE)
        (finished,) = desk.finished("session.start")
        return marks, finished, desk.refusals()

    marks, finished, refusals = at_panel(tmp_path, body, "panel.step_um=100", text=NO_PLAN)
    assert refusals == []
    assert finished["data"]["outcome"] == "complete"
    near, far = marks
    assert 0 < near < far
    assert finished["data"]["frames"] == -(-(far - near) // 100) + 1


def test_start_takes_the_step_that_is_set_before_that_of_the_panel(tmp_path):
    async def body(desk: Desk):
        await desk.pushed_to(Mode.IDLE, "home")
        await desk.press("start")
        await desk.reached(Mode.CAPTURING)
        plan = desk.rig.state.stack.plan
        await desk.press("stop")
        return plan.frames

    assert at_panel(tmp_path, body, "panel.step_um=500") == 12


def test_marks_may_be_set_in_either_order(tmp_path):
    async def body(desk: Desk):
        await desk.pushed_to(Mode.IDLE, "home")
        await desk.ask("goto", {"position_um": 5600})
        await desk.reached(Mode.MOVING)
        await desk.pushed_to(Mode.IDLE)
        await desk.press("near")
        await desk.ask("goto", {"position_um": 5200})
        await desk.reached(Mode.MOVING)
        await desk.pushed_to(Mode.IDLE)
        await desk.press("far")
        await desk.press("start")
        await desk.reached(Mode.CAPTURING)
        plan = desk.rig.state.stack.plan
        return plan.um(plan.near), plan.um(plan.far)

    assert at_panel(tmp_path, body, "panel.step_um=100", text=NO_PLAN) == (5200, 5600)


def test_without_any_step_start_is_refused_and_seen_to_be(tmp_path):
    async def body(desk: Desk):
        await desk.pushed_to(Mode.IDLE, "home")
        for role in ("near", "far"):
            await desk.ask(f"mark_{role}", {"position_um": 5000 if role == "near" else 5500})
        desk.panel.buttons["start"].press()
        await passes(0.1)
        return desk.refusals(), await desk.lights(2.0)

    refusals, lights = at_panel(tmp_path, body, text=NO_PLAN)
    assert len(refusals) == 1
    assert flashes(lights) == 3


def test_pause_and_pause_again_start_goes_on_too(tmp_path):
    async def body(desk: Desk):
        await desk.pushed_to(Mode.IDLE, "home")
        await desk.pushed_to(Mode.CAPTURING, "start")
        await desk.pushed_to(Mode.PAUSED, "pause")
        await desk.pushed_to(Mode.CAPTURING, "pause")
        await desk.pushed_to(Mode.PAUSED, "stop")
        await desk.pushed_to(Mode.CAPTURING, "start")
        await desk.reached(Mode.IDLE)
        return desk.refusals(), desk.finished("session.start")[0]["data"]["outcome"]

    assert at_panel(tmp_path, body) == ([], "complete")


def test_stop_that_is_held_ends_the_stack_for_good(tmp_path):
    async def body(desk: Desk):
        await desk.pushed_to(Mode.IDLE, "home")
        await desk.pushed_to(Mode.CAPTURING, "start")
        await desk.press("stop", 1.5)
        assert desk.rig.state.mode is Mode.PAUSED
        await desk.press("stop", 2.5)
        await desk.reached(Mode.IDLE)
        return desk.finished("session.start")[0]["data"]["outcome"], desk.refusals()

    assert at_panel(tmp_path, body) == ("aborted", [])


# ---------------------------------------------------------------------------------------------------------------- jogs


def test_a_held_jog_moves_for_as_long_as_it_is_held(tmp_path):
    """Also for longer than one jog may be."""

    async def body(desk: Desk):
        await desk.pushed_to(Mode.IDLE, "home")
        await desk.press("jog_far", 20.0)
        await desk.reached(Mode.IDLE)
        there = desk.position_um
        await desk.press("jog_near", 4.0)
        await desk.reached(Mode.IDLE)
        before = desk.position_um
        await passes(5.0)
        return there, before, desk.position_um, desk.refusals()

    there, back, later, refusals = at_panel(tmp_path, body)
    assert there > 4000  # two whole jogs, and a part of the third
    assert 500 < there - back < 2000
    assert later == back
    assert refusals == []


def test_a_jog_ends_at_the_limit_and_says_so(tmp_path):
    async def body(desk: Desk):
        await desk.pushed_to(Mode.IDLE, "home")
        await desk.press("jog_far", 120.0)
        await desk.reached(Mode.IDLE)
        far_um = desk.position_um
        desk.panel.buttons["jog_far"].press()
        await passes(0.1)
        lights = await desk.lights(2.0)
        return far_um, desk.refusals(), lights

    far_um, refusals, lights = at_panel(tmp_path, body, "limits.max_um=20000")
    assert 19_990 <= far_um <= 20_000
    assert refusals == []
    assert flashes(lights) == 3


def test_before_homing_a_jog_is_as_long_as_one_may_be(tmp_path):
    async def body(desk: Desk):
        assert desk.rig.state.mode is Mode.UNHOMED
        await desk.press("jog_near", 0.5)
        await desk.reached(Mode.UNHOMED)
        return desk.refusals(), len(desk.finished("jog"))

    assert at_panel(tmp_path, body) == ([], 1)


def test_both_jog_buttons_move_nothing(tmp_path):
    async def body(desk: Desk):
        await desk.pushed_to(Mode.IDLE, "home")
        desk.panel.buttons["jog_far"].press()
        await desk.reached(Mode.MOVING)
        await desk.press("jog_near", 3.0)
        assert desk.rig.state.mode is Mode.MOVING  # one is held again
        desk.panel.buttons["jog_far"].let_go()
        await desk.reached(Mode.IDLE)
        return desk.finished("jog")

    first, second = at_panel(tmp_path, body)
    assert first["error"]["code"] == second["error"]["code"] == "interrupted"


def test_a_change_of_mind_waits_until_the_rail_stands(tmp_path):
    async def body(desk: Desk):
        await desk.pushed_to(Mode.IDLE, "home")
        await desk.press("jog_far", 2.0)
        await desk.press("jog_near", 1.0)
        await desk.reached(Mode.IDLE)
        return desk.refusals(), len(desk.finished("jog"))

    assert at_panel(tmp_path, body) == ([], 2)


def test_a_panel_that_hangs_lets_no_jog_go_on(tmp_path):
    async def body(desk: Desk):
        await desk.pushed_to(Mode.IDLE, "home")
        button = desk.panel.buttons["jog_far"]
        button.press()
        await desk.reached(Mode.MOVING)
        clock = desk.clock

        def hangs():
            clock.wait_until(clock.now() + 30.0)
            return True

        button.pressed = hangs
        began_s = clock.now()
        await desk.reached(Mode.IDLE)
        stopped_s = clock.now()
        del button.pressed
        button.let_go()
        await passes(31.0)
        return stopped_s - began_s

    assert at_panel(tmp_path, body) < 1.5


def test_somebody_else_stops_it_and_it_stays_stopped(tmp_path):
    async def body(desk: Desk):
        await desk.pushed_to(Mode.IDLE, "home")
        desk.panel.buttons["jog_far"].press()
        await desk.reached(Mode.MOVING)
        await desk.ask("stop")
        await desk.reached(Mode.IDLE)
        await passes(3.0)
        return desk.rig.state.mode, len(desk.finished("jog"))

    assert at_panel(tmp_path, body) == (Mode.IDLE, 1)


# --------------------------------------------------------------------------------------------------------------- rules


def test_a_lease_holds_for_buttons_but_not_for_stop_and_pause(tmp_path):
    async def body(desk: Desk):
        await desk.pushed_to(Mode.IDLE, "home")
        lease = (await desk.ask("lease.take", {"holder": "script", "ttl_s": 600}))["data"]["lease"]
        for role in ("near", "far", "start", "home", "jog_far"):
            await desk.press(role)
        refused = desk.refusals()
        assert (await desk.ask("session.start", lease=lease))["status"] == "accepted"
        await desk.pushed_to(Mode.PAUSED, "pause")
        assert (await desk.ask("session.resume", lease=lease))["status"] == "accepted"
        await desk.pushed_to(Mode.PAUSED, "stop")
        return refused, desk.refusals()[len(refused) :]

    refused, later = at_panel(tmp_path, body)
    assert refused == ["leased"] * 5
    assert later == []


def test_stop_that_is_held_takes_the_rig_back(tmp_path):
    async def body(desk: Desk):
        await desk.pushed_to(Mode.IDLE, "home")
        lease = (await desk.ask("lease.take", {"holder": "script", "ttl_s": 600}))["data"]["lease"]
        await desk.ask("session.start", lease=lease)
        await desk.reached(Mode.CAPTURING)
        await desk.press("stop", 2.5)
        await desk.reached(Mode.IDLE)
        refused = await desk.ask("home", lease=lease)
        await desk.press("home")
        await desk.reached(Mode.HOMING)
        return refused["error"]["code"], [e["change"] for kind, e in desk.events if kind == "lease"]

    code, changes = at_panel(tmp_path, body)
    assert code == "no_lease"
    assert changes == ["taken", "overtaken", "taken", "released"]


def test_home_clears_a_fault_first(tmp_path):
    async def body(desk: Desk):
        await desk.pushed_to(Mode.IDLE, "home")
        desk.reach.desk.take(Incoming("estop", b"", "mqtt", lambda _: None))
        await desk.reached(Mode.ESTOPPED)
        await desk.pushed_to(Mode.UNHOMED, "home")
        await desk.pushed_to(Mode.IDLE, "home")
        return desk.refusals()

    assert at_panel(tmp_path, body) == []


def test_a_button_that_hangs_from_the_start_does_nothing(tmp_path, caplog):
    async def body(desk: Desk):
        await passes(5.0)
        before = desk.rig.state.mode
        desk.panel.buttons["home"].let_go()
        await passes(0.1)
        await desk.pushed_to(Mode.IDLE, "home")
        return before, desk.refusals()

    assert at_panel(tmp_path, body, "panel.buttons.home.pressed=true") == (Mode.UNHOMED, [])
    assert "home is closed already" in caplog.text


# ------------------------------------------------------------------------------------------------------ broken contacts


def test_a_button_that_cannot_be_read_lets_go_and_comes_back(tmp_path, caplog):
    caplog.set_level("INFO")

    async def body(desk: Desk):
        await desk.pushed_to(Mode.IDLE, "home")
        button = desk.panel.buttons["jog_far"]
        button.press()
        await desk.reached(Mode.MOVING)

        def broken():
            raise DriverError("GPIO5", "gone")

        button.pressed = broken
        await desk.reached(Mode.IDLE)
        await passes(10.0)
        del button.pressed
        await passes(3.0)
        still = desk.rig.state.mode  # closed when it came back: nothing before it was open once
        button.let_go()
        await passes(0.1)
        await desk.press("jog_far", 0.5)
        return still, len(desk.finished("jog"))

    assert at_panel(tmp_path, body) == (Mode.IDLE, 2)
    assert caplog.text.count("jog_far cannot be read: GPIO5: gone") == 1
    assert "jog_far can be read again" in caplog.text


def test_a_panel_that_cannot_be_opened_is_said(tmp_path, monkeypatch):
    def fails(_self):
        raise DriverError("GPIO5", "is in use")

    monkeypatch.setattr("drivers.sim.parts.SimSwitch.open", fails)
    with pytest.raises(DriverError, match="GPIO5: is in use"):
        at_panel(tmp_path, lambda _desk: asyncio.sleep(0))


def test_an_led_that_fails_costs_its_light_only(tmp_path, caplog):
    async def body(desk: Desk):
        def broken():
            raise DriverError("GPIO7", "gone")

        desk.panel.light.on = broken
        await desk.pushed_to(Mode.IDLE, "home")
        await desk.pushed_to(Mode.CAPTURING, "start")
        await desk.reached(Mode.IDLE)
        return desk.finished("session.start")[0]["data"]["outcome"]

    assert at_panel(tmp_path, body) == "complete"
    assert "LED cannot be switched: GPIO7: gone" in caplog.text


# ----------------------------------------------------------------------------------------------------------------- LED


@pytest.mark.parametrize("mode", list(Mode))
def test_every_mode_has_a_pattern_and_the_page_tells_of_it(mode):
    page = (ROOT / "docs/panel.md").read_text()
    rows = re.findall(r"^\| (.+?) \| (.+?) \|", page, re.MULTILINE)
    found = [light for modes, light in rows if f"`{mode}`" in modes]
    assert found == [PATTERNS[mode].words]


def test_answers_are_told_on_the_page_too():
    page = (ROOT / "docs/panel.md").read_text()
    assert REFUSED.words in page
    assert TAKEN.words in page


def test_the_led_follows_the_rig(tmp_path):
    async def body(desk: Desk):
        seen = {Mode.UNHOMED: await desk.lights(4.2)}
        await desk.press("home")
        seen[Mode.HOMING] = await desk.lights(1.0)
        await desk.reached(Mode.IDLE)
        await passes(0.1)
        seen[Mode.IDLE] = await desk.lights(3.0)
        await desk.pushed_to(Mode.CAPTURING, "start")
        seen[Mode.CAPTURING] = await desk.lights(4.5)
        await desk.pushed_to(Mode.PAUSED, "pause")
        seen[Mode.PAUSED] = await desk.lights(4.0)
        return seen

    seen = at_panel(tmp_path, body)
    assert {(lit, lasted) for lit, lasted in seen[Mode.UNHOMED][1:-1]} == {(True, 0.15), (False, 1.85)}
    assert {lasted for _, lasted in seen[Mode.HOMING][1:-1]} == {0.25}
    assert [lit for lit, _ in seen[Mode.IDLE]] == [True]
    assert {lasted for _, lasted in seen[Mode.CAPTURING][1:-1]} == {1.0}
    assert (False, 1.4) in seen[Mode.PAUSED]
    assert sum(lit for lit, _ in seen[Mode.PAUSED]) in {4, 5, 6}


def test_a_mark_is_winked_at(tmp_path):
    async def body(desk: Desk):
        await desk.pushed_to(Mode.IDLE, "home")
        await passes(0.2)
        desk.panel.buttons["near"].press()
        return await desk.lights(1.0)

    lights = at_panel(tmp_path, body)
    assert [lit for lit, _ in lights] == [True, False, True, False, True]


def test_the_led_is_dark_afterwards_and_no_lamp_for_the_camera(tmp_path):
    async def body(desk: Desk):
        await desk.pushed_to(Mode.IDLE, "home")
        await passes(1.0)
        assert desk.panel.light.lit
        return desk

    desk = at_panel(tmp_path, body)
    assert not desk.panel.light.lit
    assert desk.rig.parts.context.shared.get("sim.lamps") is None


def test_a_panel_of_an_led_alone(tmp_path):
    text = PANEL[: PANEL.index("panel:")] + "panel: {led: {driver: sim}}\n"

    async def body(desk: Desk):
        await passes(0.05)
        return desk.panel.buttons

    assert at_panel(tmp_path, body, text=text) == {}
