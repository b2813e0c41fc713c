"""What is stored on a controller against what the config says: read, compared, written on request, on the wire."""

import json
import sys
from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from drivers import serialport
from drivers.base import AlarmResponse, DriverError, DriverNotAvailable
from drivers.clock import SystemClock
from drivers.grbl import firmware, port, settings
from drivers.grbl.options import GrblOptions
from drivers.grbl.settings import Firmware
from rigd.cli.exits import Exit
from rigd.cli.parser import run_command_line
from tests.emulators.grbl_rails import GRBL, OPTIONS, SETTINGS, Kit, emulated


def options(**changes):
    return GrblOptions(**({"port": "/dev/null"} | OPTIONS | changes))


def found(changes=None, letters="V"):
    return Firmware(
        "Grbl 1.1h", (), letters, {key: float(value) for key, value in (SETTINGS | (changes or {})).items()}
    )


def test_what_fits_differs_in_nothing():
    assert settings.differences(found(), options()) == []
    assert settings.differences(found({100: 666.667}), options(steps_per_mm=666.667)) == []


@pytest.mark.parametrize(
    ("changes", "number", "must", "writable"),
    [
        ({100: 1600.5}, 100, True, True),
        ({110: 300.0}, 110, False, True),
        ({120: 10.0}, 120, False, True),
        ({130: 200.0}, 130, False, True),
        ({1: 25}, 1, False, True),
        ({13: 1}, 13, False, True),
        ({20: 0}, 20, False, True),
        ({22: 0}, 22, True, True),
        ({23: 1}, 23, False, False),
        ({21: 0}, 21, False, True),
    ],
)
def test_each_setting_that_matters(changes, number, must, writable):
    (difference,) = settings.differences(found({21: 1} | changes), options(hard_limits=True))
    assert (difference.number, difference.must, difference.writable) == (number, must, writable)
    assert f"${number}" in str(difference)
    assert f"{changes[number]:g}" in str(difference)


def test_without_homing_its_settings_do_not_matter():
    assert settings.differences(found({20: 0, 22: 0, 23: 1}), options(homing=False)) == []


def test_what_a_controller_does_not_tell_is_not_held_against_it():
    silent = Firmware("Grbl 3.7 [FluidNC]", (), "", {})
    assert settings.differences(silent, options()) == []
    assert settings.direction(silent, options()) == -1
    assert settings.direction(silent, options(invert=False)) == 1
    assert settings.reach_um(silent, options()) == 60_000


def test_another_axis():
    values = {102: 640.0, 112: 60.0, 122: 5.0, 132: 30.0}
    fitting = options(
        axis="Z", steps_per_mm=640, max_rate_mm_per_min=60, acceleration_mm_per_s2=5, travel_um=30_000
    )
    assert settings.differences(found(values), fitting) == []
    assert settings.direction(found({23: 4}), fitting) == 1
    assert settings.direction(found({23: 3}), fitting) == -1


def test_the_travel_begins_where_homing_ends():
    assert settings.reach_um(found(), options()) == 59_000
    assert settings.reach_um(found({130: 80.0}), options()) == 60_000
    assert settings.reach_um(found({20: 0}), options()) == 60_000
    assert settings.reach_um(found(letters="VZ"), options()) == 60_000
    assert settings.zeros(found(), options()) == (-1600, -94_400, 0, 1600)


DIFFERING = {1: 25, 20: 0, 22: 0, 100: 250.0, 110: 500.0, 120: 10.0, 130: 200.0}


@pytest.fixture
def fresh(tmp_path):
    """A controller out of the box."""
    with ExitStack() as stack:
        emulator, _ = emulated(Kit(DIFFERING), tmp_path / "grbl", SystemClock(), stack, speed=10.0)
        yield emulator


@pytest.fixture
def config(fresh, tmp_path):
    path = tmp_path / "rig.yaml"
    lines = "\n".join(f"  {key}: {json.dumps(value)}" for key, value in OPTIONS.items())
    path.write_text(
        f"rig: {{id: bench}}\nrail:\n  driver: grbl\n  port: {fresh.port}\n{lines}\n"
        "camera: {driver: picamera2}\nlimits: {max_um: 50000}\n"
    )
    return str(path)


def test_checking_writes_nothing(fresh, config, capsys):
    assert run_command_line(["firmware", "check", "--config", config]) == Exit.CONFIG
    said = capsys.readouterr().out
    assert "$100 (steps/mm of X) is 250, the config says 1600" in said
    assert "7 settings differ, and the rail is not opened like this" in said
    assert fresh.firmware.writes == 0


def test_applying_writes_reads_back_and_is_done(fresh, config, capsys):
    assert run_command_line(["firmware", "apply", "--config", config, "--json"]) == Exit.DONE
    said = json.loads(capsys.readouterr().out)
    assert said["ok"]
    assert sorted(row["setting"] for row in said["written"]) == sorted(f"${number}" for number in DIFFERING)
    assert said["differences"] == []
    assert fresh.firmware.settings[100] == 1600.0
    assert fresh.firmware.writes == len(DIFFERING)
    assert run_command_line(["firmware", "check", "--config", config]) == Exit.DONE
    assert run_command_line(["firmware", "apply", "--config", config]) == Exit.DONE
    assert fresh.firmware.writes == len(DIFFERING)


@pytest.mark.parametrize(
    ("answer", "code"), [("n", Exit.INTERRUPTED), ("", Exit.INTERRUPTED), ("y", Exit.DONE)]
)
def test_in_a_terminal_it_asks(fresh, config, monkeypatch, answer, code):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("builtins.input", lambda _: answer)
    assert run_command_line(["firmware", "apply", "--config", config]) == code
    assert (fresh.firmware.writes > 0) == (code == Exit.DONE)


def test_the_direction_is_left_to_people(fresh, config, capsys):
    arguments = ["--config", config, "--set", "rail.invert=false"]
    assert run_command_line(["firmware", "apply", *arguments, "--yes"]) == Exit.CONFIG
    said = capsys.readouterr().out
    assert "$23" in said
    assert "not written by rigd" in said
    assert fresh.firmware.settings[23] == 0


def test_a_rail_without_firmware(tmp_path, capsys):
    path = tmp_path / "rig.yaml"
    path.write_text("rig: {id: sim}\nrail: {driver: sim}\ncamera: {driver: sim}\nlimits: {max_um: 50000}\n")
    assert run_command_line(["firmware", "check", "--config", str(path)]) == Exit.USAGE
    assert "sim" in capsys.readouterr().err


def test_settings_that_can_only_be_read(tmp_path):
    kit = Kit({120: 5.0}, firmware=GRBL["FluidNC"].firmware)
    with ExitStack() as stack:
        emulator, _ = emulated(kit, tmp_path / "grbl", SystemClock(), stack, speed=10.0)
        with pytest.raises(AlarmResponse, match="error:160") as caught:
            firmware.apply(options(port=emulator.port), SystemClock())
        assert "$120=" in str(caught.value)


# ------------------------------------------------------------------------------------------------------- finding a port


def usb(device, vid=0x1A86, pid=0x7523, serial_number=None):
    return SimpleNamespace(device=device, vid=vid, pid=pid, serial_number=serial_number)


@pytest.mark.parametrize(
    ("name", "ports", "device"),
    [
        ("usb:1a86:7523", [usb("/dev/ttyUSB3"), usb("/dev/ttyS0", None, None)], "/dev/ttyUSB3"),
        ("usb:1A86:7523:B", [usb("/dev/a", serial_number="A"), usb("/dev/b", serial_number="B")], "/dev/b"),
    ],
)
def test_a_port_found_by_its_usb_ids(monkeypatch, name, ports, device):
    pytest.importorskip("serial")
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: ports)
    assert serialport.usb_device(name) == device


@pytest.mark.parametrize(
    ("ports", "words"),
    [
        ([usb("/dev/x", 0x2341, 0x43)], "2341:0043"),
        ([], "none"),
        ([usb("/dev/a"), usb("/dev/b")], "/dev/a .*, /dev/b"),
    ],
)
def test_none_or_several_are_named(monkeypatch, ports, words):
    pytest.importorskip("serial")
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: ports)
    with pytest.raises(DriverError, match=words):
        serialport.usb_device("usb:1a86:7523")


def test_without_pyserial_it_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "serial", None)
    with pytest.raises(DriverNotAvailable, match="pyserial"):
        port.Port("/dev/ttyUSB0", 115_200).open()


@pytest.mark.parametrize("name", ["/dev/serial/by-id/no-such-board", "socket:127.0.0.1:1"])
def test_a_port_that_is_not_there(name):
    pytest.importorskip("serial")
    with pytest.raises(DriverError, match=name):
        port.Port(name, 115_200).open()
