"""The way between a lens that is moved as an axis and the camera process, beside the one for pictures: neither waits for the other.

Packets: to the process, where the lens is to go; from it, for each frame, where the lens was.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from typing import Any

WANTED = struct.Struct("<d")
"""Dioptres."""
SEEN = struct.Struct("<dq")
"""Dioptres as the frame tells them, and CLOCK_MONOTONIC in ns when it was there."""
AT_TARGET = 0.005
"""Dioptres: floats of half the width have been between."""
PATIENCE_FRAMES = 15
"""A lens that has not begun to move after so many frames is told again: picamera2 can lose a control that is set while a frame is
given back, and controls take up to eleven frames."""


class LensLine:
    """The camera process's end.

    Args:
        descriptor: of a socket that keeps packets apart.
    """

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._camera: Any = None
        self._wanted: float | None = None
        self._last = 0.0
        self._still = 0

    def watch(self, camera: Any) -> None:
        """From now on for this camera, where it has autofocus."""
        if self._camera is not None or "LensPosition" not in camera.camera_controls:
            return
        self._camera = camera
        camera.pre_callback = self._frame
        threading.Thread(target=self._listen, name="lens", daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                packet = self._socket.recv(WANTED.size)
            except OSError:
                return
            if len(packet) < WANTED.size:
                return
            (self._wanted,) = WANTED.unpack(packet)
            self._still = 0
            self._tell(self._wanted)

    def _tell(self, dioptres: float) -> None:
        self._camera.set_controls({"AfMode": 0, "LensPosition": dioptres})

    def _frame(self, frame: Any) -> None:
        """On picamera2's own thread, for each frame."""
        told = frame.get_metadata().get("LensPosition")
        wanted = self._wanted
        if told is None or wanted is None:
            return
        self._still = self._still + 1 if told == self._last else 0
        self._last = told
        if abs(told - wanted) > AT_TARGET and self._still >= PATIENCE_FRAMES:
            self._still = 0
            self._tell(wanted)
        # Nobody has to listen: what does not fit is dropped, and the next frame tells again.
        with contextlib.suppress(OSError):
            self._socket.send(SEEN.pack(told, time.monotonic_ns()), socket.MSG_DONTWAIT)
