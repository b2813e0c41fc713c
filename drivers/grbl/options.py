"""Options of the Grbl rail. They import nothing of the serial port."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from drivers.base import NonNegative, Positive, RailCapabilities, RailOptions


class GrblOptions(RailOptions):
    """A motion controller that speaks Grbl 1.1 over USB serial: Grbl, grblHAL, FluidNC."""

    port: Annotated[
        str, Field(pattern=r"^(/.+|usb:[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}(:.+)?|socket:[^:]+:[0-9]{1,5})$")
    ]
    """Where it is: a `/dev/serial/by-id/` path, `usb:VID:PID` or `usb:VID:PID:SERIAL` as lsusb shows them, or
    `socket:HOST:PORT`. ttyUSB0 moves when something else is plugged in."""
    baud: Literal[9600, 19200, 38400, 57600, 115200, 230400, 250000, 460800, 921600] = 115200
    """Serial speed."""
    axis: Literal["X", "Y", "Z"] = "X"
    """The axis that the rail is."""
    steps_per_mm: Positive
    """Microsteps per millimetre: the controller's `$100` (X), `$101` (Y) or `$102` (Z)."""
    max_rate_mm_per_min: Positive = 600.0
    """Highest speed, as the controller's `$110` to `$112`."""
    acceleration_mm_per_s2: Positive = 100.0
    """Acceleration, as the controller's `$120` to `$122`."""
    travel_um: Positive
    """From home to the far end; the controller's `$130` to `$132` in millimetres."""
    backlash_um: NonNegative = 200.0
    """Lost motion at a reversal. Measure it; until then assume much."""
    invert: bool = False
    """The controller's positive direction leads away from the subject."""
    homing: bool = True
    """Homing is set up on the controller (`$22=1`); without it no position is ever known."""
    hard_limits: bool | None = None
    """Whether limit switches stop the rail at once (`$21`); None: as it is set on the controller."""
    response_timeout_s: Positive = 2.0
    """How long a line may wait for its `ok`."""
    homing_timeout_s: Positive = 60.0
    """How long homing may take."""

    def declared(self) -> RailCapabilities:
        """The rail as these options describe it."""
        return RailCapabilities(
            name=f"Grbl on {self.port}",
            microstep_um=1000.0 / self.steps_per_mm,
            travel_um=self.travel_um,
            max_speed_um_per_s=self.max_rate_mm_per_min * 1000.0 / 60.0,
            acceleration_um_per_s2=self.acceleration_mm_per_s2 * 1000.0,
            backlash_um=self.backlash_um,
            can_release=True,
        )
