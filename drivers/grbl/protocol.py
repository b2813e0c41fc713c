"""Grbl's wire: bytes to values and back. Pure; source: Grbl 1.1 `doc/markdown/interface.md`, `report.c`.

Lines that are not wholly what they claim to be are `Noise`: half a status report says nothing about a rail.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

SOFT_RESET = b"\x18"
STATUS = b"?"
RESUME = b"~"
FEED_HOLD = b"!"
JOG_CANCEL = b"\x85"

LINE_LIMIT = 79
"""Characters that Grbl takes in one line."""
LONGEST_REPLY = 512


class Mode(enum.Enum):
    """The first word of a status report."""

    IDLE = "Idle"
    RUN = "Run"
    HOLD = "Hold"
    JOG = "Jog"
    ALARM = "Alarm"
    DOOR = "Door"
    CHECK = "Check"
    HOME = "Home"
    SLEEP = "Sleep"
    TOOL = "Tool"


@dataclass(frozen=True, slots=True)
class Report:
    """A status report. Positions in the controller's own unit: millimetres, or inches with `$13=1`."""

    mode: Mode
    detail: int | None
    """The number behind the state: `Hold:0`, `Door:1`, `Alarm:11`."""
    machine: tuple[float, ...] | None
    """Machine position; None when only a work position is told and its offset is not known yet."""
    decimals: tuple[int, ...]
    """Digits behind the point of each."""
    summed: bool = False
    """`machine` is the sum of a work position and an offset, each rounded."""
    pins: str = ""
    """Letters of the inputs that are active: `X` is that axis' limit switch."""


@dataclass(frozen=True, slots=True)
class Ok:
    """The line was understood."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The line was refused."""

    code: int | None


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something went wrong by itself."""

    code: int | None


@dataclass(frozen=True, slots=True)
class Banner:
    """What is said after every reset."""

    text: str
    firmware: str
    """`Grbl`, `grblHAL`, `FluidNC`."""
    version: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Setting:
    """A line of `$$`."""

    number: int
    value: str


@dataclass(frozen=True, slots=True)
class Feedback:
    """A line in brackets: `[MSG:Caution: Unlocked]` is of the kind `MSG`."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Noise:
    """Anything else."""

    text: str


Message = Ok | Failure | Alarm | Banner | Setting | Feedback | Report | Noise

_NUMBER = r"[-+]?\d+\.(\d{3,4})"
"""A coordinate in millimetres has three decimals, in inches four; with another number of them a byte was lost."""
_BANNER = re.compile(r"^(grblhal|grbl)\s*v?(\d+)\.(\d+)\w*\s*\[.*", re.IGNORECASE)
_MANGLED_BANNER = re.compile(r"^\w{0,8} .*\['\$'.*|.*for help\]$", re.IGNORECASE)
_SETTING = re.compile(r"^\$(\d{1,3})=([-+0-9.]+|[^ ]*)( \(.*\))?$")
_FEEDBACK = re.compile(r"^\[([A-Za-z0-9]+):?(.*)\]$")


class LineSplitter:
    """Cuts what a port gives into lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Lines that are complete now, without their ends and without empty ones."""
        *lines, self._rest = re.split(rb"[\r\n]+", self._rest + data)
        if len(self._rest) > LONGEST_REPLY:
            self._rest = b""
        return [line for line in (line.strip(b"\x00 \t") for line in lines) if line]


class Parser:
    """Lines to messages; remembers the work offset, which is told now and then only."""

    def __init__(self) -> None:
        self._offset: tuple[float, ...] | None = None

    def parse(self, line: bytes) -> Message:
        """What a line says."""
        text = line.decode("latin-1")
        if text == "ok":
            return Ok()
        if text.startswith("<"):
            return self._report(text) or Noise(text)
        if (code := _code(text, "error:")) is not None:
            return Failure(code)
        if (code := _code(text, "ALARM:")) is not None:
            return Alarm(code)
        if (banner := _banner(text)) is not None:
            self._offset = None
            return banner
        if found := _SETTING.match(text):
            return Setting(int(found[1]), found[2])
        if found := _FEEDBACK.match(text):
            return Feedback(found[1], found[2])
        return Noise(text)

    def _report(self, text: str) -> Report | None:
        if not text.endswith(">") or "<" in text[1:]:
            return None
        head, *fields = text[1:-1].split("|")
        word, _, number = head.partition(":")
        try:
            mode = Mode(word)
            detail = int(number) if number else None
        except ValueError:
            return None
        values = dict(field.partition(":")[::2] for field in fields)
        for name in ("WCO", "MPos", "WPos"):
            if name in values and _coordinates(values[name]) is None:
                return None
        if "WCO" in values and (offset := _coordinates(values["WCO"])):
            self._offset = offset[0]
        pins = values.get("Pn", "")
        if found := _coordinates(values.get("MPos", "")):
            return Report(mode, detail, found[0], found[1], pins=pins)
        if found := _coordinates(values.get("WPos", "")):
            work, decimals = found
            if self._offset is None or len(self._offset) != len(work):
                return Report(mode, detail, None, decimals, pins=pins)
            machine = tuple(place + offset for place, offset in zip(work, self._offset, strict=True))
            return Report(mode, detail, machine, decimals, summed=True, pins=pins)
        return None


def _coordinates(text: str) -> tuple[tuple[float, ...], tuple[int, ...]] | None:
    """Numbers and how many decimals they have; None unless each is whole."""
    found = [match for part in text.split(",") if (match := re.fullmatch(_NUMBER, part))]
    if len(found) != text.count(",") + 1:
        return None
    return tuple(float(match[0]) for match in found), tuple(len(match[1]) for match in found)


def _code(text: str, start: str) -> int | None:
    """The number behind `start`; None when the line is not that. Words instead of a number are -1."""
    if not text.startswith(start):
        return None
    rest = text[len(start) :].strip()
    return int(rest) if rest.isdigit() else -1


def _banner(text: str) -> Banner | None:
    if found := _BANNER.match(text):
        firmware = "FluidNC" if "FluidNC" in text else "grblHAL" if found[1].lower() == "grblhal" else "Grbl"
        return Banner(text, firmware, (int(found[2]), int(found[3])))
    # A banner that lost a byte on its way is still the news of a reset.
    return Banner(text, "", None) if _MANGLED_BANNER.match(text) else None
