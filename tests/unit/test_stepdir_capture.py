"""Whole stacks by a rail on mock pins: with a camera on a wired release, and with real photographs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from drivers.clock import SystemClock, VirtualClock
from rigd.app import open_rig
from rigd.cli.exits import Exit
from rigd.cli.parser import run_command_line
from rigd.config import load
from rigd.machine import events as ev
from rigd.machine.state import Mode
from rigd.session import survey, verify
from rigd.session.journal import read
from rigd.virtualtime import run
from tests.emulators.stepdir import OPTIONS, carriage_on_pins
from tests.rigs import passes

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
FRAMES = 6
FULL = 5
UM = 0.625
ZERO = 320
"""Microsteps from where the home switch closes to position 0."""
CONFIG = """
rig: {{id: bench}}
rail:
  driver: stepdir
{rail}
camera: {{driver: replay, folder: {folder}, first_um: 500, step_um: 50, transfer_s: 0}}
{shutter}
limits: {{max_um: 8000}}
plan: {{near_um: 500, step_um: 50, frames: {frames}}}
settle: {{fixed_s: 0.02}}
finish: {{enabled: false}}
storage: {{sessions: {here}/sessions}}
service: {{state: {here}/state}}
"""
RELEASE = "shutter: {driver: release, release_pin: 5, press_s: 0.01, bulb: true, lag_s: 0.01}"


def written(here, folder, *, shutter="", frames=FRAMES):
    rail = "\n".join(
        f"  {key}: {json.dumps(value)}" for key, value in (OPTIONS | {"backlash_um": 20}).items()
    )
    path = here / "rig.yaml"
    path.write_text(CONFIG.format(rail=rail, folder=folder, here=here, shutter=shutter, frames=frames))
    return path


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    chance = np.random.default_rng(5)
    for number in range(FRAMES):
        picture = chance.integers(0, 255, (48, 64, 3), dtype=np.uint8)
        (folder / f"{number}.jpg").write_bytes(simplejpeg.encode_jpeg(picture, quality=95))
    return folder


def frames_of(path):
    return [entry for entry in read(path / "journal.jsonl").entries if entry["event"] == "frame"]


def camera_on(pins, carriage):
    """Where the carriage really stood, in microsteps from 0, at each press of the release."""
    stood = []
    pins[FULL].wired = lambda level: stood.append((carriage.place - ZERO, carriage.edges)) if level else None
    return stood


def test_a_stack_by_the_command_line_with_a_wired_release(tmp_path, photographs, capsys):
    config = written(tmp_path, photographs, shutter=RELEASE)
    with carriage_on_pins(SystemClock(), start=900) as (_, carriage, pins):
        stood = camera_on(pins, carriage)
        code = run_command_line(["capture", "--config", str(config), "--json"])
        said = json.loads(capsys.readouterr().out)
        assert (code, said["ok"]) == (Exit.DONE, True)
        assert pins.driven() == []
        assert carriage.motor.slips == carriage.unpowered == 0
    (session,) = survey(tmp_path / "sessions")
    assert (session.outcome, session.frames) == ("complete", FRAMES)
    assert len(stood) == FRAMES
    for index, (place, _) in enumerate(stood):
        assert place * UM == pytest.approx(500 + 50 * index, abs=2 * UM)
    assert np.ptp(np.diff([place for place, _ in stood])) == 0, "every step is the same number of pulses"


def test_an_estop_in_a_move_stops_the_pulses(tmp_path, photographs):
    config = written(tmp_path, photographs, shutter=RELEASE)
    clock = VirtualClock()
    with carriage_on_pins(clock, start=900) as (_, carriage, pins):

        async def main():
            async with open_rig(load(config), clock) as rig:
                await rig.home()
                await rig.start("test", rig.plan().plan)
                while not pins[FULL].state:
                    await passes(0.01)
                begun = carriage.edges
                while carriage.edges < begun + 5:
                    await passes(0.002)
                    carriage.lgpio.catch_up()
                await rig.command(ev.EStop())
                await rig.controller.reached(Mode.ESTOPPED)
                carriage.lgpio.catch_up()
                before = carriage.edges
                assert before < begun + 80, "in the middle of a step of 50 um"
                await passes(1.0)
                carriage.lgpio.catch_up()
                assert carriage.edges == before
                assert pins[16].state, "the motor is off"

        run(main(), clock)
        assert pins.driven() == []


@pytest.mark.parametrize(("stack", "frames"), {"pcb-switch": 10, "fibre-end-rpi": 12}.items())
def test_real_photographs(tmp_path, stack, frames, capsys):
    folder = DATA / stack
    if not folder.is_dir():
        pytest.skip(f"the real stacks lie beside the checkout, in {DATA}; they are not here")
    config = written(tmp_path, folder, frames=frames)
    with carriage_on_pins(SystemClock(), start=900) as (_, carriage, _):
        assert run_command_line(["capture", "--config", str(config), "--json"]) == Exit.DONE
        assert carriage.motor.slips == 0
    capsys.readouterr()
    (session,) = survey(tmp_path / "sessions")
    assert verify(session.path).whole
    assert (session.outcome, session.frames) == ("complete", frames)
    originals = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".jpg")
    stored = sorted((session.path / "frames").iterdir())
    assert [path.read_bytes() for path in stored] == [path.read_bytes() for path in originals]
    assert [frame["position"] for frame in frames_of(session.path)]
