"""Options of the STEP/DIR rail. They import nothing of lgpio and gpiozero."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from drivers.base import NonNegative, Positive, RailCapabilities, RailOptions, ShapeKind, Shaping
from drivers.gpio.options import Pin

FULL_STEPS_PER_S = 100.0
"""Half a revolution a second of a 1.8 degree motor: any motor that moves a rail starts and stops at that from rest."""
LEAST_AHEAD_S = 0.006
"""So much must be queued for the pulses not to run dry whenever Python is busy for a moment."""


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
    gpiochip: Annotated[int, Field(ge=0, le=255)] | None = None
    """STEP is a line of /dev/gpiochip so-and-so; None: the one with the pins of the header."""
    switch_closes_to: Literal["ground", "supply"] = "ground"
    """What the switches connect their pin to when pressed."""
    normally_closed: bool = True
    """The switches open when pressed, so that a broken wire stops the rail."""
    enable_active_low: bool = True
    """ENABLE is on at low level, as on most stepper drivers."""
    enable_wait_s: Annotated[float, Field(ge=0, le=5)] = 0.05
    """From ENABLE to the first step: the current has to build up."""
    when_closed: Literal["release", "hold"] = "release"
    """What becomes of the motor when rigd lets go of the rail. Holding needs a driver board that pulls ENABLE to on by itself."""
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
    """Highest pulse rate; 1 to 2 kHz is plausible for pulses timed by Linux. `jump_full_steps` may lower it."""
    acceleration_um_per_s2: Positive = 5000.0
    """Acceleration."""
    profile: ShapeKind = "trapezoid"
    """Shape of a move: `trapezoid`, `quintic`, or a trapezoid shaped for `ring_hz`."""
    ring_hz: NonNegative = 0.0
    """Frequency at which the camera on its mount rings after a move, for shaped moves. 0: not known."""
    ring_damping: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Its damping ratio."""
    backlash_um: NonNegative = 200.0
    """Lost motion at a reversal. Measure it; until then assume much."""
    homing_speed_um_per_s: Positive = 1000.0
    """Speed of the search for the home switch."""
    homing_slow_um_per_s: Positive = 100.0
    """Speed of the second approach, which decides where home is."""
    pull_off_um: Positive = 500.0
    """Position 0 is so far from where the home switch closes."""
    pulse_us: Annotated[int, Field(ge=2, le=1000)] = 20
    """How long STEP is high. From a change of DIR to the next pulse it is always 6 ms."""
    jump_full_steps: Annotated[float, Field(gt=0, le=1.75)] = 1.5
    """How far the motor may be thrown ahead at once and still follow: pulses that Linux sends late come in a bunch, and no more than
    these are ever handed over ahead of time. Two full steps are where a motor falls out of step."""
    start_stop_rate_hz: Positive | None = None
    """Pulse rate that the motor starts and stops at from rest without losing steps; None: that of 100 full steps a second."""

    @property
    def microstep_um(self) -> float:
        """Travel of one microstep."""
        return self.screw_pitch_um / (self.full_steps_per_rev * self.microsteps)

    @property
    def jump_pulses(self) -> int:
        """Most pulses that may come in a bunch."""
        return max(1, math.floor(self.jump_full_steps * self.microsteps))

    @property
    def step_rate_hz(self) -> float:
        """Highest pulse rate, at which `jump_pulses` still last long enough for the pulses not to run dry."""
        return min(self.max_step_rate_hz, self.jump_pulses / LEAST_AHEAD_S)

    @property
    def safe_rate_hz(self) -> float:
        """Pulse rate that the motor starts and stops at from rest."""
        return self.start_stop_rate_hz or FULL_STEPS_PER_S * self.microsteps

    @property
    def shaping(self) -> Shaping:
        """How moves are shaped until somebody says otherwise."""
        return Shaping(self.profile, self.ring_hz, self.ring_damping)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        named = (self.step_pin, self.dir_pin, self.enable_pin, self.home_pin, self.far_pin)
        used = [pin for pin in named if pin is not None]
        if len(set(used)) < len(used):
            raise ValueError("step_pin, dir_pin, enable_pin, home_pin and far_pin must be different pins")
        if self.profile not in {"trapezoid", "quintic"} and not self.ring_hz:
            raise ValueError(f"profile {self.profile} needs ring_hz: the frequency that it is made for")
        if 3 * self.pulse_us * self.step_rate_hz > 1e6:
            raise ValueError(
                f"pulse_us must be less than a third of the time between pulses at {self.step_rate_hz:.0f} Hz"
            )
        if self.enable_pin is None and self.when_closed == "hold":
            raise ValueError("when_closed: hold says nothing without enable_pin")
        return self

    def declared(self) -> RailCapabilities:
        """The rail as these options describe it."""
        return RailCapabilities(
            name=f"STEP/DIR on GPIO{self.step_pin}/{self.dir_pin}",
            microstep_um=self.microstep_um,
            travel_um=self.travel_um,
            max_speed_um_per_s=self.step_rate_hz * self.microstep_um,
            acceleration_um_per_s2=self.acceleration_um_per_s2,
            backlash_um=self.backlash_um,
            can_release=self.enable_pin is not None,
        )
