"""What a sensor timestamp means. The only place that says so; pure.

libcamera's documentation: the time when the first row is exposed, on CLOCK_BOOTTIME. What its maintainers say of the Pi: the kernel stamps the start of
the data from the sensor, which is the end of the first row's exposure, and the kernel's video buffers count CLOCK_MONOTONIC
(picamera2 issue 821, libcamera bug 254). picamera2 itself takes the exposure time off and compares with the monotonic clock.

Until a bench has settled which is true, the times that are reported enclose every meaning, and one frame more is let pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Marks = Literal["unsettled", "first_row_start", "first_row_end"]
CountedBy = Literal["unsettled", "monotonic", "boottime"]

AHEAD_S = 0.002
"""A frame cannot be there before it was taken; clocks are not read at the same instant."""
OLD_FRAMES = 12
OLD_S = 3.0
"""A frame that is handed over as soon as it is there is not older than so many frames and this."""


@dataclass(frozen=True, slots=True)
class Stamped:
    """What is known of one frame. Times in seconds on CLOCK_MONOTONIC, but for the stamp."""

    stamp_s: float
    """SensorTimestamp, on whichever clock."""
    exposure_s: float
    frame_s: float
    """From one frame to the next."""
    readout_s: float
    """From the first row's end to the last row's."""
    arrived_s: float
    """When it was there: everything about it is over."""
    boot_ahead_s: float
    """CLOCK_BOOTTIME minus CLOCK_MONOTONIC."""


class WrongClock(Exception):
    """The stamp lies in the future, or too far in the past, on the clock that it should be counted by."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """Which instant a timestamp marks, and on which clock."""

    marks: Marks = "unsettled"
    clock: CountedBy = "unsettled"

    @property
    def settled(self) -> bool:
        """Whether a bench has said both."""
        return "unsettled" not in (self.marks, self.clock)

    def exposed(self, frame: Stamped) -> tuple[float, float]:
        """First and last moment at which any row can have integrated light, on CLOCK_MONOTONIC.

        Raises:
            WrongClock: the frame would have been there before it was taken, or lain about.
        """
        stamps = self._on_monotonic(frame)
        start_s = min(stamps) - (0.0 if self.marks == "first_row_start" else frame.exposure_s)
        lasts_s = frame.readout_s + (0.0 if self.marks == "first_row_end" else frame.exposure_s)
        # Rows that are in memory have been exposed.
        return start_s, max(min(max(stamps) + lasts_s, frame.arrived_s), start_s + frame.exposure_s)

    def is_new(self, frame: Stamped, not_before_s: float) -> bool:
        """Whether no row integrated light before this. Raises `WrongClock`."""
        margin_s = 0.0 if self.settled else frame.frame_s
        return self.exposed(frame)[0] - margin_s >= not_before_s

    def stamp_of(self, not_before_s: float, exposure_s: float, frame_s: float, boot_ahead_s: float) -> float:
        """The lowest stamp with which `is_new` holds surely."""
        stamp_s = not_before_s + (0.0 if self.marks == "first_row_start" else exposure_s)
        stamp_s += 0.0 if self.settled else frame_s
        return stamp_s + (0.0 if self.clock == "monotonic" else max(0.0, boot_ahead_s))

    def _on_monotonic(self, frame: Stamped) -> list[float]:
        by = {"monotonic": frame.stamp_s, "boottime": frame.stamp_s - frame.boot_ahead_s}
        readings = list(by.values()) if self.clock == "unsettled" else [by[self.clock]]
        past = [stamp_s for stamp_s in readings if stamp_s <= frame.arrived_s + AHEAD_S]
        oldest_s = frame.arrived_s - OLD_FRAMES * max(frame.frame_s, frame.exposure_s) - OLD_S
        sound = [stamp_s for stamp_s in past if stamp_s >= oldest_s]
        if not sound:
            raise WrongClock(_where(frame, readings))
        return sound


def _where(frame: Stamped, readings: list[float]) -> str:
    off_s = min((stamp_s - frame.arrived_s for stamp_s in readings), key=abs)
    side = f"{off_s:.3f} s after" if off_s > 0 else f"{-off_s:.3f} s before"
    return f"its frames are stamped {side} they arrive"
