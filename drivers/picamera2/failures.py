"""What picamera2 says, in words that help."""

from __future__ import annotations

import re
from pathlib import Path

from drivers.apart.wire import Refused
from drivers.base import DriverError, DriverNotAvailable
from drivers.picamera2 import messages as m
from drivers.picamera2.options import Picamera2Options

INSTALL = (
    "on a Raspberry Pi: `sudo apt install python3-picamera2`, and rigd in an environment that sees the system's packages (`python3 -m venv "
    "--system-site-packages`, as systemd/install.sh makes it), or camera.python: /usr/bin/python3. It is of no use on other machines"
)
BUS_BYTES = 1_000_000
MEMINFO = Path("/proc/meminfo")


class Said(Exception):
    """picamera2 refused; `error` says it as a driver does."""

    def __init__(self, refused: Refused, error: DriverError) -> None:
        super().__init__(str(error))
        self.code = refused.code
        self.words = refused.words
        self.error = error


def said(port: str, doing: str, refused: Refused, options: Picamera2Options, buffers: int = 0) -> Said:
    """What to raise for a refusal.

    Args:
        port: the camera, for the message.
        doing: what was asked for.
        refused: the answer.
        options: of the camera.
        buffers: how many frames memory was asked for.
    """
    if refused.code == m.NO_MEMORY:
        return Said(refused, DriverError(port, no_memory(options, buffers, refused.words)))
    if refused.code == m.NO_CAMERA:
        words = f"no such camera ({refused.words}); `rpicam-hello --list-cameras` shows those that are connected: look at the ribbon, and at camera.camera"
        return Said(refused, DriverError(port, words))
    if refused.code == m.BUSY:
        words = f"another program holds the camera ({refused.words}); end it: rpicam-hello, motion, a browser, another rigd"
        return Said(refused, DriverError(port, words))
    return Said(refused, DriverError(port, f"{doing}: {refused.words}"))


def not_installed(tried: list[str]) -> DriverNotAvailable:
    """No Python here has picamera2."""
    return DriverNotAvailable("camera", "picamera2", f"{'; '.join(tried)}. {INSTALL}")


def no_memory(options: Picamera2Options, buffers: int, words: str) -> str:
    """What is missing, and the three ways out."""
    each = frame_bytes(options)
    held = f"{buffers} frame{'s' * (buffers != 1)} of {each / BUS_BYTES:.0f} MB"
    free = cma_free()
    have = f", {free / BUS_BYTES:.0f} MB of contiguous memory are free" if free is not None else ""
    fewer = "camera.buffers: 1, " if buffers > 1 else ""
    return (
        f"no memory for {held}{have} ({words}). {fewer}a smaller camera.width and camera.height, or more contiguous memory: "
        "dtoverlay=vc4-kms-v3d,cma-512 in /boot/firmware/config.txt, and restart"
    )


def frame_bytes(options: Picamera2Options) -> int:
    """Contiguous memory of one frame in flight."""
    pixels = options.width * options.height
    return pixels * 2 + pixels * 3 // 32 if options.format == "dng" else pixels * 3 // 2


def cma_free() -> int | None:
    """Contiguous memory that is free, in bytes; None where the kernel has none set aside."""
    try:
        found = re.search(r"^CmaFree:\s+(\d+) kB", MEMINFO.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found and int(found[1]) else None
