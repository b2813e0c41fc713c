"""Names, and the drivers behind them."""

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from drivers import registry
from drivers.base import (
    Camera,
    CameraCapabilities,
    CameraOptions,
    DriverNotAvailable,
    Entry,
    Options,
    Rail,
    RailCapabilities,
    RailOptions,
    UnknownDriver,
)
from drivers.clock import VirtualClock
from drivers.gphoto2.options import Gphoto2Options
from drivers.gpio.options import GpioLightOptions, GpioSwitchOptions, ReleaseOptions
from drivers.grbl.options import GrblOptions
from drivers.picamera2.options import LensOptions, Picamera2Options
from drivers.registry import Context
from drivers.replay import ReplayOptions
from drivers.sim.options import SimCameraOptions, SimRailOptions
from drivers.stepdir.options import StepDirOptions
from drivers.tmc2209.options import Tmc2209Options

EXAMPLES = {
    ("rail", "sim"): SimRailOptions(),
    ("rail", "grbl"): GrblOptions(port="/dev/serial/by-id/usb-grbl", steps_per_mm=1600, travel_um=80_000),
    ("rail", "stepdir"): StepDirOptions(
        step_pin=17, dir_pin=27, home_pin=22, screw_pitch_um=1000, travel_um=50_000
    ),
    ("motor", "tmc2209"): Tmc2209Options(port="/dev/serial0", run_ma=800),
    ("rail", "lens"): LensOptions(),
    ("camera", "sim"): SimCameraOptions(),
    ("camera", "replay"): ReplayOptions(folder=Path("photos")),
    ("camera", "picamera2"): Picamera2Options(),
    ("camera", "gphoto2"): Gphoto2Options(),
    ("shutter", "release"): ReleaseOptions(release_pin=5),
    ("light", "gpio"): GpioLightOptions(pin=6),
    ("switch", "gpio"): GpioSwitchOptions(pin=13, normally_closed=True),
}


@pytest.mark.parametrize("entry", registry.entries(), ids=lambda entry: f"{entry.kind} {entry.name}")
def test_every_driver_declares_documented_options(entry):
    assert entry.kind in registry.KINDS
    assert entry.summary
    declared = registry.options_class(entry)
    assert issubclass(declared, Options)
    for name, field in declared.model_fields.items():
        assert field.description, f"{entry.kind} {entry.name}: {name} has no description"
    base = {"rail": RailOptions, "camera": CameraOptions}.get(entry.kind, Options)
    assert issubclass(declared, base)


@pytest.mark.parametrize("entry", registry.entries(), ids=lambda entry: f"{entry.kind} {entry.name}")
def test_a_driver_is_made_or_says_why_not(entry):
    options = EXAMPLES.get((entry.kind, entry.name)) or registry.options_class(entry)()
    context = Context(VirtualClock())
    if entry.target is None:
        with pytest.raises(DriverNotAvailable) as caught:
            registry.create(entry, options, context)
        assert entry.why_not in str(caught.value)
        return
    driver = registry.create(entry, options, context)
    if entry.name == "sim" and entry.kind in ("rail", "camera"):
        assert isinstance(driver, {"rail": Rail, "camera": Camera}[entry.kind])
    driver.close()


@pytest.mark.parametrize("key", [key for key in EXAMPLES if key[0] in ("rail", "camera")])
def test_a_rail_or_camera_is_described_without_opening_it(key):
    declared = EXAMPLES[key].declared()
    if key == ("camera", "replay"):
        assert declared is None
    elif key[0] == "rail":
        assert isinstance(declared, RailCapabilities)
        assert 0 < declared.microstep_um < declared.travel_um
    else:
        assert isinstance(declared, CameraCapabilities)
        assert declared.frame_bytes > 0


def test_microsteps_by_hand():
    assert EXAMPLES["rail", "sim"].microstep_um == pytest.approx(0.625)
    assert EXAMPLES["rail", "grbl"].declared().microstep_um == pytest.approx(0.625)
    assert EXAMPLES["rail", "grbl"].declared().max_speed_um_per_s == pytest.approx(10_000.0)
    assert EXAMPLES["rail", "stepdir"].microstep_um == pytest.approx(0.3125)


def test_pins_must_differ():
    with pytest.raises(ValueError, match="different pins"):
        StepDirOptions(step_pin=17, dir_pin=17, home_pin=22, screw_pitch_um=1000, travel_um=50_000)


def test_ports_are_named_so_that_they_stay():
    with pytest.raises(ValueError, match="port"):
        GrblOptions(port="COM3", steps_per_mm=1600, travel_um=80_000)


def test_unknown_names_list_the_known():
    with pytest.raises(UnknownDriver) as caught:
        registry.find("rail", "teleport")
    assert "sim" in caught.value.known
    assert "teleport" in str(caught.value)
    assert registry.find("camera", "replay").name == "replay"


def test_other_peoples_drivers_come_by_entry_point(monkeypatch):
    point = EntryPoint("mine", f"{__name__}:MINE", registry.ENTRY_POINT_GROUP)
    monkeypatch.setattr(EntryPoint, "load", lambda _self: MINE)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == "rigd.drivers" else [])
    assert registry.find("light", "mine") is MINE
    assert registry.entries("light")[-1] is MINE


MINE = Entry("light", "mine", "drivers.sim.options:SimLightOptions", None, "mine", "not yet")


def test_a_missing_library_is_named():
    entry = Entry("light", "odd", "drivers.sim.options:SimLightOptions", "no_such_library:Light", "odd")
    with pytest.raises(DriverNotAvailable, match="no_such_library"):
        registry.create(entry, registry.options_class(entry)(), Context(VirtualClock()))


def test_checking_options_imports_nothing_heavy():
    """Also that no driver's module imports its libraries before it is opened."""
    script = (
        "import sys\n"
        "from drivers import registry\n"
        "for entry in registry.entries():\n"
        "    registry.options_class(entry)\n"
        "print(sorted({'numpy'} & set(sys.modules)))\n"
        "from drivers.clock import VirtualClock\n"
        "for entry in registry.entries():\n"
        "    if entry.target and entry.name == 'sim':\n"
        "        options = registry.options_class(entry)()\n"
        "        registry.create(entry, options, registry.Context(VirtualClock())).close()\n"
        "heavy = {'numba', 'cv2', 'simplejpeg', 'tifffile', 'gpiozero', 'picamera2', 'gphoto2', 'serial'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "[]"]
