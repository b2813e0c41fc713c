"""Milliamperes to the chip's current scale and back; speeds to its thresholds.

RMS current of a coil (datasheet, section 9): (CS + 1) / 32 x V_FS / (R_sense + 20 mOhm) / sqrt(2), with V_FS of 0.325 V, or
0.180 V where `vsense` is set. CS is IRUN or IHOLD, 0 to 31.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

FULL_SCALE_V = (0.325, 0.180)
"""Without and with `vsense`."""
INNER_OHM = 0.02
STEPS = 32
CLOCK_HZ = 12_000_000
"""The chip's own oscillator (section 15; from 11.5 to 12.5 MHz from chip to chip)."""
TSTEP_LAST = (1 << 20) - 1


@dataclass(frozen=True, slots=True)
class Scale:
    """Currents as the chip is told them."""

    vsense: int
    run: int
    """IRUN, 0 to 31."""
    hold: int
    """IHOLD, 0 to 31."""


def rms_ma(scale: int, vsense: int, sense_ohm: float) -> float:
    """The current of a coil, in milliamperes RMS, for a scale of 0 to 31."""
    return 1000.0 * (scale + 1) / STEPS * FULL_SCALE_V[vsense] / (sense_ohm + INNER_OHM) / math.sqrt(2.0)


def highest_ma(sense_ohm: float) -> float:
    """The most that these sense resistors allow."""
    return rms_ma(STEPS - 1, 0, sense_ohm)


def scale_for(run_ma: float, hold_ma: float, sense_ohm: float) -> Scale:
    """The scale that comes nearest without exceeding either current; the finer range where it reaches.

    Raises:
        ValueError: more than the sense resistors allow, or less than the smallest step.
    """
    vsense = int(run_ma <= rms_ma(STEPS - 1, 1, sense_ohm))
    return Scale(vsense, _step(run_ma, vsense, sense_ohm), _step(hold_ma, vsense, sense_ohm))


def _step(ma: float, vsense: int, sense_ohm: float) -> int:
    smallest = rms_ma(0, vsense, sense_ohm)
    step = math.floor(ma / smallest + 1e-9) - 1
    if not 0 <= step < STEPS:
        most = highest_ma(sense_ohm)
        raise ValueError(
            f"{ma:g} mA cannot be set with sense resistors of {sense_ohm:g} ohm: {smallest:.0f} to {most:.0f} mA"
        )
    return step


def tstep_for(full_steps_per_s: float) -> int:
    """Clock cycles between two of 256 microsteps at this speed: what TPWMTHRS and TCOOLTHRS are compared with."""
    return min(TSTEP_LAST, max(1, round(CLOCK_HZ / (full_steps_per_s * 256.0))))
