"""Bursts of the simulated camera: the whole view on few pixels, at the rate that was asked for, as sensors read out binned.

A frame shows what the carriage did during its own exposure, ringing included. Brightness is kept by gain, so a short exposure
costs noise, and binned pixels win some back. Not modelled: the rolling shutter of most such sensors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from drivers.base import BurstCapabilities, BurstFrame, DriverError
from drivers.sim.options import SimCameraOptions
from drivers.sim.truth import World

PORT = "sim camera"
SAMPLES = 16
"""Points of the carriage's path during one exposure."""
STILL_PX = 2e-4
"""A burst is there to see small motions: less than in pictures is left out."""
READ_OUT_SHARE = 0.9
"""Of the time between two frames that can be exposed at most."""
LONGEST_BURST = 20_000
"""Frames: a mistyped number is an error and not an hour of rendering."""

Develop = Callable[[NDArray[np.float64], NDArray[np.float64], int], NDArray[np.uint8]]
"""Picture (H, W, 3) of a path: positions in µm, ringing in µm, number of the frame."""


class Random(Protocol):
    """What is drawn from the rig's seed."""

    def __call__(self, kind: str, number: int) -> np.random.Generator:
        """For one decision about one frame."""


def burst_capabilities(options: SimCameraOptions) -> BurstCapabilities:
    """The bursts that a camera of these options gives."""
    width = min(options.burst_width, options.width)
    still_px = options.width / width
    height = max(16, round(options.height / still_px))
    return BurstCapabilities(tuple(sorted(options.burst_rates_hz, reverse=True)), width, height, still_px)


def burst_options(options: SimCameraOptions) -> SimCameraOptions:
    """The camera as it is during a burst: larger and fewer pixels, a shorter exposure."""
    capabilities = burst_capabilities(options)
    light = options.burst_exposure_s / options.exposure_s * capabilities.still_px**2
    return options.model_copy(
        update={
            "width": capabilities.width,
            "height": capabilities.height,
            "pixel_pitch_um": options.pixel_pitch_um * capabilities.still_px,
            "photons_full_scale": options.photons_full_scale * light,
        }
    )


def times(options: SimCameraOptions, frames: int, rate_hz: float, first_s: float) -> NDArray[np.float64]:
    """When each frame's exposure begins and ends, (n, 2). Raises `DriverError` for what the camera cannot do."""
    rates = burst_capabilities(options).rates_hz
    if not rates:
        raise DriverError(PORT, "gives no bursts")
    if rate_hz not in rates:
        known = ", ".join(f"{rate:g}" for rate in rates)
        raise DriverError(PORT, f"gives no bursts at {rate_hz:g} Hz, only at {known} Hz")
    if not 1 <= frames <= LONGEST_BURST:
        raise DriverError(PORT, f"cannot give a burst of {frames} frames: 1 to {LONGEST_BURST}")
    exposure_s = min(options.burst_exposure_s, READ_OUT_SHARE / rate_hz)
    start = first_s + np.arange(frames) / rate_hz
    return np.stack([start, start + exposure_s], axis=1)


def taken(
    world: World, spans_s: NDArray[np.float64], develop: Develop, lost: Callable[[int], bool]
) -> list[BurstFrame]:
    """The frames of exposures that are over, but for those that were lost."""
    share = (np.arange(SAMPLES) + 0.5) / SAMPLES
    found = []
    for number, (start_s, end_s) in enumerate(spans_s):
        if lost(number):
            continue
        track = world.track(start_s + share * (end_s - start_s))
        picture: Any = develop(track.position_um, track.ring_um, number)
        found.append(BurstFrame(float(start_s), float(end_s), gray(picture)))
    return found


def gray(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) of (H, W, 3), rounded: red and blue a quarter each, as a Bayer pattern has them."""
    wide = picture.astype(np.uint16)
    return ((wide[..., 0] + 2 * wide[..., 1] + wide[..., 2] + 2) // 4).astype(np.uint8)
