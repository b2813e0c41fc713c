"""The five Protocols that a rig is made of, and the frozen values that pass through them.

Units: lengths in micrometres, times in seconds on the injected monotonic clock (`drivers.clock`), rail positions in whole
microsteps counted from home and growing toward the subject. Every `close()` is idempotent and leaves the part safe:
motor released or held as it was asked, light off, shutter open to nobody.

All verbs of one driver are called from one thread, except `Rail.stop`, `Rail.halt` and `Camera.cancel`, which may come
from any thread at any time.
"""

from __future__ import annotations

import enum
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


@runtime_checkable
class Shutter(Driver, Protocol):
    """A wired release."""

    def fire(self, exposure_s: float) -> None:
        """Press the release for `exposure_s` and let go. Blocks for that long."""


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
