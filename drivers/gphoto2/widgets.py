"""A camera's settings: which of its names means what, how its words are read, and which value to choose.

Names and spellings as libgphoto2's ptp2 driver has them for Canon, Nikon, Sony, Fujifilm and Panasonic.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

from drivers.gphoto2.messages import Widget

SHUTTER = ("shutterspeed", "shutterspeed2", "exptime")
APERTURE = ("aperture", "f-number")
ISO = ("iso",)
AUTO_ISO = ("autoiso", "isoauto")
WHITE_BALANCE = ("whitebalance",)
FORMAT = ("imageformat", "imagequality")
TARGET = ("capturetarget",)
AUTOFOCUS = ("autofocus",)
FOCUS_MODE = ("focusmode", "focusmode2")
MIRROR = ("mirrorlock", "mirrorupsetting", "mirrorlockup", "capturemode", "drivemode")
BATTERY = ("batterylevel",)
SERIAL = ("serialnumber", "eosserialnumber")
MAKER = ("manufacturer",)
SHOTS_LEFT = ("availableshots",)

NEAREST = math.log(1.12)
"""A value this near to the one asked for is meant by it: cameras have thirds of stops, 26 % apart, and round their names."""
LEVELS = {
    "full": 100.0,
    "high": 80.0,
    "half": 50.0,
    "normal": 50.0,
    "medium": 50.0,
    "low": 10.0,
    "empty": 0.0,
}
OFF = {"off", "0", "none", "false"}
ON = {"on", "1", "enable", "enabled", "true"}
MANUAL = {"manual", "mf", "manual focus", "mf (fixed)", "mf (selection)"}
MIRROR_UP = {"mup", "mirror up", "mirror-up", "remote mirror up", "mirror lock-up"}
CARD = {"memory card", "card"}
MEMORY = {"internal ram", "sdram", "memory"}


class Settings:
    """All settings of a camera, as described when it was opened."""

    def __init__(self, widgets: Sequence[Widget]) -> None:
        self._by_name = {widget.name: widget for widget in widgets}

    def find(self, names: Sequence[str]) -> Widget | None:
        """The first of these that the camera has; one that can be changed before one that cannot."""
        there = [self._by_name[name] for name in names if name in self._by_name]
        return next((widget for widget in there if not widget.readonly), there[0] if there else None)


def seconds(text: str) -> float | None:
    """An exposure time from the camera's words: 1/125, 0.0100s, 1.3, 4", 10/1600. None for bulb, time and auto."""
    found = re.fullmatch(r'(\d+(?:\.\d+)?)(?:\s*/\s*(\d+(?:\.\d+)?))?\s*(?:s|sec|")?', text.strip().lower())
    if found is None:
        return None
    over = float(found[2]) if found[2] else 1.0
    value = float(found[1]) / over if over else 0.0
    return value or None


def f_number(text: str) -> float | None:
    """An aperture: f/5.6, 5.6, F5.6."""
    found = re.fullmatch(r"f?\s*/?\s*(\d+(?:\.\d+)?)", text.strip().lower())
    return float(found[1]) or None if found else None


def iso(text: str) -> float | None:
    """A sensitivity: 100, ISO 100, 100 (expanded). None for auto."""
    found = re.match(r"(?:iso\s*)?(\d+)\b", text.strip().lower())
    return float(found[1]) or None if found else None


def percent(text: str) -> float | None:
    """A battery level: 50%, 0.5, Low. None where the words say nothing: on mains."""
    word = text.strip().lower()
    if found := re.fullmatch(r"(\d+(?:\.\d+)?)\s*%?", word):
        return float(found[1])
    return LEVELS.get(word)


def nearest(choices: Sequence[str], wanted: float, read: Callable[[str], float | None]) -> str | None:
    """The choice that means `wanted`, or None when none is near enough."""
    readable = [
        (abs(math.log(value / wanted)), choice) for choice in choices if (value := read(choice)) is not None
    ]
    distance, choice = min(readable, default=(math.inf, ""))
    return choice if distance <= NEAREST else None


def around(choices: Sequence[str], wanted: float, read: Callable[[str], float | None]) -> list[str]:
    """The few choices that come nearest, for a message."""
    readable = [
        (abs(math.log(value / wanted)), choice) for choice in choices if (value := read(choice)) is not None
    ]
    return [choice for _, choice in sorted(readable)[:3]]


def named(choices: Sequence[str], words: set[str]) -> str | None:
    """The first choice that is one of these words, capitals aside."""
    return next((choice for choice in choices if choice.strip().lower() in words), None)
