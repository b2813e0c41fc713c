"""Rails on emulated Grbl controllers, as tests want them: settings, options, and both put together."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drivers.clock import Clock
from drivers.grbl.options import GrblOptions
from drivers.grbl.rail import GrblRail
from drivers.registry import Context
from tests.emulators.grbl import GrblEmulator
from tests.emulators.grbl_firmware import GrblFirmware

SETTINGS = {
    1: 255,
    20: 1,
    21: 0,
    22: 1,
    23: 0,
    24: 600.0,
    25: 6000.0,
    26: 5,
    27: 1.0,
    100: 1600.0,
    110: 900.0,
    120: 300.0,
    130: 60.0,
}
"""A quick rail of 60 mm, homed toward its positive end as Grbl does unless told otherwise."""
OPTIONS: dict[str, Any] = {
    "steps_per_mm": 1600,
    "max_rate_mm_per_min": 900,
    "acceleration_mm_per_s2": 300,
    "travel_um": 60_000,
    "invert": True,
}


@dataclass
class Kit:
    """A controller and the options that fit it."""

    settings: dict[int, float] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    firmware: dict[str, Any] = field(default_factory=dict)
    wire: dict[str, Any] = field(default_factory=dict)


GRBL = {
    "grbl": Kit(),
    "grbl, finer than its reports": Kit({100: 3200.0}, {"steps_per_mm": 3200}),
    "grbl, work positions in inches, home at the other end": Kit(
        {10: 2, 13: 1, 20: 0, 23: 1, 100: 400.0}, {"steps_per_mm": 400, "invert": False}
    ),
    "grbl on an Arduino": Kit(
        {21: 1}, {"hard_limits": True}, {"empty_eeprom": True}, {"resets_on_open": True, "boot_s": 0.3}
    ),
    "grblHAL": Kit(firmware={"dialect": "grblhal", "options": "VNMHSL2"}),
    "FluidNC": Kit(firmware={"dialect": "fluidnc", "options": "PHS"}),
}


def emulated(
    kit: Kit, link: Path, clock: Clock, stack: ExitStack, **wire: Any
) -> tuple[GrblEmulator, GrblRail]:
    """A running emulator and the closed rail on it; `stack` ends both."""
    firmware = GrblFirmware(SETTINGS | kit.settings, **kit.firmware)
    emulator = stack.enter_context(GrblEmulator(firmware, link, **(kit.wire | wire)))
    rail = GrblRail(GrblOptions(port=emulator.port, **(OPTIONS | kit.options)), Context(clock))
    stack.callback(rail.close)
    return emulator, rail
