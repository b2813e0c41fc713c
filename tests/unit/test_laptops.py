"""A laptop without any library of hardware: every config can be checked there, and a capture says what to install."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from rigd.cli.exits import Exit
from rigd.cli.parser import run_command_line

CONFIGS = Path(__file__).parents[2] / "config"
LIBRARIES = ("serial", "gpiozero", "lgpio", "picamera2", "libcamera", "gphoto2")
RAILS = {
    "grbl": ("{driver: grbl, port: /dev/serial0, steps_per_mm: 1600, travel_um: 60000}", "install pyserial"),
    "stepdir": (
        "{driver: stepdir, step_pin: 20, dir_pin: 21, enable_pin: 16, home_pin: 26, screw_pitch_um: 2000, travel_um: 60000}",
        "install lgpio",
    ),
}
CONFIG = """
rig: {{id: laptop}}
rail: {rail}
camera: {camera}
{more}
limits: {{max_um: 50000}}
plan: {{near_um: 1000, step_um: 100, frames: 3}}
preview: {{threads: 1}}
storage: {{sessions: {here}/sessions}}
service: {{state: {here}/state}}
"""


@pytest.fixture
def laptop(monkeypatch):
    for name in LIBRARIES:
        monkeypatch.setitem(sys.modules, name, None)


def captured(folder: Path, capsys, rail: str, more: str = "") -> str:
    """What a capture says that cannot be."""
    (folder / "photos").mkdir()
    picture = simplejpeg.encode_jpeg(np.zeros((16, 24, 3), dtype=np.uint8))
    for number in range(3):
        (folder / "photos" / f"{number}.jpg").write_bytes(picture)
    camera = f"{{driver: replay, folder: {folder / 'photos'}, first_um: 1000, step_um: 100}}"
    path = folder / "rig.yaml"
    path.write_text(CONFIG.format(rail=rail, camera=camera, more=more, here=folder))
    code = run_command_line(["capture", "--config", str(path), "--json"])
    said = json.loads(capsys.readouterr().out)
    assert (code, said["ok"]) == (Exit.HARDWARE, False), said
    assert not (folder / "sessions").exists()
    error: str = said["error"]
    return error


@pytest.mark.usefixtures("laptop")
@pytest.mark.parametrize("name", sorted(path.name for path in CONFIGS.glob("*.yaml")))
def test_every_config_can_be_checked(name, capsys):
    assert run_command_line(["check", str(CONFIGS / name)]) == Exit.DONE
    capsys.readouterr()


@pytest.mark.usefixtures("laptop")
@pytest.mark.parametrize("name", RAILS)
def test_a_rail_names_the_library_that_is_missing(tmp_path, capsys, name):
    rail, install = RAILS[name]
    said = captured(tmp_path, capsys, rail)
    assert install in said
    assert "pip install" in said
    assert "apt install" in said


@pytest.mark.usefixtures("laptop")
def test_an_emergency_stop_that_cannot_be_looked_at_is_no_rig(tmp_path, capsys):
    said = captured(
        tmp_path, capsys, "{driver: sim, travel_um: 60000}", "switches: {estop: {driver: gpio, pin: 13}}"
    )
    assert "switches.estop" in said
    assert "install gpiozero" in said
