"""The settings stored on the controller (`$$`), and whether they are those that the config speaks of.

Source: Grbl 1.1 `doc/markdown/settings.md`; the numbers mean the same in grblHAL and, as far as it tells them, in FluidNC.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from drivers.base import DriverError
from drivers.grbl.conversation import Conversation, Overtaken
from drivers.grbl.options import GrblOptions
from drivers.grbl.protocol import Feedback, Message, Setting

IDLE_HOLD, INCHES, SOFT_LIMITS, HARD_LIMITS, HOMING, HOMING_DIRECTION, PULL_OFF = 1, 13, 20, 21, 22, 23, 27
STEPS_PER_MM, MAX_RATE, ACCELERATION, TRAVEL = 100, 110, 120, 130
ALWAYS_ON = 255.0
"""`$1=255`: the motor keeps its current between moves."""
SETTINGS_LIMIT_S = 5.0
"""`$$` is some hundred bytes, at 9600 baud nearly a second; a controller that writes to flash takes longer still."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting that is not as the config says."""

    number: int
    name: str
    found: float | None
    """None: the controller does not tell."""
    wanted: float
    must: bool
    """Positions would be wrong: such a rail is not opened."""
    why: str
    writable: bool = True
    """`rigd firmware apply` writes it. What decides which way the rail runs is left to people."""

    def __str__(self) -> str:
        found = "not told" if self.found is None else f"{self.found:g}"
        return f"${self.number} ({self.name}) is {found}, the config says {self.wanted:g}: {self.why}"


@dataclass(frozen=True, slots=True)
class Firmware:
    """A controller: what runs on it, and its settings."""

    banner: str
    build: tuple[str, ...]
    """What `$I` says."""
    options: str
    """Letters of its build options."""
    values: Mapping[int, float]

    def get(self, number: int, default: float) -> float:
        """One setting, or what is assumed where it is not told."""
        return self.values.get(number, default)

    @property
    def single_axis_homing(self) -> bool:
        """`$HX` is understood."""
        return "H" in self.options.split(",", maxsplit=1)[0]


def read(talk: Conversation, options: GrblOptions) -> Firmware:
    """Ask for build and settings. Raises `DriverError`."""
    try:
        build = _asked(talk, "$I", options.response_timeout_s)
    except TimeoutError:
        raise
    except DriverError:
        build = []
    lines = [message for message in build if isinstance(message, Feedback)]
    letters = next((line.text for line in lines if line.kind == "OPT"), "")
    values = {}
    for message in _asked(talk, "$$", max(options.response_timeout_s, SETTINGS_LIMIT_S)):
        if isinstance(message, Setting):
            try:
                values[message.number] = float(message.value)
            except ValueError:
                continue
    banner = talk.banner.text if talk.banner is not None else ""
    texts = tuple(f"{line.kind}:{line.text}" for line in lines if line.kind != "MSG")
    return Firmware(banner, texts, letters, values)


def _asked(talk: Conversation, line: str, limit_s: float) -> list[Message]:
    """What a line is answered. A board that starts twice, by its port and by our reset, forgets what it was asked in between."""
    try:
        return talk.command(line, limit_s)
    except Overtaken:
        return talk.command(line, limit_s)


def axis_index(options: GrblOptions) -> int:
    """Number of the axis: X is 0."""
    return "XYZ".index(options.axis)


def direction(firmware: Firmware, options: GrblOptions) -> int:
    """+1 when rail positions grow with machine positions. They grow away from the home switch, wherever that is."""
    mask = firmware.values.get(HOMING_DIRECTION)
    if not options.homing or mask is None:
        return -1 if options.invert else 1
    return 1 if int(mask) >> axis_index(options) & 1 else -1


def differences(firmware: Firmware, options: GrblOptions) -> list[Difference]:
    """All settings that are not as the config says, the gravest first."""
    axis = axis_index(options)
    found = firmware.values
    checks = [
        Difference(
            STEPS_PER_MM + axis,
            f"steps/mm of {options.axis}",
            None,
            options.steps_per_mm,
            must=True,
            why="every position would be wrong",
        ),
        Difference(
            MAX_RATE + axis,
            f"highest speed of {options.axis}, mm/min",
            None,
            options.max_rate_mm_per_min,
            must=False,
            why="moves take another time than planned",
        ),
        Difference(
            ACCELERATION + axis,
            f"acceleration of {options.axis}, mm/s2",
            None,
            options.acceleration_mm_per_s2,
            must=False,
            why="moves take another time than planned",
        ),
        Difference(
            TRAVEL + axis,
            f"travel of {options.axis}, mm",
            None,
            options.travel_um / 1000.0,
            must=False,
            why="the controller's limits are not the rail's",
        ),
        Difference(
            IDLE_HOLD,
            "motor current at rest",
            None,
            ALWAYS_ON,
            must=False,
            why="the motor is released after every move, and the rail can shift",
        ),
        Difference(
            INCHES, "reports in inches", None, 0.0, must=False, why="reports are coarser than in millimetres"
        ),
    ]
    if options.hard_limits is not None:
        why = (
            "limit switches are to stop the rail" if options.hard_limits else "limit switches are not to act"
        )
        checks.append(
            Difference(HARD_LIMITS, "hard limits", None, float(options.hard_limits), must=False, why=why)
        )
    differing = [_told(check, found[check.number]) for check in checks if check.number in found]
    differing = [check for check in differing if not _equal(check.found, check.wanted)]
    return sorted(differing + _homing(firmware, options), key=lambda check: not check.must)


def _told(check: Difference, found: float) -> Difference:
    return Difference(
        check.number, check.name, found, check.wanted, check.must, check.why, writable=check.writable
    )


def _equal(found: float | None, wanted: float) -> bool:
    """Settings are stored as 32-bit floats and told with three decimals."""
    return found is not None and math.isclose(found, wanted, rel_tol=1e-6, abs_tol=6e-4)


def _homing(firmware: Firmware, options: GrblOptions) -> list[Difference]:
    """Homing is a bit mask on some controllers, so any odd number is on."""
    if not options.homing:
        return []
    made = []
    on = firmware.values.get(HOMING)
    if on is not None and not int(on) & 1:
        made.append(Difference(HOMING, "homing", on, 1.0, must=True, why="no position can ever be known"))
    soft = firmware.values.get(SOFT_LIMITS)
    if soft is not None and not soft:
        why = "the controller would run against the ends"
        made.append(Difference(SOFT_LIMITS, "soft limits", soft, 1.0, must=False, why=why))
    mask = firmware.values.get(HOMING_DIRECTION)
    if mask is not None and direction(firmware, options) != (-1 if options.invert else 1):
        bit = 1 << axis_index(options)
        wanted = float(int(mask) ^ bit)
        why = f"positions grow away from the home switch; set invert: {str(not options.invert).lower()}"
        made.append(
            Difference(HOMING_DIRECTION, "homing direction", mask, wanted, False, why, writable=False)
        )
    return made


def zeros(firmware: Firmware, options: GrblOptions) -> tuple[int, ...]:
    """Steps at which the controller may count from after homing: pull-off from either end, or zero."""
    axis = axis_index(options)
    pull_off = firmware.get(PULL_OFF, 1.0)
    travel = firmware.get(TRAVEL + axis, options.travel_um / 1000.0)
    places = (-pull_off, pull_off - travel, 0.0, pull_off)
    return tuple(round(place * options.steps_per_mm) for place in places)


def reach_um(firmware: Firmware, options: GrblOptions) -> float:
    """How far the rail can go from where it stands after homing: soft limits are counted from the switch."""
    axis = axis_index(options)
    travel_mm = firmware.values.get(TRAVEL + axis)
    if travel_mm is None or not options.homing or not firmware.get(SOFT_LIMITS, 0.0):
        return options.travel_um
    # Where the origin was forced to the place of homing (option Z), the pull-off is not part of the travel.
    pull_off = 0.0 if "Z" in firmware.options else firmware.get(PULL_OFF, 0.0)
    return min(options.travel_um, max(0.0, travel_mm - pull_off) * 1000.0)


def apply(talk: Conversation, differing: list[Difference], options: GrblOptions) -> None:
    """Write what differs and may be written. Homing goes before soft limits, which need it.

    Raises:
        AlarmResponse: the controller refused one; those before it are written.
        NoResponse: it did not answer.
    """
    writable = sorted((check for check in differing if check.writable), key=lambda check: check.number == 20)
    for check in writable:
        talk.command(
            f"${check.number}={check.wanted:.10g}", max(options.response_timeout_s, SETTINGS_LIMIT_S)
        )
