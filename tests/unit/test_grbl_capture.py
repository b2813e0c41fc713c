"""A whole stack by `rigd capture`: emulated Grbl on a wire, photographs for a camera."""

import json
from contextlib import ExitStack

import numpy as np
import pytest
import simplejpeg

from drivers.clock import SystemClock
from rigd.cli.exits import Exit
from rigd.cli.parser import run_command_line
from rigd.session import survey
from rigd.sole import only_one
from tests.emulators.grbl_rails import GRBL, OPTIONS, emulated

FRAMES = 8
FIRST_UM, STEP_UM = 3000.0, 25.0


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    chance = np.random.default_rng(5)
    for number in range(FRAMES + 4):
        picture = chance.integers(0, 255, (64, 96, 3), dtype=np.uint8)
        (folder / f"{number}.jpg").write_bytes(simplejpeg.encode_jpeg(picture, quality=95))
    return folder


def written(folder, photographs, port, kit):
    """A config of this rig; its path."""
    lines = "\n".join(f"  {key}: {json.dumps(value)}" for key, value in (OPTIONS | kit.options).items())
    config = folder / "rig.yaml"
    config.write_text(
        f"rig: {{id: bench}}\nrail:\n  driver: grbl\n  port: {port}\n{lines}\n"
        f"camera: {{driver: replay, folder: {photographs}, first_um: {FIRST_UM}, step_um: {STEP_UM}, transfer_s: 0}}\n"
        f"plan: {{near_um: {FIRST_UM}, step_um: {STEP_UM}, frames: {FRAMES}}}\n"
        "limits: {max_um: 50000}\nsettle: {fixed_s: 0.01}\nfinish: {enabled: false}\n"
        f"storage: {{sessions: {folder / 'sessions'}}}\nservice: {{state: {folder / 'state'}}}\n"
    )
    return str(config)


@pytest.mark.parametrize("name", ["grbl, finer than its reports", "FluidNC"])
def test_a_stack_on_an_emulated_controller(tmp_path, photographs, capsys, name):
    kit = GRBL[name]
    with ExitStack() as stack:
        emulator, _ = emulated(kit, tmp_path / "grbl", SystemClock(), stack, speed=3.0)
        config = written(tmp_path, photographs, emulator.port, kit)
        code = run_command_line(["capture", "--config", config, "--json"])
        said = json.loads(capsys.readouterr().out)
        assert (code, said["ok"]) == (Exit.DONE, True)
        assert emulator.firmware.state == "Idle"
        moves = [line for line in emulator.firmware.lines if line.startswith("$J=")]
    (session,) = survey(tmp_path / "sessions")
    assert (session.outcome, session.frames) == ("complete", FRAMES)
    assert len(moves) >= FRAMES
    for frame, path in enumerate(sorted((session.path / "frames").glob("*.jpg"))):
        assert path.read_bytes() == (photographs / f"{frame}.jpg").read_bytes()


def test_a_plug_pulled_in_the_middle_and_put_back(tmp_path, photographs, capsys):
    """The stack stops as a failure of hardware, and resumes."""
    kit = GRBL["grbl"]
    with ExitStack() as stack:
        emulator, _ = emulated(kit, tmp_path / "grbl", SystemClock(), stack, speed=3.0)
        config = written(tmp_path, photographs, emulator.port, kit)
        fifth_mm = 1.0 + (FIRST_UM + 4 * STEP_UM) / 1000
        emulator.faults.unplug_at = f"X-{fifth_mm:.6f}".encode()
        assert run_command_line(["capture", "--config", config, "--json"]) == Exit.HARDWARE
        said = json.loads(capsys.readouterr().out)
        assert "unplugged" in said["error"]
        assert emulator.port in said["error"]
        (session,) = survey(tmp_path / "sessions")
        assert session.unfinished
        assert session.frames == 4
        emulator.plug()
        assert run_command_line(["resume", str(session.path), "--json"]) == Exit.DONE
    (session,) = survey(tmp_path / "sessions")
    assert (session.outcome, session.frames) == ("complete", FRAMES)


def test_a_rig_that_is_served_already_is_left_alone(tmp_path, photographs, capsys):
    """Opening the port a second time resets the controller under the daemon that moves it."""
    kit = GRBL["FluidNC"]
    with ExitStack() as stack:
        emulator, _ = emulated(kit, tmp_path / "grbl", SystemClock(), stack, speed=3.0)
        config = written(tmp_path, photographs, emulator.port, kit)
        heard = len(emulator.firmware.lines)
        with only_one(tmp_path / "state" / "bench"):
            code = run_command_line(["capture", "--config", config, "--json"])
        said = json.loads(capsys.readouterr().out)
        assert (code, said["kind"]) == (Exit.HARDWARE, "hardware")
        assert "another rigd" in said["error"]
        assert len(emulator.firmware.lines) == heard
