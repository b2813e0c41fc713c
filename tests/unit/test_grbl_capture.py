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


@pytest.mark.parametrize("name", ["grbl, finer than its reports", "FluidNC"])
def test_a_stack_on_an_emulated_controller(tmp_path, photographs, capsys, name):
    kit = GRBL[name]
    with ExitStack() as stack:
        emulator, _ = emulated(kit, tmp_path / "grbl", SystemClock(), stack, speed=3.0)
        lines = "\n".join(f"  {key}: {json.dumps(value)}" for key, value in (OPTIONS | kit.options).items())
        config = tmp_path / "rig.yaml"
        config.write_text(
            f"rig: {{id: bench}}\nrail:\n  driver: grbl\n  port: {emulator.port}\n{lines}\n"
            f"camera: {{driver: replay, folder: {photographs}, first_um: {FIRST_UM}, step_um: {STEP_UM}, transfer_s: 0}}\n"
            f"plan: {{near_um: {FIRST_UM}, step_um: {STEP_UM}, frames: {FRAMES}}}\n"
            "limits: {max_um: 50000}\nsettle: {fixed_s: 0.01}\nfinish: {enabled: false}\n"
            f"storage: {{sessions: {tmp_path / 'sessions'}}}\nservice: {{state: {tmp_path / 'state'}}}\n"
        )
        code = run_command_line(["capture", "--config", str(config), "--json"])
        said = json.loads(capsys.readouterr().out)
        assert (code, said["ok"]) == (Exit.DONE, True)
        assert emulator.firmware.state == "Idle"
        moves = [line for line in emulator.firmware.lines if line.startswith("$J=")]
    (session,) = survey(tmp_path / "sessions")
    assert (session.outcome, session.frames) == ("complete", FRAMES)
    assert len(moves) >= FRAMES
    for frame, path in enumerate(sorted((session.path / "frames").glob("*.jpg"))):
        assert path.read_bytes() == (photographs / f"{frame}.jpg").read_bytes()
