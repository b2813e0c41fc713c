"""Whole stacks by `rigd capture` as their owners build them: a camera on USB, with a rail and a release that are no simulation."""

from __future__ import annotations

import json
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from drivers.clock import SystemClock
from rigd.cli.exits import Exit
from rigd.cli.parser import run_command_line
from rigd.session import survey, verify
from rigd.session.journal import read
from tests.emulators import gphoto2_fake, ptp_virtual
from tests.emulators.grbl_rails import GRBL, emulated
from tests.emulators.grbl_rails import OPTIONS as GRBL_OPTIONS
from tests.emulators.stepdir import OPTIONS as STEPDIR_OPTIONS
from tests.emulators.stepdir import carriage_on_pins

FULL = 5
NEAR_UM, STEP_UM = 500.0, 50.0


def written(folder: Path, rail: dict, camera: dict, frames: int, **sections: dict) -> str:
    config = {
        "rig": {"id": "bench"},
        "rail": rail,
        "camera": {"driver": "gphoto2", **camera},
        "limits": {"max_um": 8000},
        "plan": {"near_um": NEAR_UM, "step_um": STEP_UM, "frames": frames},
        "settle": {"fixed_s": 0.02},
        "capture": {"exposure_timeout_s": 10, "transfer_timeout_s": 5, "checks": {"sharpness_ratio": 0}},
        "preview": {"threads": 1},
        "finish": {"enabled": False},
        "storage": {"sessions": str(folder / "sessions")},
        "service": {"state": str(folder / "state")},
        **sections,
    }
    path = folder / "rig.yaml"
    path.write_text(json.dumps(config))
    return str(path)


def captured(folder: Path, config: str, frames: int, capsys) -> list[dict]:
    """Capture a stack; what its journal says of each frame."""
    code = run_command_line(["capture", "--config", config, "--json"])
    said = json.loads(capsys.readouterr().out)
    assert (code, said["ok"]) == (Exit.DONE, True), said
    (session,) = survey(folder / "sessions")
    assert (session.outcome, session.frames) == ("complete", frames)
    assert verify(session.path).whole
    records = [entry for entry in read(session.path / "journal.jsonl").entries if entry["event"] == "frame"]
    assert len(records) == frames
    for record in records:
        assert record["settled_s"] <= record["start_s"] < record["end_s"]
    return records


@ptp_virtual.needs_wheel
def test_grbl_and_a_camera_on_usb(tmp_path, capsys):
    """An emulated controller, and libgphoto2 itself with the camera that it carries, which gives 26 pictures a process."""
    frames = 30
    assert frames > ptp_virtual.PER_PROCESS
    with ExitStack() as stack:
        emulator, _ = emulated(GRBL["grbl"], tmp_path / "grbl", SystemClock(), stack, speed=3.0)
        camera = stack.enter_context(ptp_virtual.virtual_camera(tmp_path / "camera"))
        stack.enter_context(camera.changing())
        rail = {"driver": "grbl", "port": emulator.port, **GRBL_OPTIONS}
        records = captured(tmp_path, written(tmp_path, rail, ptp_virtual.OPTIONS, frames), frames, capsys)
        moves = [line for line in emulator.firmware.lines if line.startswith("$J=")]
    assert len(moves) >= frames
    positions = [record["position"] for record in records]
    assert {after - before for before, after in pairwise(positions)} == {round(STEP_UM * 1.6)}


@pytest.mark.parametrize("sync", [False, True], ids=["the camera's word", "a sync contact"])
def test_stepdir_and_a_camera_on_usb_that_a_release_fires(tmp_path, capsys, sync):
    """Nobody but the release on the pin opens the shutter, always while the carriage stands where the plan has it."""
    frames, contact, exposure_s = 6, 22, gphoto2_fake.OPTIONS["exposure_s"]
    clock = SystemClock()
    fake = gphoto2_fake.FakeCamera(tmp_path / "camera")
    shutter = {"driver": "release", "release_pin": FULL, "press_s": 0.02, "lag_s": 0.001}
    if sync:
        shutter |= {"sync_pin": contact, "curtain_s": 0.001}
    rail = {"driver": "stepdir", **STEPDIR_OPTIONS, "backlash_um": 20}
    config = written(tmp_path, rail, gphoto2_fake.OPTIONS, frames, shutter=shutter)
    with gphoto2_fake.playing(fake), carriage_on_pins(clock, start=900) as (_, carriage, pins):
        stood, closed_by_s = [], []

        def pressed(level: float) -> None:
            if level:
                stood.append(carriage.place)
                open_s = clock.now()
                fake.press(open_s, open_s + exposure_s)
            if sync:
                (pins[contact].drive_low if level else pins[contact].drive_high)()
            if level:
                # A contact on a busy machine closes later than the shutter opens: no record can know it before.
                closed_by_s.append(clock.now() if sync else open_s)

        pins[FULL].wired = pressed
        records = captured(tmp_path, config, frames, capsys)
        assert pins.driven() == []
        assert carriage.motor.slips == 0
    assert not fake.calls("trigger_capture")
    assert len(stood) == len(fake.exposures) == frames
    assert {after - before for before, after in pairwise(stood)} == {round(STEP_UM / 0.625)}
    for record, (_, close_s), known_s in zip(records, fake.exposures, closed_by_s, strict=True):
        assert record["start_s"] <= known_s
        assert close_s <= record["end_s"] + 1e-6
