"""What passes between the driver and its camera process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from drivers.apart.wire import Codec, Message

NO_LIBRARY, NO_CAMERA, BUSY, NO_MEMORY, FAILED = range(1, 6)
"""Codes of a refusal: picamera2 cannot be imported; no such camera; somebody else has it; no contiguous memory; anything else."""


# ----------------------------------------------------------------------------------------------------------- requests


@dataclass(frozen=True, slots=True)
class Open(Message):
    """Take a camera into use. Answer: `Opened`."""

    camera: int
    plain: bool
    """Keep a Pi 5 from averaging over frames: no temporal denoise, no HDR."""


@dataclass(frozen=True, slots=True)
class Run(Message):
    """Configure the streams, and let the sensor run. Answer: `Running`."""

    use: Literal["still", "burst"]
    width: int
    height: int
    raw: bool
    sensor: tuple[int, int] | None
    """The sensor's own mode, in pixels; None: the largest."""
    buffers: int
    controls: dict[str, Any]
    quality: int = 95
    start: bool = True
    """False: only see what it would be."""


@dataclass(frozen=True, slots=True)
class Next(Message):
    """Let go of these frames, and wait for the sensor's next one. Answer: `Seen`."""

    release: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Change(Message):
    """Set controls, for frames to come. Answer: `Done`."""

    controls: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fetch(Message):
    """A held frame as a file, and let go of it. Answer: `Data`."""

    handle: int
    raw: bool


@dataclass(frozen=True, slots=True)
class Collect(Message):
    """So many gray frames, none with a timestamp before this. Answer: `Collected`."""

    frames: int
    after_ns: int


# ------------------------------------------------------------------------------------------------------------ answers


@dataclass(frozen=True, slots=True)
class Opened(Message):
    """What the camera is."""

    model: str
    version: str
    """Of picamera2."""
    native: tuple[int, int]
    """Pixels of the whole sensor."""
    plain: bool
    """Temporal denoise and HDR have been taken out of the pipeline."""
    autofocus: bool


@dataclass(frozen=True, slots=True)
class Running(Message):
    """How the streams came out."""

    width: int
    height: int
    limits: dict[str, Any]
    """Lowest and highest value of each control."""
    crop: tuple[int, int, int, int] | None
    """What the stream shows of the sensor, in its pixels: left, top, width, height."""


@dataclass(frozen=True, slots=True)
class Seen(Message):
    """A frame, held until it is fetched or let go of."""

    handle: int
    told: dict[str, Any]
    """What libcamera tells of it."""
    arrived_ns: int
    """CLOCK_MONOTONIC when it was there."""
    boot_ahead_ns: int
    """By how much CLOCK_BOOTTIME is ahead of it: the time that the machine has slept."""


@dataclass(frozen=True, slots=True)
class Data(Message):
    """The file is in the message's raw bytes."""


@dataclass(frozen=True, slots=True)
class Collected(Message):
    """The frames' pixels are in the message's raw bytes, one after another."""

    width: int
    height: int
    frames: tuple[dict[str, Any], ...]
    """As `Seen.told`."""
    arrived_ns: tuple[int, ...]
    boot_ahead_ns: int


CODEC = Codec(Open, Run, Next, Change, Fetch, Collect, Opened, Running, Seen, Data, Collected)
