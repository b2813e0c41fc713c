"""The drivers that come with rigd."""

from __future__ import annotations

from drivers.registry import Entry

ENTRIES: tuple[Entry, ...] = (
    Entry("rail", "sim", "drivers.sim.options:SimRailOptions", "drivers.sim.rail:SimRail", "simulated rail with physics"),
    Entry("camera", "sim", "drivers.sim.options:SimCameraOptions", "drivers.sim.camera:SimCamera", "simulated camera with optics"),
    Entry("light", "sim", "drivers.sim.options:SimLightOptions", "drivers.sim.parts:SimLight", "simulated lamp"),
    Entry("switch", "sim", "drivers.sim.options:SimSwitchOptions", "drivers.sim.parts:SimSwitch", "simulated contact"),
    Entry("shutter", "sim", "drivers.sim.options:SimShutterOptions", "drivers.sim.parts:SimShutter", "simulated wired release"),
    Entry("camera", "replay", "drivers.replay:ReplayOptions", "drivers.replay:ReplayCamera", "serves a folder of photographs by position"),
)
