"""Options of the Pi camera and of its lens as an axis. They import nothing of picamera2.

Facts come from libcamera's description of its controls and from the modules' data sheets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from drivers.base import (
    CameraCapabilities,
    CameraOptions,
    CameraSettings,
    NonNegative,
    Positive,
    RailCapabilities,
    RailOptions,
)

Edge = Annotated[int, Field(ge=64, le=20_000)]
SmallEdge = Annotated[int, Field(ge=32, le=4000)]


class Picamera2Options(CameraOptions):
    """A Raspberry Pi camera through picamera2 (from apt, `python3-picamera2`)."""

    camera: Annotated[int, Field(ge=0, le=3)] = 0
    """Which camera, as `rpicam-hello --list-cameras` counts."""
    width: Edge = 4056
    """Pixels across; the Pi HQ camera has 4056, and modes of 2028 and 1332."""
    height: Edge = 3040
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
    """Focus in dioptres, locked, for modules that have autofocus. Leave it away where the rail is `lens`."""
    denoise: Literal["off", "fast", "high_quality"] = "off"
    """Spatial noise reduction of a JPEG. It invents detail that differs from frame to frame; temporal denoise is always off."""
    frame_period_s: Positive = 0.1
    """From one frame of the sensor to the next: 10 a second at full size."""
    buffers: Annotated[int, Field(ge=1, le=8)] = 2
    """Frames in memory. Few: the contiguous memory they need runs out. Where it does, fewer are taken, with a warning."""
    timestamp: Literal["unsettled", "first_row_start", "first_row_end"] = "unsettled"
    """What the sensor's timestamp marks. `unsettled` believes the worst of both and lets one frame more pass; a bench can tell."""
    timestamp_clock: Literal["unsettled", "monotonic", "boottime"] = "unsettled"
    """Which clock it counts. They differ by the time that the machine has slept, which a Pi does not do."""
    burst_width: SmallEdge = 640
    """Pixels across of the small frames that watch a motion."""
    burst_height: SmallEdge = 480
    """Pixels down of the small frames."""
    burst_rates_hz: tuple[Positive, ...] = (120.0, 97.0)
    """Rates of the small frames, two that tell a frequency from its alias; the fastest possible ones where the sensor is slower. Empty:
    no bursts."""
    response_timeout_s: Positive = 5.0
    """Beyond four frames, how long to wait for one before the camera's process is replaced."""
    python: Path | None = None
    """The Python that has picamera2. None: rigd's own, and the system's where that one has not."""

    @model_validator(mode="after")
    def _even(self) -> Self:
        for name in ("width", "height", "burst_width", "burst_height"):
            if getattr(self, name) % 2:
                raise ValueError(f"{name} must be even")
        return self

    @property
    def suffix(self) -> str:
        """Ending of the files."""
        return ".dng" if self.format == "dng" else ".jpg"

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
            suffix=self.suffix,
            frame_bytes=round(self.width * self.height * bytes_per_pixel),
            exposure_s=self.exposure_s,
            overhead_s=max(self.frame_period_s, self.exposure_s),
            transfer_s=0.3,
            settings=settings,
        )


class LensOptions(RailOptions):
    """The focus of a Pi camera with autofocus, moved as if it were a rail. Needs `camera: {driver: picamera2}`.

    Position 0 is the plane in focus at `near_dioptres`, the nearest; positions are the distance of the plane in focus from there, and grow
    away from the camera. A lens at D dioptres is in focus at 1/D metres.
    """

    near_dioptres: Annotated[float, Field(gt=0, le=50)] = 10.0
    """Nearest focus, where position 0 is and where the lens is parked: 10 dioptres are 100 mm."""
    far_dioptres: Annotated[float, Field(gt=0, le=50)] = 4.0
    """Farthest focus that is used: 4 dioptres are 250 mm."""
    microstep_um: Positive = 10.0
    """Unit of all positions. The lens itself is coarser: a thousand steps over its range, 0.3 mm in the subject at 100 mm."""
    max_speed_um_per_s: Positive = 500_000.0
    """How fast the plane in focus is led along. Slower rings less."""
    park_dioptres_per_s: Positive = 30.0
    """How fast the lens is led to its park position by homing."""
    arrival_s: Positive = 0.5
    """Expected time from the last command to the frame that shows the lens there: controls take some frames."""
    arrival_timeout_s: Positive = 5.0
    """After this, a lens that no frame shows at its place is an alarm. Long exposures make long frames."""
    tolerance_dioptres: Annotated[float, Field(gt=0, le=1)] = 0.01
    """How far from its target a lens counts as arrived."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.far_dioptres >= self.near_dioptres:
            raise ValueError("far_dioptres must be below near_dioptres: fewer dioptres are farther")
        if self.travel_um < 100 * self.microstep_um:
            raise ValueError(
                "microstep_um is too coarse for the travel between near_dioptres and far_dioptres"
            )
        return self

    @property
    def travel_um(self) -> float:
        """From the nearest plane to the farthest."""
        return 1e6 / self.far_dioptres - 1e6 / self.near_dioptres

    def dioptres_at(self, position_um: float) -> float:
        """Where the lens must be for this plane to be in focus."""
        return 1e6 / (1e6 / self.near_dioptres + position_um)

    def position_um(self, dioptres: float) -> float:
        """The plane in focus; beyond the travel for a lens that is nearer to infinity."""
        return 1e6 / max(dioptres, 1e-3) - 1e6 / self.near_dioptres

    def declared(self) -> RailCapabilities:
        """The axis as these options describe it. A lens on a spring has no lost motion; it is approached from one side all the same."""
        return RailCapabilities(
            name="lens of the Pi camera",
            microstep_um=self.microstep_um,
            travel_um=self.travel_um,
            max_speed_um_per_s=self.max_speed_um_per_s,
            # Led at constant speed: it is there at once.
            acceleration_um_per_s2=self.max_speed_um_per_s / 0.01,
            backlash_um=0.0,
            can_release=False,
        )
