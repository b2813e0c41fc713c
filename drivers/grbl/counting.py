"""Steps and millimetres as the controller reckons them: 32-bit floats, eight digits, reports rounded to a micrometre.

A report does not tell steps apart that lie closer than its last digit: with 3200 steps/mm three of them look the same. So a
position is counted, not read: a move ends on the step that the controller makes of the number it was sent
(`plan_buffer_line` in Grbl's `planner.c`, `read_float` in `nuts_bolts.c`), and a report can only confirm it.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

DIGITS = 8
"""How many digits of a number Grbl looks at."""
MM_PER_INCH = 25.4


def single(value: float) -> float:
    """The nearest 32-bit float."""
    rounded: float = struct.unpack("f", struct.pack("f", value))[0]
    return rounded


def read_number(text: str) -> float:
    """The number that the controller makes of a text: eight digits in an integer, then scaled in single precision."""
    sign = -1.0 if text.startswith("-") else 1.0
    whole, _, decimals = text.lstrip("+-").partition(".")
    digits = (whole + decimals)[:DIGITS]
    exponent = len(whole) - len(digits)
    value = single(float(int(digits)))
    while exponent <= -2:
        value = single(value * single(0.01))
        exponent += 2
    if exponent < 0:
        value = single(value * single(0.1))
    while exponent > 0:
        value = single(value * 10.0)
        exponent -= 1
    return sign * value


def nearest_step(mm: float, steps_per_mm: float) -> int:
    """The step that the controller goes to for a target in millimetres; halves go away from zero."""
    steps = single(single(mm) * single(steps_per_mm))
    return int(math.copysign(math.floor(abs(steps) + 0.5), steps))


def number_text(value: float) -> str:
    """A number with as many decimals as the controller looks at, at most six."""
    decimals = max(0, min(6, DIGITS - len(str(int(abs(value))))))
    return f"{value:.{decimals}f}"


@dataclass(frozen=True, slots=True)
class Scale:
    """Between rail positions (microsteps from home), the controller's steps, and the numbers on the wire."""

    steps_per_mm: float
    direction: int
    """+1 when rail positions grow with machine positions, -1 otherwise."""

    def target_text(self, step: int) -> str:
        """The machine position to send for a step. Raises ValueError when no eight digits name this step."""
        text = number_text(step / self.steps_per_mm)
        if nearest_step(read_number(text), self.steps_per_mm) != step:
            raise ValueError(f"step {step} cannot be named in {DIGITS} digits")
        return text

    def candidates(self, mm: float, decimals: int, *, inches: bool = False, summed: bool = False) -> range:
        """The steps that a report of `mm` can mean. `mm` is in inches when `inches`."""
        unit = MM_PER_INCH if inches else 1.0
        # Rounded once or twice to the last digit; and computed in single precision on the way.
        slack_mm = unit * 10.0**-decimals * (1.0 if summed else 0.5) + 2e-5 + 4e-7 * abs(mm * unit)
        low = math.ceil((mm * unit - slack_mm) * self.steps_per_mm - 1e-9)
        high = math.floor((mm * unit + slack_mm) * self.steps_per_mm + 1e-9)
        if high < low:
            # Coarse steps: the printed number lies between two of them.
            low = high = round(mm * unit * self.steps_per_mm)
        return range(low, high + 1)
