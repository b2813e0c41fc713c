"""A camera and the wired release that fires it, as one camera.

The release knows when the shutter was open, the camera knows the picture: times come from the one, data from the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, cast

from drivers.base import (
    BurstCamera,
    BurstCapabilities,
    BurstFrame,
    CameraCapabilities,
    Exposure,
    FireableCamera,
    FrameData,
    Shutter,
    ShutterCapabilities,
)


def with_release(camera: CameraCapabilities, shutter: ShutterCapabilities) -> CameraCapabilities:
    """A camera as it is when a release fires it: later by the release's lead, and no sooner than a flash has charged."""
    return replace(
        camera,
        name=f"{camera.name}, fired by {shutter.name}",
        overhead_s=camera.overhead_s + shutter.lead_s,
        recycle_s=shutter.recycle_s,
    )


class FiredCamera:
    """A camera whose shutter a release opens.

    Args:
        camera: gives the pictures.
        shutter: opens its shutter, for the camera's exposure time.
    """

    def __init__(self, camera: FireableCamera, shutter: Shutter) -> None:
        self.camera = camera
        self.shutter = shutter

    @property
    def capabilities(self) -> CameraCapabilities:
        """The camera's, with the release's times."""
        return with_release(self.camera.capabilities, self.shutter.capabilities)

    def open(self) -> None:
        """Both, the release first: it lets go of whatever it held. Raises `DriverError`."""
        self.shutter.open()
        try:
            self.camera.open()
        except Exception:
            self.shutter.close()
            raise

    def close(self) -> None:
        """Both; the release is let go of whatever becomes of the camera."""
        try:
            self.shutter.close()
        finally:
            self.camera.close()

    def expose(self, not_before_s: float, position_um: float) -> Exposure:
        """One picture, whose exposure begins at `not_before_s` or later. Raises as `Camera.expose` and `Shutter.fire` do."""
        exposure_s = self.camera.capabilities.exposure_s
        return self.camera.expose_by(lambda: self.shutter.fire(exposure_s, not_before_s), position_um)

    def fetch(self, exposure: Exposure) -> FrameData:
        """The picture's data, from the camera."""
        return self.camera.fetch(exposure)

    def cancel(self) -> None:
        """End the running `expose` or `fetch`. Any thread."""
        self.shutter.cancel()
        self.camera.cancel()


class FireableBurstCamera(FireableCamera, BurstCamera, Protocol):
    """A camera that a release can fire, and that gives bursts by itself."""


class FiredBurstCamera(FiredCamera):
    """A camera whose shutter a release opens for pictures, and that gives bursts without it.

    Args:
        camera: gives the pictures and the bursts.
        shutter: opens its shutter, for the camera's exposure time.
    """

    camera: FireableBurstCamera

    def __init__(self, camera: FireableBurstCamera, shutter: Shutter) -> None:
        super().__init__(camera, shutter)

    @property
    def burst_capabilities(self) -> BurstCapabilities:
        """The camera's."""
        return self.camera.burst_capabilities

    def burst(
        self, frames: int, rate_hz: float, not_before_s: float, position_um: float
    ) -> Sequence[BurstFrame]:
        """From the camera; the release stays as it is. Raises as `BurstCamera.burst` does."""
        return self.camera.burst(frames, rate_hz, not_before_s, position_um)


def fired(camera: FireableCamera, shutter: Shutter) -> FiredCamera:
    """A camera and its release as one, which gives bursts where the camera does."""
    # Not isinstance: Python 3.11 reads every property for it, and a closed camera has no capabilities to tell.
    if hasattr(type(camera), "burst"):
        return FiredBurstCamera(cast("FireableBurstCamera", camera), shutter)
    return FiredCamera(camera, shutter)
