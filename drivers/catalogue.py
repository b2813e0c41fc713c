"""The drivers that come with rigd."""

from __future__ import annotations

from drivers.base import Entry

_SIM = "drivers.sim.options"
_GPIO = "drivers.gpio"
_PICAMERA2 = "drivers.picamera2"

ENTRIES: tuple[Entry, ...] = (
    Entry("rail", "sim", f"{_SIM}:SimRailOptions", "drivers.sim.rail:SimRail", "simulated rail with physics"),
    Entry(
        "camera",
        "sim",
        f"{_SIM}:SimCameraOptions",
        "drivers.sim.camera:SimCamera",
        "simulated camera with optics",
    ),
    Entry("light", "sim", f"{_SIM}:SimLightOptions", "drivers.sim.parts:SimLight", "simulated lamp"),
    Entry("switch", "sim", f"{_SIM}:SimSwitchOptions", "drivers.sim.parts:SimSwitch", "simulated contact"),
    Entry(
        "shutter",
        "sim",
        f"{_SIM}:SimShutterOptions",
        "drivers.sim.parts:SimShutter",
        "simulated wired release",
    ),
    Entry(
        "camera",
        "replay",
        "drivers.replay:ReplayOptions",
        "drivers.replay:ReplayCamera",
        "serves a folder of photographs by position",
    ),
    Entry(
        "rail",
        "grbl",
        "drivers.grbl.options:GrblOptions",
        "drivers.grbl.rail:GrblRail",
        "Grbl, grblHAL or FluidNC over USB serial",
    ),
    Entry(
        "motor",
        "tmc2209",
        "drivers.tmc2209.options:Tmc2209Options",
        "drivers.tmc2209.driver:Tmc2209",
        "stepper driver chip on a UART, beside a rail",
    ),
    Entry(
        "rail",
        "stepdir",
        "drivers.stepdir.options:StepDirOptions",
        "drivers.stepdir.rail:StepDirRail",
        "stepper driver on the Pi's own pins",
    ),
    Entry(
        "camera",
        "picamera2",
        f"{_PICAMERA2}.options:Picamera2Options",
        f"{_PICAMERA2}.camera:Picamera2Camera",
        "Raspberry Pi camera",
    ),
    Entry(
        "rail",
        "lens",
        f"{_PICAMERA2}.options:LensOptions",
        f"{_PICAMERA2}.lens:LensRail",
        "focus of a Raspberry Pi camera, instead of a rail",
    ),
    Entry(
        "camera",
        "gphoto2",
        "drivers.gphoto2.options:Gphoto2Options",
        "drivers.gphoto2.camera:Gphoto2Camera",
        "tethered DSLR or mirrorless camera",
    ),
    Entry(
        "shutter",
        "release",
        f"{_GPIO}.options:ReleaseOptions",
        f"{_GPIO}.release:Release",
        "wired remote release",
    ),
    Entry("light", "gpio", f"{_GPIO}.options:GpioLightOptions", f"{_GPIO}.light:GpioLight", "lamp on a pin"),
    Entry(
        "switch",
        "gpio",
        f"{_GPIO}.options:GpioSwitchOptions",
        f"{_GPIO}.switch:GpioSwitch",
        "contact on a pin",
    ),
)
