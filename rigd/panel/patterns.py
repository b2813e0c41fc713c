"""What the status LED shows: a pattern for each mode, and two that are shown once, as an answer to a button. Pure.

The table in `docs/panel.md` is held against this one by a test.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from rigd.machine.state import Mode

Step = tuple[bool, float]
"""Lit or dark, and for how many seconds."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Lights, one after the other. A mode's are shown again and again, an answer's once."""

    words: str
    """As people are told."""
    steps: tuple[Step, ...]


def _flashes(count: int, dark_s: float) -> tuple[Step, ...]:
    """So many short flashes, then dark."""
    flash = ((True, 0.15), (False, 0.2))
    return (*(flash * count), (False, dark_s))


DARK = Pattern("dark", ((False, math.inf),))
ON = Pattern("on", ((True, math.inf),))
ONE_FLASH = Pattern("one short flash every two seconds", _flashes(1, 1.65))
TWO_FLASHES = Pattern("two short flashes, a pause", _flashes(2, 1.2))
FOUR_FLASHES = Pattern("four short flashes, a pause", _flashes(4, 1.2))
QUICK = Pattern("blinks twice a second", ((True, 0.25), (False, 0.25)))
SLOW = Pattern("blinks slowly, a second on and a second off", ((True, 1.0), (False, 1.0)))
FLICKER = Pattern("flickers", ((True, 0.06), (False, 0.06)))

PATTERNS: Mapping[Mode, Pattern] = {
    Mode.OFFLINE: DARK,
    Mode.UNHOMED: ONE_FLASH,
    Mode.HOMING: QUICK,
    Mode.MOVING: QUICK,
    Mode.TESTING: QUICK,
    Mode.STOPPING: QUICK,
    Mode.IDLE: ON,
    Mode.CAPTURING: SLOW,
    Mode.PAUSED: TWO_FLASHES,
    Mode.FAULT: FOUR_FLASHES,
    Mode.ESTOPPED: FLICKER,
}

REFUSED = Pattern(
    "three quick flashes out of the dark",
    ((False, 0.4), *(((True, 0.08), (False, 0.12)) * 3), (False, 0.4)),
)
"""Nothing was done."""
TAKEN = Pattern("a short wink: dark, on, dark", ((False, 0.15), (True, 0.15), (False, 0.15)))
"""Something was done that is not seen otherwise."""
