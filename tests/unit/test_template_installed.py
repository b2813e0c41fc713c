"""Somebody else's driver, installed as a package: rigd finds it by its entry point, checks configs with it and drives it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "templates" / "driver"
RIG = """\
rail: {{driver: plain, port: {port}, travel_um: 20000}}
camera: {{driver: replay, folder: ., first_um: 0, step_um: 10}}
limits: {{max_um: 19000}}
"""
DRIVE = """
import sys
from pathlib import Path
from drivers.clock import SystemClock
from drivers.registry import Context, create, find, options_class
from rigd.config import load
from rigd_plain.emulator import PlainEmulator

config = load(Path(sys.argv[1]))
clock = SystemClock()
with PlainEmulator(Path(config.rail.options.port), clock, start=500) as emulator:
    rail = create(find("rail", config.rail.driver), config.rail.options, Context(clock))
    rail.open()
    rail.start_home()
    while (status := rail.poll()).moving:
        pass
    rail.start_move(700)
    while (status := rail.poll()).moving:
        pass
    rail.close()
    print(status.position, emulator.true_microsteps())
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder of packages, as pip fills one; nothing is fetched."""
    folder = tmp_path_factory.mktemp("packages")
    copy = tmp_path_factory.mktemp("source") / "driver"
    for path in TEMPLATE.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            target = copy / path.relative_to(TEMPLATE)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        "--no-index",
        "--no-deps",
    ]
    ran = subprocess.run(
        [*pip, "--no-build-isolation", "--target", str(folder), str(copy)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return folder


def run(installed, *command, cwd):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(installed), str(ROOT)))}
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False)


def written(folder, **changes):
    path = folder / "rig.yaml"
    path.write_text(RIG.format(port=folder / "port", **changes))
    return path


def test_its_options_are_checked(installed, tmp_path):
    rig = written(tmp_path)
    ran = run(installed, sys.executable, "-m", "rigd", "check", str(rig), cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr + ran.stdout
    assert "driver: plain" in ran.stdout
    assert "response_timeout_s: 0.5" in ran.stdout
    rig.write_text(rig.read_text().replace("travel_um: 20000", "travel_mm: 20").replace("19000", "90000"))
    ran = run(installed, sys.executable, "-m", "rigd", "check", str(rig), cwd=tmp_path)
    assert ran.returncode != 0
    assert "did you mean travel_um: 20000 (20 mm)?" in ran.stderr + ran.stdout


def test_it_drives(installed, tmp_path):
    ran = run(installed, sys.executable, "-c", DRIVE, str(written(tmp_path)), cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["700", "700.0"]


def test_without_it_its_name_is_unknown(tmp_path):
    ran = run(tmp_path, sys.executable, "-m", "rigd", "check", str(written(tmp_path)), cwd=tmp_path)
    assert ran.returncode != 0
    assert "no rail driver 'plain'" in ran.stderr + ran.stdout


def test_it_needs_nothing_but_what_drivers_may_use():
    """Not the daemon: a driver stands on `drivers`."""
    for path in (TEMPLATE / "rigd_plain").glob("*.py"):
        text = path.read_text()
        assert "import rigd." not in text
        assert "from rigd." not in text
