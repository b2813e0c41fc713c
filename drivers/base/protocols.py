"""The Protocols that a rig is made of, and the frozen values that pass through them.

Units: lengths in micrometres, times in seconds on the injected monotonic clock (`drivers.clock`), rail positions in whole
microsteps counted from home and growing toward the subject. Every `close()` is idempotent and leaves the part safe:
motor released or held as it was asked, light off, shutter open to nobody.

All verbs of one driver are called from one thread, except `Rail.stop`, `Rail.halt`, `Camera.cancel` and `Shutter.cancel`,
which may come from any thread at any time.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


@runtime_checkable
class Driver(Protocol):
    """What all drivers share."""

    def open(self) -> None:
        """Take the part into use. Raises `DriverError` when it is not there or not as configured."""

    def close(self) -> None:
        """Leave the part safe and let go of it. Idempotent; works after a failed `open`."""


# --------------------------------------------------------------------------------------------------------------- rail


class Limit(enum.Enum):
    """Which limit switch is pressed."""

    NONE = "none"
    HOME = "home"
    FAR = "far"


@dataclass(frozen=True, slots=True)
class RailCapabilities:
    """What the rail is, as its driver knows it after `open()`."""

    name: str
    microstep_um: float
    """Length of one microstep, the unit of every position."""
    travel_um: float
    """From home to the far end."""
    max_speed_um_per_s: float
    acceleration_um_per_s2: float
    backlash_um: float = 0.0
    """Lost motion at a reversal, as declared or measured."""
    can_release: bool = True
    """Whether the motor current can be switched off."""


@dataclass(frozen=True, slots=True)
class RailStatus:
    """The rail at one instant. `position` is None when it is not known (before homing, after a halt or a lost controller)."""

    moving: bool
    homed: bool
    position: int | None
    """Whole microsteps from home, counted by the controller."""
    target: int | None = None
    ended_s: float | None = None
    """When the last motion ended, where the driver knows it better than by polling."""
    limit: Limit = Limit.NONE
    alarm: str | None = None
    """In words, when the rail stopped by itself: a limit, a stall, a lost controller."""
    home_error: int | None = None
    """Counted position at which the home switch was met, before it was set to zero: drift and lost steps. None when
    nothing was counted before the last homing."""
    warnings: tuple[str, ...] = ()
    """In words, what is not as it should be and does not stop it: a hot driver, a coil that seems to be open."""


@runtime_checkable
class Rail(Driver, Protocol):
    """A motorised axis. Motion verbs start something and return at once."""

    @property
    def capabilities(self) -> RailCapabilities:
        """What this rail can do. Valid after `open()`."""

    def start_home(self) -> None:
        """Begin homing. `poll().homed` says when it is done, `poll().alarm` when it failed."""

    def start_move(self, target: int, speed_um_per_s: float | None = None) -> None:
        """Begin a move to an absolute position in microsteps. Raises `DriverError` when not homed or outside the travel."""

    def start_jog(self, distance: int, speed_um_per_s: float) -> None:
        """Begin a relative, slow move, allowed before homing."""

    def move_time_s(self, distance: int) -> float:
        """How long a move over this many microsteps takes, start to end of motion, without settling."""

    def poll(self) -> RailStatus:
        """Where the rail is now."""

    def stop(self) -> None:
        """Decelerate and stop; the position stays known. Any thread. Returns at once."""

    def halt(self) -> None:
        """Stop at once, as an e-stop does; the position is unknown afterwards. Any thread."""

    def release(self) -> None:
        """Switch the motor current off. The position is unknown afterwards, because the screw can turn by hand."""


# -------------------------------------------------------------------------------------------------------------- motor


@dataclass(frozen=True, slots=True)
class MotorStatus:
    """What a stepper driver chip says of itself."""

    fault: str | None = None
    """In words, when the motor was without its current or its settings, if only for a moment: steps may be lost."""
    enabled: bool = True
    """Whether the chip's enable pin lets it drive the motor now."""
    warnings: tuple[str, ...] = ()
    """In words, what does not stop it."""


@runtime_checkable
class Motor(Driver, Protocol):
    """A stepper driver chip with a wire of its own, beside the controller that makes its steps.

    It moves nothing. `open()` sets currents and microsteps and leaves the motor held with the current it runs with;
    `drivers.attended` ties it to its rail.
    """

    def look(self) -> MotorStatus:
        """What the chip says. Short. Raises `DriverError` when it cannot be asked."""

    def restore(self) -> None:
        """After a fault: forget it and set everything again. Raises `DriverError`, `AlarmResponse` when it persists."""

    def home_begins(self) -> None:
        """The rail is about to look for its end: report a stall, where that is how it finds it."""

    def home_ends(self) -> None:
        """The rail has found its end, or given up: everything as it was."""


# ------------------------------------------------------------------------------------------------------------- camera


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """Settings as read back from the camera with a frame, None where the camera does not tell."""

    exposure_s: float | None = None
    gain: float | None = None
    white_balance: tuple[float, float] | None = None
    """Red and blue gain."""
    lens_position: float | None = None


@dataclass(frozen=True, slots=True)
class CameraCapabilities:
    """What the camera is, as its driver knows it after `open()`."""

    name: str
    width: int
    height: int
    suffix: str
    """File name ending of its pictures, with the dot: `.jpg`, `.dng`."""
    frame_bytes: int
    """Typical size of one picture on disk, for the plan."""
    exposure_s: float
    """The configured exposure time."""
    overhead_s: float = 0.0
    """Expected time from asking for a frame to the shutter opening."""
    transfer_s: float = 0.0
    """Expected time from the shutter closing to the data being here."""
    recycle_s: float = 0.0
    """From the shutter closing until it may open again, whatever else goes on: a flash that charges."""
    settings: CameraSettings = field(default_factory=CameraSettings)
    """The settings that every frame must show, within the camera's own tolerance."""
    max_frames: int | None = None
    """How many pictures it can still give: the card, the battery, the folder of a replay. None: no limit known."""


@dataclass(frozen=True, slots=True)
class FrameData:
    """One picture as the camera gave it, byte for byte."""

    payload: bytes
    suffix: str


@dataclass(frozen=True, slots=True)
class Exposure:
    """The proof that a shutter opened and closed, and the handle for the data that follow."""

    start_s: float
    """First moment at which any row integrated light, on the injected monotonic clock."""
    end_s: float
    """Last such moment."""
    sequence: int
    """The camera's own running number of this picture. Two exposures with the same number are the same picture."""
    settings: CameraSettings
    handle: int
    """What `Camera.fetch` takes."""


@runtime_checkable
class Camera(Driver, Protocol):
    """A camera whose exposure and data are two moments, so that the rail moves on while data are still on their way."""

    @property
    def capabilities(self) -> CameraCapabilities:
        """What this camera is. Valid after `open()`."""

    def expose(self, not_before_s: float, position_um: float) -> Exposure:
        """Take one picture whose exposure begins at `not_before_s` or later; return when the shutter has closed.

        `position_um` is where the rail stands, for cameras that record it or, as a replay does, choose by it.
        Blocks. Raises `CameraTimeout` after `cancel()`, `DriverError` when the camera fails.
        """

    def fetch(self, exposure: Exposure) -> FrameData:
        """The picture's data. Each exposure is fetched once. Raises `TransferFailed` or `CameraTimeout`."""

    def cancel(self) -> None:
        """Give up the running `expose` or `fetch`, which then raises `CameraTimeout`. Any thread."""


# ------------------------------------------------------------------------------------------- shutter, light and switch


@dataclass(frozen=True, slots=True)
class ShutterCapabilities:
    """What a wired release is, as its options declare it."""

    name: str
    lead_s: float = 0.0
    """From being asked to the shutter opening: half press, mirror, the camera's own lag."""
    recycle_s: float = 0.0
    """From the end of an exposure until the next may begin: a flash that charges."""
    proves: bool = False
    """Whether a contact of the camera says when the shutter was open."""


@dataclass(frozen=True, slots=True)
class Firing:
    """One exposure by a wired release, on the injected clock."""

    start_s: float
    """Earliest moment at which the shutter can have been open."""
    end_s: float
    """Latest such moment."""
    proven: bool = False
    """Whether the camera's sync contact said so; otherwise the times follow from when the release was pressed."""


@runtime_checkable
class Shutter(Driver, Protocol):
    """A wired release."""

    @property
    def capabilities(self) -> ShutterCapabilities:
        """What this release is."""

    def fire(self, exposure_s: float, not_before_s: float = 0.0) -> Firing:
        """Expose for `exposure_s`, beginning at `not_before_s` or later; return when the shutter has closed.

        Blocks. Raises `CameraTimeout` after `cancel()`, `DriverError` when there is proof that nothing was exposed.
        """

    def cancel(self) -> None:
        """Let go of the release; a running `fire` raises `CameraTimeout`. Any thread."""


@runtime_checkable
class FireableCamera(Camera, Protocol):
    """A camera that a wired release can fire; `drivers.fired` ties the two together."""

    def expose_by(self, fire: Callable[[], Firing], position_um: float) -> Exposure:
        """As `expose`, with a shutter that somebody else opens.

        `fire` is called once, when the camera is ready for it, and returns when the shutter has closed. What it raises
        goes through.
        """


@runtime_checkable
class Light(Driver, Protocol):
    """A lamp that is on for a stack only."""

    def on(self) -> None:
        """Switch on."""

    def off(self) -> None:
        """Switch off. Also what `close()` does."""


@runtime_checkable
class Switch(Driver, Protocol):
    """A contact: an e-stop, a button, a limit."""

    def pressed(self) -> bool:
        """Whether the contact is pressed now."""
