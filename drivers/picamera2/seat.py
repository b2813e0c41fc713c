"""Where a camera and the axis that moves its lens meet: in `Context.shared`, whichever is made first."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass

from drivers.picamera2.lens_line import SEEN, WANTED
from drivers.registry import Context

KEY = "picamera2.lens"


@dataclass(frozen=True, slots=True)
class Sighting:
    """Where a frame showed the lens."""

    dioptres: float
    at_s: float
    """When the frame was there, on CLOCK_MONOTONIC."""


class LensSeat:
    """What is wanted of the lens, and what frames show of it. All methods: any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._line: socket.socket | None = None
        self._wanted: float | None = None
        self._wanted_s = 0.0
        self._sighting: Sighting | None = None
        self.has_camera = False
        """A camera that can move its lens has been made."""

    @property
    def wanted(self) -> float | None:
        """Dioptres that the axis wants; None while it has wanted nothing."""
        with self._lock:
            return self._wanted

    @property
    def connected(self) -> bool:
        """Whether a camera is open."""
        with self._lock:
            return self._line is not None

    def connect(self, line: socket.socket) -> None:
        """A camera process is there; it is told what is wanted."""
        line.setblocking(False)
        with self._lock:
            self._line, self._sighting = line, None
            self._send()

    def disconnect(self) -> None:
        """It is gone."""
        with self._lock:
            self._line, self._sighting = None, None

    def steer(self, dioptres: float) -> None:
        """Send the lens there, now or when there is a camera again."""
        with self._lock:
            self._wanted, self._wanted_s = dioptres, time.monotonic()
            self._send()

    def look(self) -> Sighting | None:
        """Where the newest frame since the last `steer` shows the lens; None while none has come."""
        with self._lock:
            self._hear()
            seen = self._sighting
            return seen if seen is not None and seen.at_s >= self._wanted_s else None

    def _send(self) -> None:
        if self._line is None or self._wanted is None:
            return
        # A process that is gone is replaced by the camera, which connects anew.
        with contextlib.suppress(OSError):
            self._line.send(WANTED.pack(self._wanted))

    def _hear(self) -> None:
        while self._line is not None:
            try:
                packet = self._line.recv(SEEN.size)
            except OSError:
                return
            if len(packet) < SEEN.size:
                return
            dioptres, at_ns = SEEN.unpack(packet)
            self._sighting = Sighting(dioptres, at_ns * 1e-9)


def seat_of(context: Context) -> LensSeat:
    """The one of this rig."""
    seat: LensSeat = context.shared.setdefault(KEY, LensSeat())
    return seat
