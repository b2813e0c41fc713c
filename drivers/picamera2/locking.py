"""The settings that are locked: what is asked of the camera, and whether a frame has them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drivers.base import CameraSettings
from drivers.picamera2.options import Picamera2Options

NOISE_REDUCTION = {"off": 0, "fast": 1, "high_quality": 2}
OFF = 0
MANUAL = 0
LINE_S = 50e-6
"""Exposures are whole lines of the sensor."""
ROUNDED = 0.05
"""A sensor's own exposure and gain may differ so much from what was asked for: gains come in steps."""
HELD = 0.01
"""Once read, they do not differ by more from frame to frame."""
COLOUR = 0.03
LENS_DIOPTRES = 0.02
BURST_DUTY = 0.8
"""Share of a burst's frame that may be exposure."""


def controls(options: Picamera2Options, lens: float | None) -> dict[str, Any]:
    """Everything that would decide for itself is told what to do. A control that the camera has not is left away by its process."""
    asked: dict[str, Any] = {
        "AeEnable": False,
        "AwbEnable": False,
        "ExposureTime": round(options.exposure_s * 1e6),
        "AnalogueGain": options.gain,
        "ColourGains": (options.red_gain, options.blue_gain),
        "NoiseReductionMode": NOISE_REDUCTION[options.denoise],
        "HdrMode": OFF,
    }
    return asked if lens is None else asked | {"AfMode": MANUAL, "LensPosition": lens}


def burst_controls(
    options: Picamera2Options, rate_hz: float, most_gain: float, lens: float | None
) -> dict[str, Any]:
    """The same for small frames: short enough for their rate, and as bright as the gain allows."""
    frame_us = round(1e6 / rate_hz)
    exposure_s = min(options.exposure_s, BURST_DUTY / rate_hz)
    gain = min(options.gain * options.exposure_s / exposure_s, max(most_gain, options.gain))
    return controls(options, lens) | {
        "ExposureTime": round(exposure_s * 1e6),
        "AnalogueGain": gain,
        "NoiseReductionMode": OFF,
        "FrameDurationLimits": (frame_us, frame_us),
    }


def read(told: Mapping[str, Any]) -> CameraSettings:
    """The settings that a frame was taken with."""
    gains = told.get("ColourGains")
    return CameraSettings(
        exposure_s=told["ExposureTime"] / 1e6 if "ExposureTime" in told else None,
        gain=told.get("AnalogueGain"),
        white_balance=(float(gains[0]), float(gains[1])) if gains else None,
        lens_position=told.get("LensPosition"),
    )


@dataclass(frozen=True, slots=True)
class Wanted:
    """What frames must show.

    `rounding` is the part by which exposure and gain may differ.
    """

    settings: CameraSettings
    rounding: float

    def differences(self, found: CameraSettings, lens: float | None) -> list[str]:
        """What is not as it should be, in words.

        Args:
            found: as the frame tells.
            lens: dioptres where the lens should be; None: it may be anywhere.
        """
        wrong: list[str] = []
        wanted = self.settings
        if not _near(found.exposure_s, wanted.exposure_s, self.rounding, LINE_S):
            wrong.append(f"exposure time is {found.exposure_s:g} s, not {wanted.exposure_s:g}")
        if not _near(found.gain, wanted.gain, self.rounding, 0.01):
            wrong.append(f"gain is {found.gain:g}, not {wanted.gain:g}")
        for colour, got, asked in zip(
            ("red", "blue"), found.white_balance or (), wanted.white_balance or (), strict=False
        ):
            if not _near(got, asked, COLOUR, 0.01):
                wrong.append(f"gain of {colour} is {got:g}, not {asked:g}")
        if not _near(found.lens_position, lens, HELD, LENS_DIOPTRES):
            wrong.append(f"lens is at {found.lens_position:g} dioptres, not {lens:g}")
        return wrong


def as_asked(options: Picamera2Options) -> Wanted:
    """What the first frames must come near to."""
    gains = (options.red_gain, options.blue_gain)
    return Wanted(CameraSettings(options.exposure_s, options.gain, gains, options.lens_position), ROUNDED)


def beyond(options: Picamera2Options, limits: Mapping[str, Any], lens: float | None) -> list[str]:
    """What the camera cannot be set to, in words."""
    wrong: list[str] = []
    pairs = (
        ("ExposureTime", "exposure_s", options.exposure_s, 1e-6),
        ("AnalogueGain", "gain", options.gain, 1.0),
        ("LensPosition", "lens_position", lens, 1.0),
    )
    for control, name, value, unit in pairs:
        if value is None:
            continue
        if control not in limits:
            what = "its lens does not move" if control == "LensPosition" else f"it has no {control}"
            wrong.append(f"{what}: take camera.{name} away")
            continue
        low, high = (float(limit) * unit for limit in limits[control])
        if not low * (1 - ROUNDED) <= value <= high * (1 + HELD):
            wrong.append(f"camera.{name} {value:g} is not between {low:g} and {high:g}")
    return wrong


def _near(found: float | None, wanted: float | None, part: float, least: float) -> bool:
    if found is None or wanted is None:
        return True
    return abs(found - wanted) <= max(part * abs(wanted), least)
