"""Options of drivers that this release declares and cannot drive yet: configs for real rigs can be written and checked.

Facts come from the parts' own documents: picamera2 controls, gphoto2 configuration names.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from drivers.base import (
    CameraCapabilities,
    CameraOptions,
    CameraSettings,
    NonNegative,
    Positive,
)


class Picamera2Options(CameraOptions):
    """A Raspberry Pi camera through picamera2 (from apt, `python3-picamera2`)."""

    camera: Annotated[int, Field(ge=0, le=3)] = 0
    """Which camera, as `rpicam-hello --list-cameras` counts."""
    width: Annotated[int, Field(ge=64, le=20_000)] = 4056
    """Pixels across; the Pi HQ camera has 4056, and modes of 2028 and 1332."""
    height: Annotated[int, Field(ge=64, le=20_000)] = 3040
    """Pixels down."""
    format: Literal["jpeg", "dng"] = "jpeg"
    """What is stored."""
    jpeg_quality: Annotated[int, Field(ge=50, le=100)] = 95
    """Of a JPEG."""
    exposure_s: Annotated[float, Field(gt=0, le=600)] = 0.02
    """Exposure time, locked."""
    gain: Annotated[float, Field(ge=1, le=64)] = 1.0
    """Analogue gain, locked."""
    red_gain: Annotated[float, Field(gt=0, le=32)] = 2.0
    """White balance, locked: gain of red."""
    blue_gain: Annotated[float, Field(gt=0, le=32)] = 2.0
    """White balance, locked: gain of blue."""
    lens_position: NonNegative | None = None
    """Focus in dioptres, locked, for modules that have autofocus."""
    frame_period_s: Positive = 0.1
    """From one frame of the sensor to the next: 10 a second at full size."""
    buffers: Annotated[int, Field(ge=1, le=8)] = 2
    """Frames in memory. Few: the contiguous memory they need runs out."""

    def declared(self) -> CameraCapabilities:
        """The camera as these options describe it."""
        bytes_per_pixel = 1.5 if self.format == "dng" else 0.5
        settings = CameraSettings(
            self.exposure_s, self.gain, (self.red_gain, self.blue_gain), self.lens_position
        )
        return CameraCapabilities(
            name=f"Pi camera {self.camera}",
            width=self.width,
            height=self.height,
            suffix=".dng" if self.format == "dng" else ".jpg",
            frame_bytes=round(self.width * self.height * bytes_per_pixel),
            exposure_s=self.exposure_s,
            overhead_s=max(self.frame_period_s, self.exposure_s),
            transfer_s=0.3,
            settings=settings,
        )
