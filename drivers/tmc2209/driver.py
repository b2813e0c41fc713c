"""The TMC2209 as a `Motor`: set at the start, asked now and then, told when homing begins and ends."""

from __future__ import annotations

import logging

from drivers.base import AlarmResponse, DriverError, MotorStatus, NotOpen
from drivers.registry import Context
from drivers.tmc2209 import registers as r
from drivers.tmc2209.currents import Scale, rms_ma, tstep_for
from drivers.tmc2209.health import Watcher, fault
from drivers.tmc2209.options import Tmc2209Options
from drivers.tmc2209.port import Wire
from drivers.tmc2209.registers import Register, mres_of

log = logging.getLogger(__name__)

GSTAT_CLEAR = r.RESET.at(1) | r.DRV_ERR.at(1) | r.UV_CP.at(1)
HOLD_DELAY = 8
"""Where hold and run current differ: the change takes 8 steps of 2^18 clock cycles, a jerk otherwise."""
POWER_DOWN = 20
"""About 0.4 s at rest until the hold current. At least 2, or StealthChop does not tune itself (section 6.1)."""
SEND_DELAY = 2
"""Where several chips share a wire, at least 2 (section 5.1)."""


class Tmc2209:
    """One chip.

    Args:
        options: where it is, and its settings.
        context: not needed; every driver is handed one.
    """

    def __init__(self, options: Tmc2209Options, context: Context) -> None:  # noqa: ARG002
        self._options = options
        self._wire = Wire(options.port, options.baud, options.address)
        self._watcher = Watcher()
        self._homing = False

    @property
    def wire(self) -> Wire:
        """Its registers, for those who look closer."""
        return self._wire

    def open(self) -> None:
        """Take the port, see that it is a TMC2209, and set it: currents, microsteps, chopper.

        Raises:
            DriverError: no such port, another chip, or a fault that persists.
            NoResponse: nothing that can be understood answers.
        """
        if self._wire.is_open:
            return
        self._wire.open()
        try:
            version = r.VERSION_FIELD.of(self._wire.read(Register.IOIN))
            if version != r.VERSION:
                raise DriverError(
                    self._wire.name, f"is no TMC2209: its version is {version:#04x}, not {r.VERSION:#04x}"
                )
            self.restore()
        except DriverError:
            self._wire.close()
            raise
        scale = self._options.scale
        log.info(
            "%s: TMC2209 set to %.0f mA running and %.0f mA at rest, %d microsteps",
            self._wire.name,
            rms_ma(scale.run, scale.vsense, self._options.sense_ohm),
            rms_ma(scale.hold, scale.vsense, self._options.sense_ohm),
            self._options.microsteps,
        )

    def close(self) -> None:
        """Idle current, where one is configured, and let go of the port. The motor stays held."""
        if not self._wire.is_open:
            return
        try:
            if self._homing:
                self.home_ends()
            if self._options.idle_scale != self._options.scale:
                self._wire.write(Register.IHOLD_IRUN, _currents(self._options.idle_scale))
        except DriverError as error:
            log.warning("closing: %s", error)
        finally:
            self._homing = False
            self._wire.close()

    def look(self) -> MotorStatus:
        """What it says of itself: three registers, about 4 ms. Raises `NoResponse`, `Unplugged` or `NotOpen`."""
        self._check_open()
        return self._watcher.status(
            self._wire.read(Register.GSTAT),
            self._wire.read(Register.DRV_STATUS),
            self._wire.read(Register.IOIN),
        )

    def restore(self) -> None:
        """Set everything again, and clear what it remembers.

        Raises:
            AlarmResponse: too hot, or shorted, even now.
            DriverError: it cannot be set.
        """
        self._check_open()
        self._watcher = Watcher()
        self._homing = False
        # Cleared first: a power loss halfway through must be seen at the end.
        self._wire.write(Register.GSTAT, GSTAT_CLEAR)
        for register, value in self.settings():
            self._wire.write(register, value)
        still = fault(self._wire.read(Register.GSTAT), self._wire.read(Register.DRV_STATUS))
        if still is not None:
            raise AlarmResponse(self._wire.name, "motor", still)

    def home_begins(self) -> None:
        """With a stall threshold: StealthChop at every speed, and the DIAG pin reports a stall (section 11)."""
        self._check_open()
        options = self._options
        if options.stall_threshold is None:
            return
        self._homing = True
        self._wire.write(Register.GCONF, self._gconf(spreadcycle=False))
        self._wire.write(Register.TPWMTHRS, 0)
        self._wire.write(Register.TCOOLTHRS, tstep_for(options.stall_above_steps_per_s))
        self._wire.write(Register.SGTHRS, options.stall_threshold)

    def home_ends(self) -> None:
        """DIAG reports no stalls any more, and the chopper is the one that was chosen."""
        self._check_open()
        if not self._homing:
            return
        wanted = dict(self.settings())
        for register in (Register.SGTHRS, Register.TCOOLTHRS, Register.TPWMTHRS, Register.GCONF):
            self._wire.write(register, wanted[register])
        self._homing = False

    def settings(self) -> tuple[tuple[Register, int], ...]:
        """What every register should be, in the order in which they are written: the current comes before the chopper."""
        options = self._options
        change = options.spreadcycle_above_steps_per_s
        return (
            (Register.NODECONF, r.SENDDELAY.at(SEND_DELAY)),
            (Register.GCONF, self._gconf(spreadcycle=options.chopper == "spreadcycle")),
            (Register.VACTUAL, 0),
            (Register.IHOLD_IRUN, _currents(options.scale)),
            (Register.TPOWERDOWN, POWER_DOWN),
            (Register.TPWMTHRS, 0 if change is None else tstep_for(change)),
            (Register.TCOOLTHRS, 0),
            (Register.SGTHRS, 0),
            (Register.COOLCONF, 0),
            (Register.PWMCONF, _PWMCONF),
            (Register.CHOPCONF, self._chopconf()),
        )

    def _gconf(self, *, spreadcycle: bool) -> int:
        return (
            r.EN_SPREADCYCLE.at(spreadcycle)
            | r.SHAFT.at(self._options.invert)
            | r.PDN_DISABLE.at(1)
            | r.MSTEP_REG_SELECT.at(1)
            | r.MULTISTEP_FILT.at(1)
        )

    def _chopconf(self) -> int:
        options = self._options
        return (
            _CHOPPER
            | r.VSENSE.at(options.scale.vsense)
            | r.MRES.at(mres_of(options.microsteps))
            | r.INTPOL.at(options.interpolate)
        )

    def _check_open(self) -> None:
        if not self._wire.is_open:
            raise NotOpen(self._options.port)


def _currents(scale: Scale) -> int:
    """IHOLD_IRUN. At rest as in motion needs no ramp between the two."""
    delay = 0 if scale.hold == scale.run else HOLD_DELAY
    return r.IHOLD.at(scale.hold) | r.IRUN.at(scale.run) | r.IHOLDDELAY.at(delay)


# The chip's own values after power-on (section 5.5.1 and 5.5.2), written so that they do not depend on who was here before.
_CHOPPER = r.TOFF.at(3) | r.HSTRT.at(5) | r.HEND.at(0) | r.TBL.at(2)
_PWMCONF = (
    r.PWM_OFS.at(36)
    | r.PWM_FREQ.at(1)
    | r.PWM_AUTOSCALE.at(1)
    | r.PWM_AUTOGRAD.at(1)
    | r.PWM_REG.at(1)
    | r.PWM_LIM.at(12)
)
