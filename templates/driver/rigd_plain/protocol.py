"""The wire, as pure functions between bytes and values: no port, no clock, no threads. The easiest part to test.

A command is one line, `7 move 1200 5000*D6`, and so is its answer, `7 ok*31`. The number in front says which answer belongs to which
command, and behind the star is the sum of all bytes before it, so that a spoilt line is never taken for another one. Two single bytes are obeyed at once and not answered: `!` brakes, 0x18 stops dead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

BRAKE = b"!"
HALT = b"\x18"
IDENTITY = "plain 1"
_STATUS = re.compile(r"(idle|moving|homing|alarm) ([01]) (-?\d+) (-?\d+|-) ?(.*)")


@dataclass(frozen=True, slots=True)
class Report:
    """The answer to `?`."""

    state: str
    """`idle`, `moving`, `homing` or `alarm`."""
    homed: bool
    """Whether the count began at home, and nothing was lost since."""
    position: int
    """Microsteps from where the count began."""
    home_error: int | None
    """What was counted where the last homing met the switch."""
    alarm: str
    """In words, in the state `alarm`."""


def line_of(number: int, text: str) -> bytes:
    """A line, with its number and its sum."""
    data = f"{number} {text}".encode()
    return data + f"*{sum(data) % 256:02X}\n".encode()


def text_of(line: bytes) -> tuple[int, str] | None:
    """The number of a line, and what it says; None for one that is spoilt."""
    data, star, check = line.strip().rpartition(b"*")
    if not star or check != f"{sum(data) % 256:02X}".encode():
        return None
    number, _, text = data.decode("ascii", errors="replace").partition(" ")
    return (int(number), text) if number.isdigit() else None


def report_of(text: str) -> Report | None:
    """The answer to `?`; None for any other."""
    found = _STATUS.fullmatch(text)
    if found is None:
        return None
    state, homed, position, error, alarm = found.groups()
    return Report(state, homed == "1", int(position), None if error == "-" else int(error), alarm)
