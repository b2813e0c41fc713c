"""Whole stacks with a wired release, lamp and e-stop on mock pins, and with a motor driver on a wire."""

from __future__ import annotations

import json

import numpy as np
import pytest
import simplejpeg

from drivers.base import DriverError
from drivers.clock import SystemClock, VirtualClock
from drivers.fired import FiredCamera
from drivers.registry import Context
from drivers.replay import ReplayCamera, ReplayOptions
from drivers.sim.options import SimShutterOptions
from drivers.sim.parts import SimShutter
from rigd.app import open_rig
from rigd.cli.exits import Exit
from rigd.cli.parser import run_command_line
from rigd.config import load
from rigd.machine import events as ev
from rigd.machine.state import Mode
from rigd.session import survey
from rigd.session.journal import read
from rigd.virtualtime import run
from tests.emulators.tmc2209 import Wire
from tests.pins import mock_pins
from tests.rigs import passes

FRAMES = 6
FULL, HALF, SYNC, LAMP, ESTOP = 5, 6, 22, 12, 13
CONFIG = """
rig: {{id: bench}}
rail: {{driver: sim, travel_um: 20000, start_um: 300, backlash_um: 20}}
camera: {{driver: replay, folder: {folder}, first_um: 3000, step_um: 50, exposure_s: 0.02, transfer_s: 0}}
shutter: {{driver: release, release_pin: 5, focus_pin: 6, half_press_s: 0.01, press_s: 0.01, bulb: true, lag_s: 0.01,
  sync_pin: 22, sync_timeout_s: 0.2, curtain_s: 0.001}}
light: {{driver: gpio, pin: 12}}
switches: {{estop: {{driver: gpio, pin: 13, normally_closed: true, debounce_s: 0}}}}
limits: {{max_um: 20000}}
plan: {{near_um: 3000, step_um: 50, frames: 6}}
settle: {{fixed_s: 0.05}}
finish: {{enabled: false}}
storage: {{sessions: {here}/sessions}}
service: {{state: {here}/state}}
"""


@pytest.fixture
def config(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    chance = np.random.default_rng(5)
    for number in range(FRAMES):
        picture = chance.integers(0, 255, (48, 64, 3), dtype=np.uint8)
        (folder / f"{number}.jpg").write_bytes(simplejpeg.encode_jpeg(picture, quality=95))
    path = tmp_path / "rig.yaml"
    path.write_text(CONFIG.format(folder=folder, here=tmp_path))
    return path


def wire(pins, *, misses=()):
    """The camera on the release: its sync contact is closed while the release is pressed, but for some presses."""
    presses = []

    def camera(level):
        if level:
            presses.append(level)
        if len(presses) not in misses:
            (pins[SYNC].drive_low if level else pins[SYNC].drive_high)()

    pins[FULL].wired = camera
    estop = pins[ESTOP]
    estop._set_pull = lambda value: setattr(estop, "_pull", value)
    estop.drive_low()
    return presses


def frames_of(path):
    return [entry for entry in read(path / "journal.jsonl").entries if entry["event"] == "frame"]


def test_a_stack_by_the_command_line(config, capsys):
    clock = SystemClock()
    with mock_pins(clock) as pins:
        presses = wire(pins)
        code = run_command_line(["capture", "--config", str(config), "--json"])
        assert (code, json.loads(capsys.readouterr().out)["ok"]) == (Exit.DONE, True)
        held = [at for at, level in pins[FULL].levels if level]
        half = [at for at, level in pins[HALF].levels if level]
        lamp = pins[LAMP].levels
        assert pins.driven() == []
    (session,) = survey(config.parent / "sessions")
    assert (session.outcome, session.frames) == ("complete", FRAMES)
    assert len(presses) == len(held) == len(half) == FRAMES
    frames = frames_of(session.path)
    for frame, pressed_s in zip(frames, held, strict=True):
        assert frame["settled_s"] <= frame["start_s"]
        assert pressed_s - 1.0 < frame["start_s"] < frame["end_s"]
    assert [level for _, level in lamp] == [0.0, 1.0, 0.0]
    assert lamp[1][0] <= held[0]
    assert held[-1] <= lamp[2][0]


def with_pins(config, body, *, misses=(), overrides=()):
    clock = VirtualClock()
    with mock_pins(clock) as pins:
        presses = wire(pins, misses=misses)

        async def main():
            async with open_rig(load(config, overrides), clock) as rig:
                return await body(rig, pins)

        found = run(main(), clock)
        assert pins.driven() == []
        return found, presses, pins


async def stack(rig, _pins):
    await rig.home()
    session = await rig.start("test", rig.plan().plan)
    state = await rig.ended()
    return session.path, state


def test_an_exposure_without_its_edge_is_taken_again(config):
    (path, state), presses, _ = with_pins(config, stack, misses={3})
    assert state.mode is Mode.IDLE
    assert len(presses) == FRAMES + 1
    assert [frame["frame"] for frame in frames_of(path)] == list(range(FRAMES))


def test_a_broken_sync_wire_stops_the_stack_and_says_so(config):
    async def body(rig, pins):
        await rig.home()
        await rig.start("test", rig.plan().plan)
        state = await rig.controller.reached(Mode.PAUSED)
        await rig.command(ev.Abort())
        await rig.ended()
        return state

    state, _, _ = with_pins(config, body, misses=range(3, 100))
    assert "the sync contact did not close" in str(state)


def test_an_estop_in_a_long_exposure_lets_go_of_the_release(config):
    async def body(rig, pins):
        await rig.home()
        await rig.start("test", rig.plan().plan)
        while not pins[FULL].state:
            await passes(0.05)
        await passes(1.0)
        assert pins[FULL].state
        pins[ESTOP].drive_high()
        await rig.controller.reached(Mode.ESTOPPED)
        await passes(0.1)
        assert not pins[FULL].state
        assert not pins[HALF].state
        await passes(1.0)
        assert not pins[LAMP].state

    with_pins(config, body, overrides=["camera.exposure_s=30"])


def test_the_plan_knows_what_the_release_takes(config):
    rig, _, _ = with_pins(config, _capabilities)
    assert rig.overhead_s == pytest.approx(0.02)
    assert rig.name.endswith("fired by release on GPIO5")


async def _capabilities(rig, _pins):
    return rig.parts.camera.capabilities


def test_a_camera_that_does_not_open_lets_go_of_the_release(tmp_path):
    context = Context(VirtualClock())
    shutter = SimShutter(SimShutterOptions(), context)
    camera = FiredCamera(ReplayCamera(ReplayOptions(folder=tmp_path / "none"), context), shutter)
    with pytest.raises(DriverError, match="no folder"):
        camera.open()
    with pytest.raises(DriverError, match="not open"):
        shutter.fire(1.0)


def test_a_motor_driver_that_loses_its_power_stops_the_stack(config, tmp_path):
    """And the rail is homed, with the driver set anew, before the stack goes on."""
    with Wire(tmp_path / "uart") as uart:
        overrides = [f"motor={{driver: tmc2209, port: {uart.link}, run_ma: 800}}", "settle.fixed_s=2"]

        async def body(rig, _pins):
            await rig.home()
            session = await rig.start("test", rig.plan().plan)
            await passes(3.0)
            uart.chip.power_on()
            state = await rig.controller.reached(Mode.FAULT)
            assert "lost its power" in str(state)
            await rig.command(ev.ClearFault())
            await rig.controller.reached(Mode.UNHOMED)
            await rig.home()
            assert uart.chip.coil_ma(moving=True) > 700
            return session.path

        path, _, _ = with_pins(config, body, overrides=overrides)
    assert 0 < len(frames_of(path)) < FRAMES
