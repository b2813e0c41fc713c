"""Sections that stand beside rail and camera: motor and shutter."""

from __future__ import annotations

import pytest

from drivers.attended import AttendedRail
from drivers.base import DriverError
from drivers.clock import VirtualClock
from drivers.fired import FiredCamera
from rigd.config import examine, from_dict, load, to_dict
from rigd.parts import dry_plan, make_parts

REPLAY = """
rail: {driver: sim}
camera: {driver: replay, folder: photos, first_um: 1000, step_um: 50}
limits: {max_um: 20000}
plan: {near_um: 1000, step_um: 50, frames: 3}
settle: {fixed_s: 0.3}
"""
RELEASE = "shutter: {driver: release, release_pin: 5}\n"
MOTOR = "motor: {driver: tmc2209, port: /dev/serial0, run_ma: 800}\n"


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "rig.yaml"
        path.write_text(text)
        return path

    return write


def said(path):
    return [(problem.path, problem.message) for problem in examine(path).problems]


def test_a_rig_with_both(written):
    path = written(REPLAY + RELEASE + MOTOR)
    assert said(path) == []
    config = load(path)
    parts = make_parts(config, VirtualClock())
    assert isinstance(parts.rail, AttendedRail)
    assert isinstance(parts.camera, FiredCamera)
    assert from_dict(to_dict(config)) == config


def test_a_camera_on_usb_is_fired_by_a_release(written):
    path = written(REPLAY.replace("replay, folder: photos, first_um: 1000, step_um: 50", "gphoto2") + RELEASE)
    assert said(path) == []
    assert isinstance(make_parts(load(path), VirtualClock()).camera, FiredCamera)


def test_a_rig_with_neither(written):
    config = load(written(REPLAY + "motor:\nshutter:\n"))
    assert config.motor is config.shutter is None
    parts = make_parts(config, VirtualClock())
    assert not isinstance(parts.rail, AttendedRail)
    assert not isinstance(parts.camera, FiredCamera)


def test_a_camera_that_fires_itself_has_no_release(written):
    text = REPLAY.replace("driver: replay, folder: photos, first_um: 1000, step_um: 50", "driver: sim")
    path = written(text + RELEASE)
    ((where, message),) = said(path)
    assert where == "shutter"
    assert "'sim' fires its camera itself" in message
    (problem,) = examine(path).problems
    assert "replay" in problem.fix
    with pytest.raises(DriverError, match="fires its camera itself"):
        make_parts(from_dict(_data(text + RELEASE)), VirtualClock())


def test_microsteps_of_rail_and_motor_agree(written):
    ((where, message),) = said(written(REPLAY + MOTOR.replace("800", "800, microsteps: 32")))
    assert where == "motor.microsteps"
    assert message == "32 microsteps per full step, where the rail counts 16"
    grbl = "{driver: grbl, port: /dev/ttyACM0, steps_per_mm: 1600, travel_um: 60000}"
    text = REPLAY.replace("{driver: sim}", grbl)
    assert said(written(text + MOTOR.replace("800", "800, microsteps: 32"))) == [], "Grbl does not tell"


def test_a_serial_port_is_used_once(written):
    grbl = "{driver: grbl, port: /dev/serial0, steps_per_mm: 1600, travel_um: 60000}"
    assert said(written(REPLAY.replace("{driver: sim}", grbl) + MOTOR)) == [
        ("motor.port", "/dev/serial0 is taken by rail.port")
    ]


def test_pins_of_a_release_are_used_once(written):
    text = REPLAY + RELEASE + "light: {driver: gpio, pin: 5}\n"
    assert said(written(text)) == [("light.pin", "pin 5 is taken by shutter.release_pin")]


def test_a_dry_plan_opens_no_release(written, tmp_path):
    import numpy as np
    import simplejpeg

    (tmp_path / "photos").mkdir()
    for number in range(3):
        data = simplejpeg.encode_jpeg(np.zeros((48, 64, 3), np.uint8))
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(data)
    release = "shutter: {driver: release, release_pin: 5, focus_pin: 6, half_press_s: 2, mirror_up_s: 3, recycle_s: 4}\n"
    without, plain = dry_plan(load(written(REPLAY)), VirtualClock())
    planned, camera = dry_plan(load(written(REPLAY + release + MOTOR)), VirtualClock())
    assert camera.overhead_s - plain.overhead_s == pytest.approx(2 + 3 + 0.1)
    assert (camera.recycle_s, plain.recycle_s) == (4, 0)
    assert planned.plan.frames == without.plan.frames


def _data(text):
    import yaml

    return yaml.safe_load(text)
