"""No driver blocks the loop: every verb that may take its time is called on another thread than the loop's."""

from __future__ import annotations

import threading
from collections import defaultdict

import pytest

from drivers.base import Camera, Light, Rail, Switch
from drivers.sim.camera import SimCamera
from drivers.sim.parts import SimLight, SimSwitch
from drivers.sim.rail import SimRail
from rigd.machine import events as ev
from rigd.machine.state import Mode
from tests.rigs import SMALL, small_rig, stored, with_rig
from tests.unit._panel import PANEL, Desk, at_panel

AT_ONCE = {"stop", "halt", "cancel"}
"""They wait for nobody: `tests/contract/stops.py` holds every driver to that."""
SUMS = {"move_time_s", "shape_moves"}
"""Arithmetic, and what is told to a rail that does not move."""
PROTOCOLS = {SimRail: Rail, SimCamera: Camera, SimLight: Light, SimSwitch: Switch}


@pytest.fixture
def callers(monkeypatch):
    """For each verb, as `SimRail.poll`, the threads that called it."""
    found = defaultdict(set)

    def watched(kind, name):
        verb = getattr(kind, name)

        def called(self, *args, **kwargs):
            found[f"{kind.__name__}.{name}"].add(threading.current_thread())
            return verb(self, *args, **kwargs)

        return called

    for kind, protocol in PROTOCOLS.items():
        for name in dir(protocol):
            if not name.startswith("_") and callable(getattr(kind, name, None)):
                monkeypatch.setattr(kind, name, watched(kind, name))
    return found


def on_the_loop(callers) -> set[str]:
    main = threading.main_thread()
    return {verb.partition(".")[2] for verb, threads in callers.items() if main in threads}


def test_a_rig_at_work(tmp_path, callers):
    async def body(rig, _):
        await rig.home()
        await rig.command(ev.Jog(100))
        await rig.controller.reached(Mode.IDLE)
        await rig.test_shot(lambda: None)
        await rig.start("test", rig.plan().plan)
        await stored(rig, 2)
        await rig.command(ev.Pause("for a test"))
        await rig.controller.reached(Mode.PAUSED)
        await rig.command(ev.Resume())
        await stored(rig, 2)
        await rig.command(ev.Stop("for a test"))
        await rig.controller.reached(Mode.PAUSED)
        await rig.command(ev.EStop("for a test"))
        await rig.controller.reached(Mode.ESTOPPED)

    text = "light: {driver: sim}\nswitches: {estop: {driver: sim}}\n"
    with_rig(small_rig(tmp_path, text=SMALL + text), body)
    assert on_the_loop(callers) <= AT_ONCE | SUMS
    assert {
        "SimRail.poll",
        "SimRail.start_move",
        "SimCamera.expose",
        "SimCamera.fetch",
        "SimLight.on",
    } <= set(callers)
    assert "SimSwitch.pressed" in callers


def test_a_panel_at_work(tmp_path, callers):
    async def body(desk: Desk):
        await desk.pushed_to(Mode.IDLE, "home")
        await desk.press("jog_far", 1.0)
        await desk.pushed_to(Mode.IDLE, "stop")

    at_panel(tmp_path, body, text=PANEL)
    assert on_the_loop(callers) <= AT_ONCE | SUMS
    assert {"SimSwitch.pressed", "SimLight.on"} <= set(callers)
