"""Options of drivers that this release declares and cannot drive yet: configs for real rigs can be written and checked.

Facts come from the parts' own documents: picamera2 controls, gphoto2 configuration names.
"""

from __future__ import annotations

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

Pin = Annotated[int, Field(ge=0, le=27)]
"""GPIO number as the SoC counts (GPIO17, not header pin 11)."""


class StepDirOptions(RailOptions):
    """A stepper driver with STEP, DIR and ENABLE on the Pi's own pins. For slow rails: Linux times the pulses."""

    step_pin: Pin
    """GPIO of STEP."""
    dir_pin: Pin
    """GPIO of DIR."""
    enable_pin: Pin | None = None
    """GPIO of ENABLE; None: always enabled."""
    home_pin: Pin
    """GPIO of the home switch."""
    far_pin: Pin | None = None
    """GPIO of the far switch."""
    switch_closes_to: Literal["ground", "supply"] = "ground"
    """What the switches connect their pin to when pressed."""
    normally_closed: bool = True
    """The switches open when pressed, so that a broken wire stops the rail."""
    enable_active_low: bool = True
    """ENABLE is on at low level, as on most stepper drivers."""
    invert: bool = False
    """DIR high leads away from the subject."""
    screw_pitch_um: Positive
    """Travel of one motor revolution."""
    full_steps_per_rev: Annotated[int, Field(ge=4, le=1000)] = 200
    """Full steps of the motor: 200 for 1.8 degrees."""
    microsteps: Literal[1, 2, 4, 8, 16, 32, 64, 128, 256] = 16
    """Microsteps per full step, as set on the stepper driver."""
    travel_um: Positive
    """From home to the far end."""
    max_step_rate_hz: Annotated[float, Field(gt=0, le=20_000)] = 1500.0
    """Highest pulse rate; 1 to 2 kHz is plausible for pulses timed by Linux."""
    acceleration_um_per_s2: Positive = 5000.0
    """Acceleration."""
    profile: Literal["trapezoid", "quintic"] = "trapezoid"
    """Shape of a move."""
    backlash_um: NonNegative = 200.0
    """Lost motion at a reversal. Measure it; until then assume much."""
    homing_speed_um_per_s: Positive = 1000.0
    """Speed of the search for the home switch."""

    @property
    def microstep_um(self) -> float:
        """Travel of one microstep."""
        return self.screw_pitch_um / (self.full_steps_per_rev * self.microsteps)

    @model_validator(mode="after")
    def _pins_differ(self) -> Self:
        named = (self.step_pin, self.dir_pin, self.enable_pin, self.home_pin, self.far_pin)
        used = [pin for pin in named if pin is not None]
        if len(set(used)) < len(used):
            raise ValueError("step_pin, dir_pin, enable_pin, home_pin and far_pin must be different pins")
        return self

    def declared(self) -> RailCapabilities:
        """The rail as these options describe it."""
        return RailCapabilities(
            name=f"STEP/DIR on GPIO{self.step_pin}/{self.dir_pin}",
            microstep_um=self.microstep_um,
            travel_um=self.travel_um,
            max_speed_um_per_s=self.max_step_rate_hz * self.microstep_um,
            acceleration_um_per_s2=self.acceleration_um_per_s2,
            backlash_um=self.backlash_um,
            can_release=self.enable_pin is not None,
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
