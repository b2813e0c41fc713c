"""Options of the TMC2209. They import nothing of the serial port."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from drivers.base import Options, Positive
from drivers.tmc2209.currents import Scale, scale_for


class Tmc2209Options(Options):
    """A TMC2209 on a UART of the computer; steps come from elsewhere, from the rail's own driver."""

    port: Annotated[str, Field(pattern=r"^(/.+|usb:[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}(:.+)?)$")]
    """The UART: `/dev/serial0` on a Pi, or a USB adapter as a `/dev/serial/by-id/` path or `usb:VID:PID[:SERIAL]`."""
    baud: Literal[9600, 19200, 38400, 57600, 115200, 230400, 460800] = 115200
    """Serial speed; the chip follows."""
    address: Annotated[int, Field(ge=0, le=3)] = 0
    """Which chip on the wire: MS1 high counts 1, MS2 high counts 2."""
    run_ma: Annotated[float, Field(gt=0, le=2000)]
    """RMS current of a coil while the motor turns. A motor's rating is often the peak: 1.4 times as much."""
    hold_ma: Annotated[float, Field(gt=0, le=2000)] | None = None
    """RMS current at rest. Left away: as `run_ma`. Less shifts the rail by a part of a full step after each move."""
    idle_ma: Annotated[float, Field(gt=0, le=2000)] | None = None
    """RMS current after rigd has let go of the rail. Left away: as at rest."""
    sense_ohm: Annotated[float, Field(ge=0.05, le=2)] = 0.11
    """Sense resistors of the board: 0.11 on most."""
    microsteps: Literal[1, 2, 4, 8, 16, 32, 64, 128, 256] = 16
    """Microsteps per full step: those that the rail counts with."""
    interpolate: bool = True
    """The chip divides each microstep further, to 256 a full step: quieter, and it ends where it would anyway."""
    chopper: Literal["stealthchop", "spreadcycle"] = "stealthchop"
    """How it makes the current: silent, or with more torque at speed."""
    spreadcycle_above_steps_per_s: Positive | None = None
    """With stealthchop: change to spreadcycle above so many full steps a second. Left away: never."""
    invert: bool = False
    """Turn the other way. The rail's driver has such an option too: one of them is enough."""
    stall_threshold: Annotated[int, Field(ge=1, le=255)] | None = None
    """Homing without a switch: the DIAG pin reports a stall when the chip's load value falls to twice this; higher is more
    sensitive. DIAG is wired to the home input. Left away: there is a switch."""
    stall_above_steps_per_s: Positive = 100.0
    """Full steps a second below which a stall is not looked for: about half the homing speed."""

    @property
    def scale(self) -> Scale:
        """Currents as the chip is told them. Raises `ValueError` when they cannot be set."""
        return scale_for(self.run_ma, self.run_ma if self.hold_ma is None else self.hold_ma, self.sense_ohm)

    @property
    def idle_scale(self) -> Scale:
        """The same, when nobody uses the rail."""
        return self.scale if self.idle_ma is None else scale_for(self.run_ma, self.idle_ma, self.sense_ohm)

    @model_validator(mode="after")
    def _currents_can_be_set(self) -> Self:
        for name in ("hold_ma", "idle_ma"):
            if (getattr(self, name) or 0.0) > self.run_ma:
                raise ValueError(f"{name} must not be more than run_ma")
        _ = self.scale, self.idle_scale
        return self
