"""Registers and the fields in them (datasheet, section 5)."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Register(enum.IntEnum):
    """Addresses of the registers that are used here."""

    GCONF = 0x00
    GSTAT = 0x01
    IFCNT = 0x02
    NODECONF = 0x03
    IOIN = 0x06
    IHOLD_IRUN = 0x10
    TPOWERDOWN = 0x11
    TSTEP = 0x12
    TPWMTHRS = 0x13
    TCOOLTHRS = 0x14
    VACTUAL = 0x22
    SGTHRS = 0x40
    SG_RESULT = 0x41
    COOLCONF = 0x42
    CHOPCONF = 0x6C
    DRV_STATUS = 0x6F
    PWMCONF = 0x70


VERSION = 0x21
"""What IOIN says in its highest byte, on every TMC2209."""


@dataclass(frozen=True, slots=True)
class Field:
    """Some bits of a register."""

    register: Register
    shift: int
    width: int = 1

    def of(self, value: int) -> int:
        """The field's number in a register's value."""
        return value >> self.shift & (1 << self.width) - 1

    def at(self, number: int) -> int:
        """A register's value with nothing but this number in it. Raises `ValueError` when it does not fit."""
        if not 0 <= number < 1 << self.width:
            raise ValueError(f"{number} does not fit into {self.width} bits")
        return number << self.shift


I_SCALE_ANALOG = Field(Register.GCONF, 0)
"""The current follows the voltage at VREF, so a trimmer."""
INTERNAL_RSENSE = Field(Register.GCONF, 1)
EN_SPREADCYCLE = Field(Register.GCONF, 2)
SHAFT = Field(Register.GCONF, 3)
"""Turn the other way."""
PDN_DISABLE = Field(Register.GCONF, 6)
"""The pin PDN_UART is the UART, and does not lower the current."""
MSTEP_REG_SELECT = Field(Register.GCONF, 7)
"""Microsteps come from CHOPCONF instead of the pins MS1 and MS2, which are the address here."""
MULTISTEP_FILT = Field(Register.GCONF, 8)

RESET = Field(Register.GSTAT, 0)
"""It was reset: every register is as it is after power-on. Written as 1 to clear, as are the next two."""
DRV_ERR = Field(Register.GSTAT, 1)
"""It switched itself off, hot or shorted."""
UV_CP = Field(Register.GSTAT, 2)
"""The charge pump has too little voltage, and the motor no current."""

SENDDELAY = Field(Register.NODECONF, 8, 4)

ENN = Field(Register.IOIN, 0)
"""Level of the enable pin: 1 is off."""
VERSION_FIELD = Field(Register.IOIN, 24, 8)

IHOLD = Field(Register.IHOLD_IRUN, 0, 5)
IRUN = Field(Register.IHOLD_IRUN, 8, 5)
IHOLDDELAY = Field(Register.IHOLD_IRUN, 16, 4)

TOFF = Field(Register.CHOPCONF, 0, 4)
HSTRT = Field(Register.CHOPCONF, 4, 3)
HEND = Field(Register.CHOPCONF, 7, 4)
TBL = Field(Register.CHOPCONF, 15, 2)
VSENSE = Field(Register.CHOPCONF, 17)
MRES = Field(Register.CHOPCONF, 24, 4)
INTPOL = Field(Register.CHOPCONF, 28)

PWM_OFS = Field(Register.PWMCONF, 0, 8)
PWM_GRAD = Field(Register.PWMCONF, 8, 8)
PWM_FREQ = Field(Register.PWMCONF, 16, 2)
PWM_AUTOSCALE = Field(Register.PWMCONF, 18)
PWM_AUTOGRAD = Field(Register.PWMCONF, 19)
FREEWHEEL = Field(Register.PWMCONF, 20, 2)
PWM_REG = Field(Register.PWMCONF, 24, 4)
PWM_LIM = Field(Register.PWMCONF, 28, 4)

OTPW = Field(Register.DRV_STATUS, 0)
"""Over 120 °C."""
OT = Field(Register.DRV_STATUS, 1)
"""Too hot: off until it has cooled down below 120 °C."""
S2GA, S2GB = Field(Register.DRV_STATUS, 2), Field(Register.DRV_STATUS, 3)
"""Short to ground, by coil."""
S2VSA, S2VSB = Field(Register.DRV_STATUS, 4), Field(Register.DRV_STATUS, 5)
"""Short of the low side, by coil: to the supply, or across the coil."""
OLA, OLB = Field(Register.DRV_STATUS, 6), Field(Register.DRV_STATUS, 7)
"""Open load, by coil. Means something only in slow motion."""
T120, T143, T150, T157 = (Field(Register.DRV_STATUS, bit) for bit in range(8, 12))
CS_ACTUAL = Field(Register.DRV_STATUS, 16, 5)
"""The current scale in effect now."""
STEALTH = Field(Register.DRV_STATUS, 30)
STST = Field(Register.DRV_STATUS, 31)
"""Standing still."""


def mres_of(microsteps: int) -> int:
    """The number in MRES: 0 for 256 microsteps a full step, 8 for 1. Raises `ValueError` for what is no power of two."""
    number = 8 - (microsteps.bit_length() - 1)
    if not 1 <= microsteps <= 256 or 1 << 8 - number != microsteps:
        raise ValueError(f"{microsteps} microsteps a full step cannot be set")
    return number
