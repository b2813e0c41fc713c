"""What a simulated rig can be told. Imports nothing heavy: every config is checked through these.

Faults happen on request only, by number or by probability, and are drawn from the rig's seed.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from drivers.base import (
    CameraCapabilities,
    CameraOptions,
    CameraSettings,
    NonNegative,
    Options,
    Positive,
    RailCapabilities,
    RailOptions,
    ShapeKind,
    Shaping,
    ShutterCapabilities,
    ShutterOptions,
)

Count = Annotated[int, Field(ge=0)]
Chance = Annotated[float, Field(ge=0, le=1)]


class SimRailFaults(Options):
    """What goes wrong with the rail. Moves are counted from 1, also across a new start of the rail; jogs and homing do not count."""

    stall_after_moves: Count | None = None
    """After this many moves the motor stalls halfway through the next one, and the controller does not notice."""
    lose_steps: Count = 0
    """Microsteps that one move loses without notice."""
    lose_steps_at_move: Annotated[int, Field(ge=1)] = 1
    """The move that loses them."""
    unplug_after_moves: Count | None = None
    """After this many moves the controller disappears halfway through the next one, until it is opened again."""
    home_switch_broken: bool = False
    """The home switch never closes: homing ends in an alarm."""


class SimRailOptions(RailOptions):
    """A lead screw rail with a stepper motor, and a camera on it that rings after each move."""

    screw_pitch_um: Positive = 2000.0
    """Travel of one motor revolution."""
    full_steps_per_rev: Annotated[int, Field(ge=4, le=1000)] = 200
    """Full steps of the motor."""
    microsteps: Annotated[int, Field(ge=1, le=256)] = 16
    """Microsteps per full step. With pitch and full steps they make the smallest move."""
    travel_um: Positive = 60_000.0
    """From home to the far end."""
    max_speed_um_per_s: Positive = 10_000.0
    """Highest speed."""
    acceleration_um_per_s2: Positive = 200_000.0
    """Highest acceleration."""
    profile: ShapeKind = "quintic"
    """Shape of a move until it is told another: constant accelerations, the smooth fifth-order polynomial that hardly rings, or
    constant accelerations through an input shaper."""
    quintic_min_periods: NonNegative = 3.0
    """A quintic move lasts at least so many periods of the ringing; 0: as fast as speed and acceleration allow."""
    shaper_hz: Positive | None = None
    """Frequency that shapers and quintic are made for. None: `ring_hz`, as if it had been measured without error."""
    shaper_damping: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Damping ratio that shapers are made for. None: `ring_damping`."""
    backlash_um: NonNegative = 25.0
    """Lost motion of screw and nut at a reversal."""
    microstep_error: Annotated[float, Field(ge=0, le=0.2)] = 0.04
    """Periodic error of the motor, as a share of a full step."""
    ring_hz: Annotated[float, Field(ge=1, le=500)] = 15.0
    """Natural frequency of the camera on its mount."""
    ring_damping: Annotated[float, Field(gt=0, lt=1)] = 0.03
    """Damping ratio of that ringing."""
    ring_coupling: Annotated[float, Field(ge=0, le=10)] = 0.3
    """Sideways shift of the image, in subject micrometres per micrometre of ringing along the rail."""
    thermal_drift_um_per_hour: float = 0.0
    """Rate at which screw and stand grow at first. Negative: they shrink."""
    thermal_time_constant_s: Positive = 3600.0
    """After this long two thirds of the drift are over."""
    start_um: float | None = None
    """Where the carriage stands at power on; nobody is told. None: somewhere in the travel, by the rig's seed."""
    homing_speed_um_per_s: Positive = 8000.0
    """Speed of the search for the home switch; the last approach takes a tenth of it."""
    pull_off_um: Positive = 500.0
    """Zero lies this far from the home switch. More than the backlash."""
    far_switch_um: Positive = 500.0
    """The far switch closes this far beyond the end of the travel."""
    faults: SimRailFaults = SimRailFaults()
    """What goes wrong."""

    @property
    def full_step_um(self) -> float:
        """Travel of one full step."""
        return self.screw_pitch_um / self.full_steps_per_rev

    @property
    def microstep_um(self) -> float:
        """Travel of one microstep."""
        return self.full_step_um / self.microsteps

    @property
    def shaping(self) -> Shaping:
        """How moves are shaped until the rail is told otherwise."""
        return Shaping(
            self.profile,
            frequency_hz=self.ring_hz if self.shaper_hz is None else self.shaper_hz,
            damping=self.ring_damping if self.shaper_damping is None else self.shaper_damping,
            quintic_periods=self.quintic_min_periods,
        )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.pull_off_um <= self.backlash_um:
            raise ValueError("pull_off_um must be more than backlash_um, or zero lies on the home switch")
        if self.start_um is not None and not -self.pull_off_um <= self.start_um <= self.travel_um:
            raise ValueError("start_um must lie between the home switch (-pull_off_um) and travel_um")
        return self

    def declared(self) -> RailCapabilities:
        """The rail as described here."""
        return RailCapabilities(
            name="simulated rail",
            microstep_um=self.microstep_um,
            travel_um=self.travel_um,
            max_speed_um_per_s=self.max_speed_um_per_s,
            acceleration_um_per_s2=self.acceleration_um_per_s2,
            backlash_um=self.backlash_um,
            can_release=True,
        )


class Fault(Options):
    """When one kind of fault happens. Captures are counted from 1, also across a new start of the camera."""

    at: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Numbers of the captures it happens to."""
    probability: Chance = 0.0
    """Chance that it happens to any other capture."""


class SimCameraFaults(Options):
    """What goes wrong with the camera."""

    hang: Fault = Fault()
    """The exposure never ends."""
    hang_transfer: Fault = Fault()
    """The data never come."""
    lost: Fault = Fault()
    """The exposure ends, and its data cannot be read."""
    black: Fault = Fault()
    """A black frame."""
    truncated: Fault = Fault()
    """The data end in the middle."""
    stale: Fault = Fault()
    """An older frame of the rolling buffer is served, with its true times."""
    duplicate: Fault = Fault()
    """The previous picture is served once more."""
    drift: Fault = Fault()
    """Exposure time and gain have changed, and say so when read back."""
    burst_lost: Fault = Fault()
    """A frame of a burst is missing; counted from 1 within the burst."""


class SimCameraOptions(CameraOptions):
    """A free-running sensor with a rolling buffer, behind a macro lens, looking at a scene with height."""

    width: Annotated[int, Field(ge=16, le=20_000)] = 1014
    """Pixels across."""
    height: Annotated[int, Field(ge=16, le=20_000)] = 760
    """Pixels down."""
    scene: Literal["ring", "insect", "tilt"] = "ring"
    """The subject: a ring on a stand, an insect-like body with hairs and wires, or a shallow textured tilt."""
    near_um: NonNegative = 10_000.0
    """Rail position at which the subject's nearest point is in focus."""
    far_um: NonNegative = 14_000.0
    """Rail position at which its farthest point is in focus."""
    magnification: Positive = 1.0
    """Image size over subject size."""
    f_number: Positive = 5.6
    """As set on the lens."""
    pixel_pitch_um: Positive = 6.2
    """Distance of two pixels on the sensor."""
    pupil_to_focus_um: Positive | None = 100_000.0
    """Entrance pupil to the plane in focus; it sets how much a step of the rail changes the size of the image. None: a
    telecentric lens, whose image keeps its size."""
    exposure_s: Annotated[float, Field(gt=0, le=60)] = 0.02
    """Exposure time."""
    frame_period_s: Positive = 0.1
    """From the start of one frame of the sensor to the next; never shorter than the exposure."""
    buffers: Annotated[int, Field(ge=1, le=16)] = 3
    """Finished frames that the rolling buffer holds."""
    mode: Literal["fresh", "naive"] = "fresh"
    """`fresh`: waits for a frame exposed when it was asked or later; `naive`: takes the newest finished one, as a plain
    capture on a Pi does, which right after a move is a picture of the previous position."""
    read_noise: NonNegative = 0.5
    """Noise of the read-out, standard deviation in 8-bit levels."""
    photons_full_scale: Positive = 40_000.0
    """Photons that make a white pixel; shot noise follows."""
    flicker: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Relative standard deviation of the brightness from frame to frame."""
    format: Literal["jpeg", "png"] = "jpeg"
    """What the camera delivers."""
    jpeg_quality: Annotated[int, Field(ge=50, le=100)] = 95
    """Quality of its JPEG."""
    transfer_s: NonNegative = 0.05
    """From the shutter closing to the data being here."""
    burst_rates_hz: tuple[Annotated[float, Field(gt=0, le=2000)], ...] = (120.0, 40.0)
    """Rates at which it gives bursts of small frames. None: it gives no bursts."""
    burst_width: Annotated[int, Field(ge=64, le=4096)] = 320
    """Pixels across of a burst's frames, which show the whole view; never more than those of a picture."""
    burst_exposure_s: Annotated[float, Field(gt=0, le=1)] = 0.004
    """Exposure time of a burst's frames, as far as the rate leaves time for it."""
    threads: Annotated[int, Field(ge=1, le=16)] = 2
    """Threads that render the picture."""
    faults: SimCameraFaults = SimCameraFaults()
    """What goes wrong."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.far_um <= self.near_um:
            raise ValueError("far_um must be more than near_um: positions grow toward the subject")
        return self

    @property
    def period_s(self) -> float:
        """The sensor's real frame period."""
        return max(self.frame_period_s, self.exposure_s)

    @property
    def suffix(self) -> str:
        """File name ending of its pictures."""
        return {"jpeg": ".jpg", "png": ".png"}[self.format]

    def declared(self) -> CameraCapabilities:
        """The camera as described here."""
        # Measured on the scenes at quality 80 to 98, 0.3 to 12 megapixels.
        bytes_per_pixel = (
            1.4 if self.format == "png" else 0.05 + 0.25 * max(0.0, (self.jpeg_quality - 60) / 40) ** 2
        )
        return CameraCapabilities(
            name=f"simulated camera, {self.scene}",
            width=self.width,
            height=self.height,
            suffix=self.suffix,
            frame_bytes=1500 + round(self.width * self.height * bytes_per_pixel),
            exposure_s=self.exposure_s,
            overhead_s=self.period_s / 2 if self.mode == "fresh" else 0.0,
            transfer_s=self.transfer_s,
            settings=CameraSettings(exposure_s=self.exposure_s, gain=1.0),
        )


class SimLightOptions(Options):
    """A lamp. Where a rig has one, its simulated camera sees next to nothing while it is off."""

    brightness: Annotated[float, Field(gt=0, le=4)] = 1.0
    """Light on the subject; 1 is what the scene is meant for."""
    broken: bool = False
    """It can be switched and stays dark."""


class SimSwitchOptions(Options):
    """A contact that a test, or a time, presses."""

    pressed: bool = False
    """Pressed from the start."""
    press_after_s: NonNegative | None = None
    """Pressed by itself so long after opening."""
    press_for_s: Positive | None = None
    """How long that lasts. None: for good."""


class SimShutterOptions(ShutterOptions):
    """A wired release that keeps a list of its presses."""

    max_exposure_s: Positive = 60.0
    """Longest press it accepts."""

    def declared(self) -> ShutterCapabilities:
        """A release without delay."""
        return ShutterCapabilities("simulated release")
