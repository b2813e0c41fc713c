"""Options of the parts on pins. They import nothing of gpiozero."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from drivers.base import NonNegative, Options, Positive, ShutterCapabilities, ShutterOptions

Pin = Annotated[int, Field(ge=0, le=27)]
"""GPIO number as the SoC counts (GPIO17, not header pin 11)."""


class ReleaseOptions(ShutterOptions):
    """A wired remote release through opto-couplers."""

    release_pin: Pin
    """GPIO of the full press."""
    focus_pin: Pin | None = None
    """GPIO of the half press; None: not wired."""
    active_low: bool = False
    """Pressed at low level: an opto-coupler between supply and pin."""
    bulb: bool = False
    """The camera is set to B and exposes for as long as the release is pressed. Otherwise it times the exposure itself."""
    press_s: Positive = 0.1
    """How long the release is pressed where the camera times the exposure itself, and to raise the mirror."""
    half_press_s: NonNegative = 0.2
    """Half press before the full one, to wake the camera."""
    mirror_up_s: NonNegative = 0.0
    """First press raises the mirror, the second after this time exposes; 0: one press."""
    lag_s: NonNegative = 0.1
    """From the full press to the shutter opening, at most."""
    recycle_s: NonNegative = 0.0
    """Wait after an exposure, for a flash to charge."""
    sync_pin: Pin | None = None
    """GPIO of the camera's sync contact, as proof of the exposure; None: not wired."""
    sync_closes_to: Literal["ground", "supply"] = "ground"
    """What the sync contact, or its opto-coupler, connects the pin to while the shutter is open."""
    sync_timeout_s: Positive = 1.0
    """So much later than expected the sync contact may close, or open again, before the exposure counts as failed."""
    curtain_s: NonNegative = 0.005
    """How long a curtain of the shutter travels: the contact closes when the first one has arrived."""

    @property
    def lead_s(self) -> float:
        """From being asked to the full press."""
        return self.mirror_up_s + (self.half_press_s if self.focus_pin is not None else 0.0)

    def declared(self) -> ShutterCapabilities:
        """The release as these options describe it."""
        return ShutterCapabilities(
            name=f"release on GPIO{self.release_pin}",
            lead_s=self.lead_s + self.lag_s,
            recycle_s=self.recycle_s,
            proves=self.sync_pin is not None,
        )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        pins = [pin for pin in (self.release_pin, self.focus_pin, self.sync_pin) if pin is not None]
        if len(set(pins)) < len(pins):
            raise ValueError("release_pin, focus_pin and sync_pin must be different pins")
        if 0 < self.mirror_up_s <= self.press_s:
            raise ValueError("mirror_up_s must be longer than press_s, or 0")
        return self


class GpioLightOptions(Options):
    """A lamp switched by a pin, through a transistor or relay."""

    pin: Pin
    """GPIO that switches it."""
    active_low: bool = False
    """On at low level, as on many relay boards."""
    warm_up_s: Annotated[float, Field(ge=0, le=600)] = 0.0
    """From switching on to steady light."""
    pwm_hz: Annotated[float, Field(ge=50, le=10_000)] | None = None
    """Dim it with so many pulses a second. They must be many in one exposure, or pictures get bands and flicker. None: on or off."""
    level: Annotated[float, Field(gt=0, le=1)] = 1.0
    """With pulses: which share of the time it shines."""

    @model_validator(mode="after")
    def _can_be_dimmed(self) -> Self:
        if self.level < 1 and self.pwm_hz is None:
            raise ValueError("level below 1 needs pwm_hz; a relay cannot be dimmed")
        return self


class GpioSwitchOptions(Options):
    """A contact on a pin: e-stop, button, limit."""

    pin: Pin
    """GPIO it is wired to."""
    closes_to: Literal["ground", "supply"] = "ground"
    """What it connects the pin to; the Pi's own pull resistor holds the other level."""
    normally_closed: bool = False
    """It opens when pressed. Use it for an e-stop: a broken wire then counts as pressed."""
    debounce_s: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Changes shorter than this are not looked at."""
