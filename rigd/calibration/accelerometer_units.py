"""Which column of an accelerometer's record is what, and in which unit: said by its header, and checked by what cannot be otherwise.

The sensor feels gravity, so a record whose values are 9.8 long on average is in m/s2 whatever nobody says, and one of about
256 is an ADXL345's own counts in full resolution. Between two samples lie tenths of a millisecond to a hundredth of a second.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

G_M_PER_S2 = 9.80665
G_PER_COUNT = 0.0039
"""Of the ADXL345 in full resolution, in every range."""
UNITS = {
    "g": G_M_PER_S2,
    "m/s2": 1.0,
    "mm/s2": 1e-3,
    "mg": 1e-3 * G_M_PER_S2,
    "counts": G_PER_COUNT * G_M_PER_S2,
}
"""m/s2 in one of each."""
GRAVITY_OFF = 1.5
"""A sensor's gain and offset are no farther off than by this factor."""
WEIGHTLESS = 0.3
"""Of 1 g, by any unit that is possible: below it gravity has been taken out, and tells nothing."""
SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
LEAST_STEP_S, MOST_STEP_S = 1.2e-4, 0.06
"""Between samples: 3200 Hz of the fastest, and slow enough to be of no use."""
PER_S2 = r"[\s_]*/?[\s_]*s(?:ec)?[\s_]*\^?[\s_]*(?:2|²|-2)"
ACCELERATIONS = (
    ("mm/s2", re.compile(rf"(?<![a-z])mm{PER_S2}")),
    ("m/s2", re.compile(rf"(?<![a-z])m{PER_S2}|mps2|ms-2")),
    ("mg", re.compile(r"(?<![a-z])(?:mg|milli-?g)(?![a-z])")),
    ("counts", re.compile(r"(?<![a-z])(?:lsb|counts?|raw)(?![a-z])")),
    ("g", re.compile(r"(?<![a-z])g(?![a-z])")),
)
TIME = re.compile(r"^(?:time|t|timestamp|secs?|seconds|millis|micros)(?![a-z])")
AXIS = re.compile(r"^(?:a|acc|accel|acceleration|adxl345)?[\s_.]*([xyz])(?![a-z])")


@dataclass(frozen=True, slots=True)
class Columns:
    """Where time, x, y and z stand, counted from 0, and the units that a header gives; empty: not said."""

    places: tuple[int, int, int, int] = (0, 1, 2, 3)
    time: str = ""
    acceleration: str = ""

    def seconds(self, step: float) -> float:
        """Seconds in a unit of time, where the usual step between samples is this long. Raises `ValueError`."""
        possible = [unit for unit, length in SECONDS.items() if LEAST_STEP_S <= step * length <= MOST_STEP_S]
        if self.time:
            if self.time not in possible:
                raise ValueError(
                    f"samples that are {step:g} {self.time} apart are those of no accelerometer: is time in another unit?"
                )
            return SECONDS[self.time]
        if "s" in possible or not possible:
            return 1.0
        return SECONDS[possible[0]]

    def m_per_s2(self, values: Floats) -> Floats:
        """(n, 3) in m/s2. Raises `ValueError` where the header says one unit and gravity another."""
        felt = float(np.linalg.norm(np.median(values, axis=0)))
        likely = [
            unit for unit, size in UNITS.items() if 1 / GRAVITY_OFF < felt * size / G_M_PER_S2 < GRAVITY_OFF
        ]
        said = self.acceleration
        if said:
            if likely and said not in likely and felt * UNITS[said] > WEIGHTLESS * G_M_PER_S2:
                raise ValueError(
                    f"the header says {said}, and gravity is {felt:.4g} in it: that would be right in {likely[0]}"
                )
            return values * UNITS[said]
        if felt > WEIGHTLESS:
            if not likely:
                raise ValueError(
                    f"gravity is {felt:.4g} in it, which it is in no unit that is known ({', '.join(UNITS)}): "
                    "name the unit in the header, as x [m/s2]"
                )
            return values * UNITS[likely[0]]
        return values * UNITS["g"]


def is_header(fields: Sequence[str]) -> bool:
    """Whether a line names columns: time is among them."""
    return any(TIME.match(field.lower()) for field in fields)


def columns_of(fields: Sequence[str]) -> Columns:
    """What a header says. Raises `ValueError` for one that does not name time, x, y and z."""
    names = [field.lower().strip("\"' ") for field in fields]
    time = next((place for place, name in enumerate(names) if TIME.match(name)), None)
    axes = {}
    for place, name in enumerate(names):
        found = AXIS.match(name)
        if found and found[1] not in axes:
            axes[found[1]] = place
    if time is None or len(axes) < 3:
        raise ValueError(f"columns time, x, y, z are needed, not {', '.join(fields)}")
    of_axes = " ".join(names[place] for place in axes.values())
    acceleration = next((unit for unit, pattern in ACCELERATIONS if pattern.search(of_axes)), "")
    return Columns((time, axes["x"], axes["y"], axes["z"]), _time_unit(names[time]), acceleration)


def _time_unit(name: str) -> str:
    if re.search(r"(?<![a-z])(?:us|µs|micros|microseconds)(?![a-z])", name):
        return "us"
    if re.search(r"(?<![a-z])(?:ms|millis|milliseconds)(?![a-z])", name):
        return "ms"
    if re.search(r"(?<![a-z])(?:ns|nanoseconds)(?![a-z])", name):
        return "ns"
    return "s" if re.search(r"(?<![a-z])(?:s|secs?|seconds)(?![a-z])", name) else ""
