"""The units that key names end in, and numbers that people write with a unit."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_UNITS: dict[str, dict[str, float]] = {
    "length": {"nm": 1e-3, "um": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6, "in": 25400.0, "inch": 25400.0},
    "time": {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0},
    "frequency": {"hz": 1.0, "khz": 1e3, "mhz": 1e6},
    "speed": {
        "um_per_s": 1.0,
        "mm_per_s": 1e3,
        "cm_per_s": 1e4,
        "m_per_s": 1e6,
        "mm_per_min": 1e3 / 60,
        "um_per_hour": 1 / 3600,
    },
    "acceleration": {"um_per_s2": 1.0, "mm_per_s2": 1e3, "cm_per_s2": 1e4, "m_per_s2": 1e6},
    "size": {"kb": 1e-3, "mb": 1.0, "gb": 1e3, "tb": 1e6},
    "current": {"ma": 1e-3, "a": 1.0},
}
_BY_NAME = {unit: (dimension, size) for dimension, units in _UNITS.items() for unit, size in units.items()}
_NOT_IN_KEYS = {"in", "inch", "min", "h", "sec"}
_SUFFIXES = sorted(_BY_NAME.keys() - _NOT_IN_KEYS, key=lambda unit: (-len(unit), unit))
_SHOWN = {
    "hz": "Hz",
    "khz": "kHz",
    "mhz": "MHz",
    "ma": "mA",
    "a": "A",
    "kb": "kB",
    "mb": "MB",
    "gb": "GB",
    "tb": "TB",
}
_QUANTITY = re.compile(
    r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d{1,3})?)\s*([a-z_/^0-9µμ²]*)\s*", re.IGNORECASE
)
_PLAIN = str.maketrans({"µ": "u", "μ": "u", "²": "2", "^": None, " ": None})


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number and the unit it was written in, as the key suffix spells it (`mm`, `um_per_s`); empty without one."""

    number: float
    unit: str

    def to(self, unit: str) -> float | None:
        """The number in another unit; None when it measures something else."""
        mine, other = _BY_NAME.get(self.unit), _BY_NAME.get(unit)
        if mine is None or other is None or mine[0] != other[0]:
            return None
        return self.number * mine[1] / other[1]


def split_key(key: str) -> tuple[str, str]:
    """A key as stem and unit: `travel_um` is (`travel`, `um`), `seed` is (`seed`, ``)."""
    for unit in _SUFFIXES:
        if key.endswith(f"_{unit}") and not key.endswith(f"_per_{unit}") and len(key) > len(unit) + 1:
            return key[: -len(unit) - 1], unit
    return key, ""


def parse_quantity(text: str) -> Quantity | None:
    """Read `50 mm`, `0.3s`, `200 mm/s²` or `7`; None for anything else."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    unit = match[2].translate(_PLAIN).lower().replace("/", "_per_")
    if unit and unit not in _BY_NAME:
        return None
    number = float(match[1])
    return Quantity(number, unit) if math.isfinite(number) else None


def dimension(unit: str) -> str:
    """What a unit measures: `length`, `time`, ...; empty for an unknown one."""
    return _BY_NAME.get(unit, ("", 0.0))[0]


def shown(unit: str) -> str:
    """A unit as people write it: `µm/s²` for `um_per_s2`."""
    if unit in _SHOWN:
        return _SHOWN[unit]
    return re.sub(r"\bu(?=[ms])", "µ", unit.replace("_per_", "/")).replace("s2", "s²")


def plain_number(number: float) -> str:
    """A number without the noise of its conversion: `50000`, `0.3`."""
    return f"{number:.12g}"
