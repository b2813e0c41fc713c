"""The state of the machine that the daemon runs on: power, heat, disk, memory, and how late the control loop is.

Everything is read from files that Linux and the Pi's firmware provide. What a machine does not have is None, never an error:
a laptop has no throttling flags, and the rig works without them.
"""

from __future__ import annotations

import asyncio
import math
import shutil
import subprocess
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from drivers.clock import Clock

# The firmware's word: these bits for now, and the same bits 16 places higher for "has happened since boot".
# https://www.raspberrypi.com/documentation/computers/os.html (get_throttled)
_UNDER_VOLTAGE, _FREQUENCY_CAPPED, _THROTTLED, _SOFT_TEMPERATURE_LIMIT = (1 << bit for bit in range(4))
_SINCE_BOOT_SHIFT = 16

_FIRMWARE_FILES = (
    "devices/platform/soc/soc:firmware/get_throttled",
    "devices/platform/*/*firmware/get_throttled",
)
_CPU_ZONES = ("cpu-thermal", "cpu_thermal", "x86_pkg_temp", "soc-thermal")
_VCGENCMD_TIMEOUT_S = 2.0

LAG_LOOK_S = 0.05
"""How often the control loop's lateness is looked at."""
KEPT_LAGS = 2000
"""Of so many looks the newest are kept, when nobody takes them for long."""


@dataclass(frozen=True, slots=True)
class Flags:
    """What holds a Pi back, at one time or over a time."""

    under_voltage: bool = False
    """The 5 V supply is (was) below about 4.63 V: a weak supply or a thin cable. USB parts drop out."""
    frequency_capped: bool = False
    """The processor's clock is (was) limited."""
    throttled: bool = False
    """The processor is (was) slowed down, by heat or by under-voltage."""
    soft_temperature_limit: bool = False
    """The first of the temperature limits is (was) reached."""

    def __bool__(self) -> bool:
        return self.under_voltage or self.frequency_capped or self.throttled or self.soft_temperature_limit


@dataclass(frozen=True, slots=True)
class Throttling:
    """The firmware's flags."""

    now: Flags
    since_boot: Flags


@dataclass(frozen=True, slots=True)
class Health:
    """One look at the machine; None where it has no such thing."""

    throttling: Throttling | None
    temperature_c: float | None
    """Of the processor."""
    disk_free_bytes: int | None
    """What the daemon's user may still write where the sessions are."""
    memory_available_bytes: int | None
    """What can be had without swapping (MemAvailable)."""
    loop_lag_s: float | None
    """The latest that the control loop was, since the last look."""
    loop_lag_p99_s: float | None = None
    """What one in a hundred of its rounds exceeded."""


def parse_throttled(value: int) -> Throttling:
    """The firmware's word, taken apart.

    Args:
        value: as `vcgencmd get_throttled` prints it, for example 0x50005.

    Raises:
        ValueError: when it is negative. Bits that are not known are ignored.
    """
    if value < 0:
        raise ValueError(f"throttled word must not be negative: {value}")
    return Throttling(now=_flags(value), since_boot=_flags(value >> _SINCE_BOOT_SHIFT))


def _flags(bits: int) -> Flags:
    return Flags(
        under_voltage=bool(bits & _UNDER_VOLTAGE),
        frequency_capped=bool(bits & _FREQUENCY_CAPPED),
        throttled=bool(bits & _THROTTLED),
        soft_temperature_limit=bool(bits & _SOFT_TEMPERATURE_LIMIT),
    )


def ask_vcgencmd() -> str | None:
    """What `vcgencmd get_throttled` says (`throttled=0x50005`), or None where it is missing or fails. Takes milliseconds."""
    program = shutil.which("vcgencmd")
    if program is None:
        return None
    try:
        answer = subprocess.run(  # noqa: S603 - a fixed command, found on PATH
            [program, "get_throttled"],
            capture_output=True,
            text=True,
            timeout=_VCGENCMD_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout


@dataclass(frozen=True, slots=True)
class Lag:
    """How late the control loop was over a time, in seconds."""

    worst_s: float
    p99_s: float
    """One in a hundred was later than this (nearest rank)."""


class LoopLag:
    """Remembers how late the control loop was. Belongs to the loop's thread."""

    def __init__(self) -> None:
        self._worst_s = 0.0
        self._late_s: deque[float] = deque(maxlen=KEPT_LAGS)

    def note(self, due_s: float, now_s: float) -> None:
        """Something was to run at `due_s` and ran at `now_s`, on the same monotonic clock."""
        late_s = max(0.0, now_s - due_s)
        self._worst_s = max(self._worst_s, late_s)
        self._late_s.append(late_s)

    def take(self) -> Lag | None:
        """Since the last call, None when nothing was noted; forgets it."""
        if not self._late_s:
            return None
        rank = math.ceil(0.99 * len(self._late_s))
        lag = Lag(worst_s=self._worst_s, p99_s=sorted(self._late_s)[rank - 1])
        self._worst_s = 0.0
        self._late_s.clear()
        return lag


class LoopLagMeter:
    """Finds out how late the loop is that it runs on, by sleeping on it.

    Args:
        lag: where it notes what it finds.
        clock: the loop's.
    """

    def __init__(self, lag: LoopLag, clock: Clock) -> None:
        self._lag = lag
        self._clock = clock

    async def serve(self) -> None:
        """Until cancelled."""
        while True:
            due_s = self._clock.now() + LAG_LOOK_S
            await asyncio.sleep(LAG_LOOK_S)
            self._lag.note(due_s, self._clock.now())


class HealthReader:
    """Reads `Health`. Blocking (files, at most one short process): call it off the control loop.

    Args:
        sessions: the folder of the sessions; the nearest parent that exists stands for one that does not yet.
        sys: where sysfs is mounted.
        proc: where procfs is mounted.
        vcgencmd: asked when sysfs has no throttling flags; None: not asked.
    """

    def __init__(
        self,
        sessions: Path,
        *,
        sys: Path = Path("/sys"),
        proc: Path = Path("/proc"),
        vcgencmd: Callable[[], str | None] | None = ask_vcgencmd,
    ) -> None:
        self._sessions = sessions
        self._sys = sys
        self._proc = proc
        self._vcgencmd = vcgencmd

    def read(self, lag: Lag | None = None) -> Health:
        """One look; `lag` comes from `LoopLag.take`, on the loop's thread."""
        return Health(
            throttling=self._throttling(),
            temperature_c=self._temperature_c(),
            disk_free_bytes=self._disk_free_bytes(),
            memory_available_bytes=self._memory_available_bytes(),
            loop_lag_s=None if lag is None else lag.worst_s,
            loop_lag_p99_s=None if lag is None else lag.p99_s,
        )

    def _throttling(self) -> Throttling | None:
        for pattern in _FIRMWARE_FILES:
            for file in sorted(self._sys.glob(pattern)):
                word = _hexadecimal(_text(file))
                if word is not None:
                    return parse_throttled(word)
        answer = self._vcgencmd() if self._vcgencmd is not None else None
        word = _hexadecimal(answer.rpartition("=")[2]) if answer else None
        return None if word is None else parse_throttled(word)

    def _temperature_c(self) -> float | None:
        """The processor's zone; of several unnamed ones the hottest."""
        degrees: dict[str, float] = {}
        for zone in sorted(self._sys.glob("class/thermal/thermal_zone*")):
            kind, milli = _text(zone / "type"), _text(zone / "temp")
            try:
                degrees.setdefault(kind or zone.name, int(milli or "") / 1000)
            except ValueError:
                continue
        for kind in _CPU_ZONES:
            if kind in degrees:
                return degrees[kind]
        return max(degrees.values(), default=None)

    def _disk_free_bytes(self) -> int | None:
        for folder in (self._sessions, *self._sessions.absolute().parents):
            try:
                return shutil.disk_usage(folder).free
            except FileNotFoundError:
                continue
            except OSError:
                return None
        return None

    def _memory_available_bytes(self) -> int | None:
        for line in (_text(self._proc / "meminfo") or "").splitlines():
            name, _, rest = line.partition(":")
            fields = rest.split()
            if name == "MemAvailable" and len(fields) == 2 and fields[0].isdigit() and fields[1] == "kB":
                return int(fields[0]) * 1024
        return None


def _text(file: Path) -> str | None:
    """The file's text without blanks around it; None when it cannot be read: sysfs files may be there and still refuse."""
    try:
        return file.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None


def _hexadecimal(text: str | None) -> int | None:
    try:
        value = int(text or "", 16)
    except ValueError:
        return None
    return value if value >= 0 else None
